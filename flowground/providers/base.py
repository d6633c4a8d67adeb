"""The contract of a model provider (`Provider`, the hot path of every run), and of the settings that open it."""

import os
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, cast

from pydantic import Field, PrivateAttr, SecretStr

from flowground.core.errors import ProviderRefused
from flowground.core.events import ModelProgress
from flowground.core.messages import FallbackUse, FilePart, Message, MessagePart, Reasoning, TextPart, ToolCall, Usage
from flowground.core.yaml_file import ConfigSection, check_http_address
from flowground.providers.egress import USUAL_EGRESS, EgressSettings

if TYPE_CHECKING:
    from flowground.knowledge.embeddings import Embeddings

Capability = Literal["images", "documents", "tools", "response_schema"]
MOST_TOOLS = 128
"""The most tools in one call; OpenAI accepts no more."""
MOST_PARTS = 1_000
"""The most parts of one message."""
WINDOW = 128_000
"""Tokens of a model's context window, where its provider says nothing else."""
_BYTES_A_TOKEN = 4
"""Average bytes of text for a token."""
MOST_FILE_BYTES = 20_000_000
"""The most bytes of all files in one call: they are in memory, a third larger as base64, until the answer begins."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that a model may call; `parameters` is the JSON Schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class RunRetries(Protocol):
    """What the calls of one run share: the retries that are left, and the fallbacks that were used."""

    def take_retry(self) -> bool:
        """Takes one of the run's retries; False where none is left."""

    def note_fallback(self, provider: str) -> None:
        """Notes that a call goes to this provider, which the flow does not name."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request to a model. `options` holds only what the flow sets (temperature, max_tokens, …).

    `response_schema` is a JSON Schema for the answer, a JSON object; servers may not enforce it. `tool_choice` is
    "auto", "none", or the name of the tool that must be called, where the server supports that. `retries` are the
    run's; without them each call has the retries of its provider's settings.
    """

    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, float | int | str]
    response_schema: Mapping[str, Any] | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    retries: RunRetries | None = None

    @property
    def system(self) -> str:
        """The texts of the system messages."""
        return "\n\n".join(message.text for message in self.messages if message.role == "system" and message.text)

    def take_retry(self) -> bool:
        """Takes one of the run's retries, where the call belongs to a run; False where none is left."""
        return self.retries is None or self.retries.take_retry()


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an answer. `text` is the whole text; `model` is the name to show under it.

    `finish_reason` is the server's word: "stop"; "length" where `max_tokens` cut the answer; "tool_calls" where it
    waits for tools; "content_filter"; None where the server gives none. `fallback` names the fallback that answered, if
    one did.
    """

    text: str
    model: str
    usage: Usage | None = None
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: Reasoning | None = None
    fallback: FallbackUse | None = None

    @property
    def message(self) -> Message:
        """The answer as a message for the next call of the model."""
        if not self.tool_calls and not self.reasoning:
            return Message("assistant", self.text)
        before: tuple[MessagePart, ...] = (self.reasoning,) if self.reasoning else ()
        return Message("assistant", (*before, *((TextPart(self.text),) if self.text else ()), *self.tool_calls))

    @staticmethod
    async def read(pieces: AsyncGenerator["Piece", None]) -> "Completion":
        """The end of an answer whose other pieces are not needed; there always is one."""
        *_, completion = [piece async for piece in pieces]
        return cast(Completion, completion)


Piece = str | Reasoning | ModelProgress | Completion


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model accepts beside text; everything else is refused before the model is called."""

    images: bool = False
    documents: bool = False
    tools: bool = False
    response_schema: bool = False
    window: int = field(default=WINDOW, compare=False)
    """Tokens of question and answer together."""
    passage_bytes: int = field(default=0, compare=False)
    """The most bytes of passages for a model that reads slowly; 0 for no limit."""

    def check(self, call: ModelCall, provider: str) -> list[FilePart]:
        """The files in the call, nearly always none. Raises ProviderRefused for what the model does not accept."""
        if call.tools:
            self._require(self.tools, call, provider, "calls no tools")
            if len(call.tools) > MOST_TOOLS:
                raise ProviderRefused(
                    f"A model is offered {MOST_TOOLS} tools at most, and these are {len(call.tools)}."
                )
        if call.response_schema is not None:
            self._require(self.response_schema, call, provider, "gives no JSON of a schema")
        files: list[FilePart] = []
        for message in call.messages:
            if message.content.__class__ is not str:
                files += self._check_parts(message.parts, call, provider)
        if files and (size := sum(file.size for file in files)) > MOST_FILE_BYTES:
            raise ProviderRefused(
                f"The files of this conversation have {size / 1e6:.1f} MB, and a model is sent "
                f"{MOST_FILE_BYTES / 1e6:.0f} MB at most.",
                hint="Start a new session, or send smaller files.",
            )
        return files

    def check_window(self, call: ModelCall) -> None:
        """Raises ProviderRefused where the call's texts, judged by their bytes, exceed the model's window."""
        texts = (getattr(part, "text", "") for message in call.messages for part in message.parts)
        tokens = sum(len(text.encode(errors="replace")) for text in texts) // _BYTES_A_TOKEN
        if tokens > self.window:
            raise ProviderRefused(f"It holds {self.window:,} tokens, and the call has some {tokens:,}.")

    def _check_parts(self, parts: tuple[MessagePart, ...], call: ModelCall, provider: str) -> list[FilePart]:
        if len(parts) > MOST_PARTS:
            raise ProviderRefused(f"A message to a model has {MOST_PARTS} parts at most, and this one {len(parts)}.")
        if any(isinstance(part, ToolCall) for part in parts):
            self._require(self.tools, call, provider, "calls no tools")
        files = [part for part in parts if isinstance(part, FilePart)]
        for file in files:
            takes, lacks = (self.images, "sees no images") if file.is_image else (self.documents, "reads no documents")
            self._require(takes, call, provider, lacks)
        return files

    def _require(self, takes: bool, call: ModelCall, provider: str, lacks: str) -> None:
        if not takes:
            raise ProviderRefused(
                f"The model '{provider}:{call.model}' {lacks}.",
                hint="Name another model in the flow. If this one can: `providers."
                f"{provider}.takes` in config.yaml says what it takes.",
            )


