"""The contract of a model provider, the hot path of every run; and of its settings, which open it."""

import os
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self, cast

from pydantic import Field, PrivateAttr, SecretStr

from flowground.core.errors import ProviderRefused
from flowground.core.events import ModelProgress
from flowground.core.messages import FilePart, Message, MessagePart, Reasoning, StandIn, TextPart, ToolCall, Usage
from flowground.core.yaml_file import ConfigSection, check_http_address
from flowground.providers.egress import USUAL_EGRESS, EgressSettings

if TYPE_CHECKING:
    from flowground.knowledge.embeddings import Embeddings

Capability = Literal["images", "documents", "tools", "response_schema"]
MOST_TOOLS = 128
"""Tools that one call offers; OpenAI takes no more."""
MOST_PARTS = 1_000
"""Parts of one message."""
WINDOW = 128_000
"""Tokens that a model holds at once, where its provider says nothing else."""
_BYTES_A_TOKEN = 4
"""Of texts, on average."""
MOST_FILE_BYTES = 20_000_000
"""Of all files in one call: they are in memory, a third larger as base64, until the answer begins."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that a model may call; `parameters` is the JSON Schema of its arguments, an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class RunRetries(Protocol):
    """What the calls of one run share: how often they may be repeated, and whom they were sent to instead."""

    def take_retry(self) -> bool:
        """Whether a call that failed may be repeated once more."""

    def note_stand_in(self, provider: str) -> None:
        """A call goes to this provider, which the flow does not name."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request to a model. `options` holds only what the flow sets (temperature, max_tokens, …).

    `response_schema` is the JSON Schema that the answer, a JSON object, is to fit; a server may not keep to it.
    `tool_choice` is "auto", "none", or the name of the tool that is to be called, where the server can say so.
    `retries` is the run's; without it each call has those of its provider's settings.
    """

    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, float | int | str]
    response_schema: Mapping[str, Any] | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    retries: RunRetries | None = None

    def take_retry(self) -> bool:
        """As `RunRetries` says."""
        return self.retries is None or self.retries.take_retry()


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an answer. `text` is the whole of it; `model` is the name to show under it.

    `finish_reason` is the server's word for why it ended: "stop"; "length" where `max_tokens` cut it; "tool_calls"
    where tools are waited for; "content_filter". None where it is not told. `stand_in` says who gave it where that was
    a fallback.
    """

    text: str
    model: str
    usage: Usage | None = None
    finish_reason: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    reasoning: Reasoning | None = None
    stand_in: StandIn | None = None

    @property
    def message(self) -> Message:
        """The answer as the model is shown it when it is asked again."""
        if not self.tool_calls and not self.reasoning:
            return Message("assistant", self.text)
        before: tuple[MessagePart, ...] = (self.reasoning,) if self.reasoning else ()
        return Message("assistant", (*before, *((TextPart(self.text),) if self.text else ()), *self.tool_calls))

    @staticmethod
    async def read(pieces: AsyncGenerator["Piece", None]) -> "Completion":
        """The end of an answer whose pieces nobody wants; there is always one."""
        *_, completion = [piece async for piece in pieces]
        return cast(Completion, completion)


Piece = str | Reasoning | ModelProgress | Completion


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model takes beside text: what is not said here is refused before the model is asked."""

    images: bool = False
    documents: bool = False
    tools: bool = False
    response_schema: bool = False
    window: int = field(default=WINDOW, compare=False)
    """Tokens of question and answer together."""
    passage_bytes: int = field(default=0, compare=False)
    """Of passages that a flow gives a model which reads slowly; 0 for all that were found."""

    def check(self, call: ModelCall, provider: str) -> list[FilePart]:
        """The files in the call, nearly always none. Raises ProviderRefused for what the model does not take."""
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
        """Raises ProviderRefused where the call's texts alone have more tokens than the model holds, by their bytes."""
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

    What the model does not take, by `takes`, is refused by `Capabilities.check` before anybody is asked. Every failure
    is raised as an `errors.ProviderError`, an answer beyond all bounds as AnswerTooLong. Cancelling
    the task, or closing the generator, ends the call at the provider too. One instance serves many calls at once on one
    event loop.
    """

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        """Pieces of text and of reasoning as they come, and one `Completion` last, which alone has the tool calls.

        `ModelProgress` comes before them where weights are fetched.
        """

    async def complete(self, call: ModelCall) -> Completion:
        """The whole answer at once. Raises `ModelNotReady` rather than wait for weights."""

    def require_ready(self, model: str) -> None:
        """Returns when `complete` would find weights; else begins their fetch, where allowed, and raises ModelNotReady.

        For doors that would rather refuse than wait, before they promise a stream.
        """

    def takes(self, model: str) -> Capabilities:
        """What this model takes beside text, as far as it is known without asking."""

    async def close(self) -> None:
        """Frees connections and child processes."""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider gets of its process: `folder` for files of its own, `egress` how its calls leave the process."""

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
        """The provider, without a connection yet; `name` is the entry's. Raises ProviderRefused."""

    def open_embeddings(self, name: str, model: str, egress: EgressSettings) -> "Embeddings":  # noqa: ARG002 - the contract's
        """A model of vectors of this provider, without a connection yet. Raises ProviderRefused."""
        raise ProviderRefused(
            f"The provider {name!r} gives no vectors, so {model!r} cannot be one of embeddings.",
            hint="Name a model of an OpenAI-compatible server or of Ollama, or leave `embeddings` out.",
        )

    def count_paths_from(self, root: Path) -> Self:  # noqa: ARG002 - a kind with paths in it uses it
        """The same settings with relative paths counted from `root`, the config file's folder."""
        return self

    def find_capabilities(self, usual: Capabilities) -> Capabilities:
        """What `takes` says, else what is usual for the kind."""
        takes = usual if self.takes is None else Capabilities(**dict.fromkeys(self.takes, True))
        return replace(takes, window=self.window or usual.window, passage_bytes=usual.passage_bytes)

    @property
    def missing_variable(self) -> str | None:
        """The environment variable that `api_key` names and that is not set; the key is None then."""
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
        """The key, at the vendor's own address else its usual variable: that one goes nowhere else.

        Raises ProviderRefused where there is none and the vendor needs one.
        """
        key = self.read_key(name)
        if not self.base_url and not (key := key or os.environ.get(variable)):
            raise ProviderRefused(
                f"The provider {name!r} has no key.",
                hint=f"Set {variable} in the app's environment and restart it.",
            )
        return key
