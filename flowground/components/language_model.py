"""Language Model: asks a model and gives its answer."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, ClassVar

from pydantic import PrivateAttr

from flowground.components.base import Component, Context, Output, declare, declare_model
from flowground.errors import ProviderRefused
from flowground.messages import Message
from flowground.providers.base import Completion, ModelCall
from flowground.values import ValueKind

_OPTIONS = ("temperature", "max_tokens", "top_p", "seed")


class LanguageModel(Component):
    """The answer of a language model. The model's server is sent only what the flow sets."""

    type_name: ClassVar[str] = "LanguageModel"
    title: ClassVar[str] = "Language Model"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text_output": "text"}
    calls_out: ClassVar[bool] = True
    streams: ClassVar[bool] = True

    model: str | None = declare_model()
    system_message: str = declare(
        "", "System Message", "What the model is told to be; not sent when empty.", multiline=True
    )
    input_value: str = declare(..., "Input", "What the model is asked, usually a reference.", multiline=True)
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
        asked = Message("user", self.input_value)
        messages = (Message("system", self.system_message), asked) if self.system_message else (asked,)
        call = ModelCall(model, messages, self._options)
        if context.emit is None or not self.stream:
            end = await provider.complete(call)
            return Output({"text_output": end.text}, end.model, end.usage, end.finish_reason)
        async with aclosing(provider.stream(call)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    return Output({"text_output": piece.text}, piece.model, piece.usage, piece.finish_reason)
                await context.emit(piece)
        raise ProviderRefused(f"The model {model!r} ended its answer without an end.")