class Provider(Protocol):
    """Answers calls for one entry of `providers:`.

    What the model does not accept, by `takes`, is refused by `Capabilities.check` before the server is called. Every
    failure is raised as an `errors.ProviderError`, an answer over the limits as AnswerTooLong. Cancelling the task, or
    closing the generator, ends the call at the provider too. One instance serves many calls at once on one event loop.
    """

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        """Pieces of text and reasoning as they come; the last piece is a `Completion`, which alone has the tool calls.

        Where weights are being fetched, `ModelProgress` comes first.
        """

    async def complete(self, call: ModelCall) -> Completion:
        """The whole answer. Raises `ModelNotReady` instead of waiting for weights."""

    def require_ready(self, model: str) -> None:
        """Raises ModelNotReady where `complete` would find no weights, and begins to fetch them, if allowed.

        For endpoints that refuse a call rather than let it wait.
        """

    def takes(self, model: str) -> Capabilities:
        """What this model accepts beside text, as far as that is known without a call."""

    async def close(self) -> None:
        """Closes connections and ends child processes."""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider gets from its process: a `folder` for its files, and `egress`, how its calls leave the
    process."""

    folder: Path
    egress: EgressSettings = USUAL_EGRESS


class ProviderSettings(ConfigSection):
    """One entry of `providers:`; the entry's name stands before the colon in `model: NAME:MODEL`.

    A kind of provider is a subclass: `type` with its own word as default, the settings that only it has, and `open`.
    Its word is also the name of a provider that exists without an entry, so every setting has a default.
    """

    only_model: ClassVar[str] = ""
    """The model that is meant where a flow names the provider only; "" where it has to name one."""

    type: str = Field(
        description="What the server speaks; `openai` is any OpenAI-compatible one. Left out: the entry's name "
        "where it is one of these, else `openai` with a `base_url`."
    )
    base_url: Annotated[str, check_http_address("http://127.0.0.1:8000/v1")] | None = Field(
        None, description="Address up to and with `/v1`."
    )
    api_key: SecretStr | None = Field(None, description="The server's key.")
    timeout: float = Field(
        60, gt=0, le=3600, description="Seconds to wait for each piece of a stream, or for a whole answer."
    )
    retries: int = Field(
        2, ge=0, le=10, description="Repeats after 429, 5xx and broken connections, before the first piece only."
    )
    fallback: tuple[str, ...] = Field(
        (),
        max_length=5,
        description="Models of other providers, as `provider:model`, that answer while this one is down: the first "
        "that is not down and takes what the call needs.",
    )
    takes: tuple[Capability, ...] | None = Field(
        None,
        description="What its models take beside text; anything else is refused before the model is asked. Left "
        "out: what is usual for this kind.",
    )
    window: int | None = Field(
        None,
        ge=1_000,
        le=100_000_000,
        description="Tokens that its models hold, question and answer together. Left out: 128,000 (`openai`, "
        "`azure`), 32,000 (`openai` with a `base_url`), 4,096 (`ollama`, whose `OLLAMA_CONTEXT_LENGTH` may say "
        "more), 200,000 (`anthropic`), 1,000,000 (`google`); `local` knows its own.",
    )
    _missing_variable: str | None = PrivateAttr(None)

    @abstractmethod
    def open(self, name: str, context: ProviderContext) -> Provider:
        """The provider, not connected yet; `name` is the entry's. Raises ProviderRefused."""

    def open_embeddings(self, name: str, model: str, egress: EgressSettings) -> "Embeddings":  # noqa: ARG002 - the contract's
        """An embedding model of this provider, not connected yet. Raises ProviderRefused."""
        raise ProviderRefused(
            f"The provider {name!r} gives no vectors, so {model!r} cannot be one of embeddings.",
            hint="Name a model of an OpenAI-compatible server or of Ollama, or leave `embeddings` out.",
        )

    def count_paths_from(self, root: Path) -> Self:  # noqa: ARG002 - a kind with paths in it uses it
        """The same settings with paths relative to `root`, the config file's folder."""
        return self

    def find_capabilities(self, usual: Capabilities) -> Capabilities:
        """The capabilities that `takes` lists, else the usual ones of the kind."""
        takes = usual if self.takes is None else Capabilities(**dict.fromkeys(self.takes, True))
        return replace(takes, window=self.window or usual.window, passage_bytes=usual.passage_bytes)

    @property
    def missing_variable(self) -> str | None:
        """The environment variable that `api_key` names, if it is not set; the key is None then."""
        return self._missing_variable

    def read_key(self, name: str) -> str | None:
        """The key, None where the entry has none. Raises ProviderRefused where its variable is not set."""
        if variable := self.missing_variable:
            raise ProviderRefused(
                f"The provider {name!r} has no key.",
                hint=f"`providers.{name}.api_key` names {variable}: set that in the app's environment and restart it.",
            )
        return self.api_key.get_secret_value() if self.api_key else None

    def find_key(self, name: str, variable: str) -> str | None:
        """The entry's key; without one, and at the vendor's own URL only, the key in the vendor's usual variable.

        Raises ProviderRefused where the vendor needs a key and there is none.
        """
        key = self.read_key(name)
        if not self.base_url and not (key := key or os.environ.get(variable)):
            raise ProviderRefused(
                f"The provider {name!r} has no key.", hint=f"Set {variable} in the app's environment and restart it."
            )
        return key
