"""The contract of a model provider, the hot path of every run; and of its settings, which open it."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, Self, cast

from pydantic import Field, PrivateAttr, SecretStr

from flowground.errors import ProviderRefused
from flowground.events import ModelProgress
from flowground.messages import Message, Usage
from flowground.yaml_file.section import ConfigSection, check_http_address


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request to a model. `options` holds only what the flow sets (temperature, max_tokens, …).

    `response_schema` is the JSON Schema that the answer, a JSON object, is to fit; a server may not keep to it.
    """

    model: str
    messages: tuple[Message, ...]
    options: Mapping[str, float | int | str]
    response_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of an answer. `text` is the whole of it; `model` is the name to show under it.

    `finish_reason` is the server's word for why it ended: "stop"; "length" where `max_tokens` cut it. None where it is
    not told.
    """

    text: str
    model: str
    usage: Usage | None = None
    finish_reason: str | None = None

    @staticmethod
    async def read(pieces: AsyncGenerator["Piece", None]) -> "Completion":
        """The end of an answer whose pieces nobody wants; there is always one."""
        *_, completion = [piece async for piece in pieces]
        return cast(Completion, completion)


Piece = str | ModelProgress | Completion


class Provider(Protocol):
    """Answers calls for one entry of `providers:`.

    Every failure is raised as an `errors.ProviderError`, an answer beyond all bounds as AnswerTooLong. Cancelling
    the task, or closing the generator, ends the call at the provider too. One instance serves many calls at once on one
    event loop.
    """

    def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        """Pieces of text as they come, `ModelProgress` before them where weights are fetched, one `Completion` last."""

    async def complete(self, call: ModelCall) -> Completion:
        """The whole answer at once. Raises `ModelNotReady` rather than wait for weights."""

    def require_ready(self, model: str) -> None:
        """Returns when `complete` would find weights; else begins their fetch, where allowed, and raises ModelNotReady.

        For doors that would rather refuse than wait, before they promise a stream.
        """

    async def close(self) -> None:
        """Frees connections and child processes."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a provider gets of its process: `folder` for files of its own, `answer_chars` as the longest answer."""

    folder: Path
    answer_chars: int


class ProviderSettings(ConfigSection):
    """One entry of `providers:`; the entry's name stands before the colon in `model: NAME:MODEL`.

    A kind of provider is a subclass: `type` with its own word as default, the settings that only it has, and `open`.
    Its word is also the name of a provider that exists without an entry, so every setting has a default.
    """

    only_model: ClassVar[str] = ""
    """The model that is meant where a flow names the provider only; "" where it has to name one."""

    type: str = Field(
        description="What the server speaks; `openai` is any OpenAI-compatible one. Left out: what the entry's name "
        "says, where it is one of these, else `openai`, where the entry has a `base_url`."
    )
    base_url: Annotated[str, check_http_address("http://127.0.0.1:8000/v1")] | None = Field(
        None, description="Address up to and with `/v1`."
    )
    api_key: SecretStr | None = Field(None, description="The server's key; `${env:NAME}` keeps it out of the file.")
    timeout: float = Field(
        60, gt=0, le=3600, description="Seconds to wait for each piece of a stream, or for a whole answer."
    )
    retries: int = Field(
        2, ge=0, le=10, description="Repeats after 429, 5xx and broken connections, before the first piece only."
    )
    _missing_variable: str | None = PrivateAttr(None)

    @abstractmethod
    def open(self, name: str, surroundings: Surroundings) -> Provider:
        """The provider, without a connection yet; `name` is the entry's. Raises ProviderRefused."""

    def count_paths_from(self, root: Path) -> Self:  # noqa: ARG002 - a kind with paths in it uses it
        """The same settings with relative paths counted from `root`, the config file's folder."""
        return self

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
