"""Language Model: asks a model and gives its answer."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from pydantic import PrivateAttr

from flowground.components.base import Component, Context, Output, declare, declare_model
from flowground.components.shown_files import declare_files, show_files
from flowground.errors import ModelNotReady, ProviderRefused
from flowground.events import ModelProgress
from flowground.messages import Message
from flowground.providers.base import Completion, ModelCall, Provider
from flowground.values import FileReference, ValueKind

_OPTIONS = ("temperature", "max_tokens", "top_p", "seed")


class LanguageModel(Component):
    """The answer of a language model. The model's server is sent only what the flow sets."""

    type_name: ClassVar[str] = "LanguageModel"
    title: ClassVar[str] = "Language Model"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text_output": "text"}
    calls_out: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    shows_files: ClassVar[bool] = True

    model: str | None = declare_model()
    system_message: str = declare(
        "", "System Message", "What the model is told to be; not sent when empty.", multiline=True
    )
    input_value: str = declare(..., "Input", "What the model is asked, usually a reference.", multiline=True)
    files: tuple[FileReference, ...] | None = declare_files()
    n_messages: int = declare(
        0,
        "Number of Chat History Messages",
        "How many earlier messages of the session it is shown, with their files where `files` is connected.",
        ge=0,
        le=1_000,
    )
    temperature: float | None = declare(None, "Temperature", "How freely it speaks: 0 is the most likely.", ge=0, le=2)
    max_tokens: int | None = declare(None, "Max Tokens", "The longest answer, in tokens.", ge=1, le=1_000_000)
    top_p: float | None = declare(None, "Top P", "Only the likeliest words up to this sum.", gt=0, le=1)
    seed: int | None = declare(None, "Seed", "The same seed asks for the same answer.", ge=0, le=2**31 - 1)
    stream: bool = declare(True, "Stream", "False gives the text whole, also where a stream is asked for.")

    _options: dict[str, float | int | str] = PrivateAttr()

    def model_post_init(self, context: Any) -> None:  # noqa: ARG002 - pydantic's argument
        """Options are known before the run; copies that fill texts keep them."""
        given = ((name, getattr(self, name)) for name in _OPTIONS)
        self._options = {name: value for name, value in given if value is not None}

    def list_models(self) -> tuple[str | None, ...]:
        return (self.model,)

    async def run(self, context: Context) -> Output:
        provider, model = context.models.resolve(self.model)
        said = await context.history.read(self.n_messages) if self.n_messages else ()
        shown = await show_files(
            context,
            provider,
            model,
            self.input_value,
            self.files,
            said=said,
            before=len(self.system_message),
            max_tokens=self.max_tokens,
        )
        asked = Message("user", shown.content)
        system = (Message("system", self.system_message),) if self.system_message else ()
        messages = (*system, *shown.earlier, asked)
        call = ModelCall(model, messages, self._options, retries=context.retries)
        if context.emit is None or not self.stream:
            return self._give(await ask_whole(context, provider, call), shown.unseen)
        async with aclosing(provider.stream(call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    context.note_answer(piece)
                    return self._give(piece, shown.unseen)
                await context.emit(piece)
        raise ProviderRefused(f"The model {model!r} ended its answer without an end.")

    def _give(self, end: Completion, unseen: tuple[str, ...]) -> Output:
        return Output({"text_output": end.text}, end.model, end.usage, end.finish_reason, unseen=unseen)


async def ask_whole(context: Context, provider: Provider, call: ModelCall) -> Completion:
    """The answer, which is noted. Where somebody watches, a model that is being fetched is waited for; they see how far
    it is."""
    try:
        end = await provider.complete(call)
    except ModelNotReady:
        if context.emit is None:
            raise
    else:
        context.note_answer(end)
        return end
    async with aclosing(provider.stream(call)) as pieces:  # a stream waits for the model
        async for piece in pieces:
            if isinstance(piece, Completion):
                context.note_answer(piece)
                return piece
            if isinstance(piece, ModelProgress):
                await context.emit(piece)
    raise ProviderRefused(f"The model {call.model!r} ended its answer without an end.")
