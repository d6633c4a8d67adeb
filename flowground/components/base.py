"""The contract of a component type: `Component`, and `Context`, which a run passes to a component.

`Field(...)` has a field's metadata: title, description, bounds, `Literal` choices, and in `json_schema_extra` the marks
of `FieldRules`. Connected fields are removed before validation (`flows.fields` reads the model).
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict
from pydantic import Field as PydanticField

from flowground.core.errors import RunError
from flowground.core.events import ModelProgress, OutputResult
from flowground.core.messages import Reasoning, ToolCall, Usage
from flowground.core.values import AddedMessage, FileReference, PastMessage, Record, Value, ValueKind
from flowground.knowledge.extraction import Extracted
from flowground.providers.base import Completion, Provider, RunRetries, ToolSpec
from flowground.tools.functions import OwnFunction
from flowground.tools.mcp import ServerTool
from flowground.tools.outgoing import OutgoingAnswer, OutgoingCall
from flowground.tools.settings import SqlParts

INPUT = "input_value"
"""The field with an input component's own input, and with what an output shows; Langflow's name."""
STORE_MESSAGE = "should_store_message"
"""The field of Chat Input and Chat Output that keeps a turn from being stored; Langflow's name."""
DO_NOT_STORE = "False: neither question nor answer is stored, whatever the flow's other chats say."
NAMES_SENDER = "Who is said to have said it, in the API and where earlier messages are told."
FIELD_MARKS = (
    "secret", "literal", "protected", "fixed", "multiline", "template", "url", "model_may_set", "model_must_set", "kind"
)  # fmt: skip
"""The `FieldRules` that pydantic does not know."""
_WORD_BREAK = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
Kind = Literal["chat", "text"]
"""The kind of an input or output of a flow, as a request's `input_type` and `output_type` name it."""
PORT_MARKS = frozenset(".{}?$\n")
"""Characters that no name of an output may have, because they have a meaning in references."""
NO_PORT = "it is empty, or holds `.`, `{`, `}`, `?` or `$`"
LONGEST_TEXT = 1_000_000
"""The most characters of a text field in a flow file or a tweak, unless the field sets its own limit."""


class History(Protocol):
    """The conversation of this run, and no other; components do not know the store."""

    async def read(self, limit: int) -> Sequence[PastMessage]:
        """The last `limit` messages before this turn, oldest first, without the current message."""

    def append(self, message: AddedMessage) -> bool:
        """Adds a message for later turns: it is stored once with this turn's answers, however the turn ends. False
        where the turn is not stored. Raises RunError for too many or too long messages."""


class Models(Protocol):
    """Finds the provider for a `provider:model` string."""

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """The provider and the model's name there; None means the configured default. Raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class InnerAnswer:
    """The result of a flow that a component ran: its outputs that ran, Chat Outputs first; `usage` sums its models."""

    outputs: Sequence[OutputResult]
    usage: Usage | None


RunInnerFlow = Callable[[str, str, Mapping[str, str]], Awaitable[InnerAnswer]]
"""Runs another flow as a part of this run, with this run's time, budget, caller and session.

Arguments are one of `list_flows`, the message, and texts for the flow's Text Inputs by id. The answer is streamed where
the component streams. Raises RunError where there is no such flow or input, or flows are nested too deeply;
ComponentFailed where the flow fails.
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """Another component of the flow, as an agent may call it.

    `call` returns the answer as text, and whether that is the reason of a failure; it raises only what ends the whole
    run.
    """

    spec: ToolSpec
    call: Callable[[ToolCall], Awaitable[tuple[str, bool]]]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The result of a look-up. `note` is a sentence about the likely mistake where nothing was found; "" for none."""

    records: Sequence[Record]
    note: str = ""


class LookUp(Protocol):
    """Finds passages in files of a knowledge; components do not know the index."""

    async def __call__(
        self, knowledge: str, question: str, *, top_k: int, threshold: float, filters: Mapping[str, Any]
    ) -> LookedUp:
        """The best passages with at least that score, as records with `number`, `text`, `source`, `start`, `end` and
        `score`. Raises RunError."""


class SentFileReader(Protocol):
    """Reads files that were sent with a message; components do not know where files are stored."""

    async def read(self, file: FileReference) -> bytes:
        """The file's bytes. Raises RunError where the file is gone."""

    async def extract(self, file: FileReference) -> str:
        """The file's text. Raises RunError where the file is gone or has no text."""


class ToolServers(Protocol):
    """MCP servers by the names that config.yaml gives them."""

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """The tool. Raises RunError where the server cannot be reached, or has no usable tool of this name."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """The text of the tool's result; `arguments` are sent unchanged. Raises RunError."""


def _refuse(*_: Any, **__: Any) -> Any:
    raise RunError("Nothing beyond this flow can be reached here.")


class _Nothing:
    """Replaces stored files and MCP servers where there are none. Raises RunError."""

    read = extract = find_tool = call = staticmethod(_refuse)


_NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Outside:
    """What a run may reach beyond its models, as configured by the operator. Components open nothing themselves.

    Every call raises RunError where its part is not configured, or fails.
    """

    look_ups: Callable[[str], LookUp] = lambda _: _refuse
    """Flow id -> the function that looks up passages for that flow."""
    ask: Callable[[OutgoingCall], Awaitable[OutgoingAnswer]] = _refuse
    """Calls another server, through the guarded client of `flowground.tools.outgoing`."""
    extract: Callable[[bytes, str], Awaitable[Extracted]] = _refuse
    """The text of a fetched file, from its bytes and a name with its ending, read in another process. Raises
    FileUnreadable."""
    search: Callable[[str, int], Awaitable[Sequence[Record]]] = _refuse
    """Web pages for a query, at most so many."""
    ask_database: Callable[[str, SqlParts], Awaitable[Sequence[Record]]] = _refuse
    """The rows of a query in the database of this name."""
    find_function: Callable[[str], OwnFunction] = _refuse
    """The operator's function of this name."""
    sent_files: SentFileReader = _NOTHING
    """The files of the message."""
    read_file: Callable[[FileReference | str], Awaitable[Extracted]] = _refuse
    """The text of a file that was sent, or of an author's file by its path below the flows folder."""
    servers: ToolServers = _NOTHING
    """The MCP servers."""


NO_OUTSIDE = Outside()
"""For runs that reach nothing outside."""


async def _list_no_tools() -> Sequence[Tool]:
    return ()


@dataclass(slots=True)  # frozen it would take four times as long to make, for each component of each run
class Context:
    """What a component may use while it runs.

    `input_value` is the text that the request has for this component, or None (only input components read it). `emit`
    takes pieces of text, reasoning and progress as they come, and waits while too many are unread; it is None where
    nobody watches, so that `complete` suffices. `goes_on`: the run continues if the component fails (`step.on_error`).
    `list_tools` returns the tools that the component names. `note_answer` counts the token usage of a model's answer.
    `retries` go with each call of a model. `files` are the request's files for this component. `time_zone` is the name
    of the asking person's time zone. `outside` is what the component may reach beyond this process.
    """

    component_id: str
    input_value: str | None
    history: History
    models: Models
    emit: Callable[[str | Reasoning | ModelProgress], Awaitable[None]] | None
    run: RunInnerFlow = _refuse
    goes_on: bool = False
    list_tools: Callable[[], Awaitable[Sequence[Tool]]] = _list_no_tools
    note_answer: Callable[[Completion], None] = lambda _: None
    retries: RunRetries | None = None
    look_up: LookUp = _refuse
    files: Sequence[FileReference] = ()
    time_zone: str = "UTC"
    outside: Outside = NO_OUTSIDE


@dataclass(frozen=True, slots=True)
class Output:
    """The result of a component: values by port, each of the port's kind. What refers to a missing port is skipped.

    `model`, `usage` (tokens) and `finish_reason` are those of the model that was called. `note` is a sentence about a
    likely mistake although the component ran; "" for none. `unseen` are sentences about files of the message that the
    model was not shown.
    """

    values: Mapping[str, Value]
    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    note: str = ""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a field that only the component itself can find, as a sentence.

    `offset` is the character of the field's text with the mistake; `missing` is a field that should be set; `choices`
    are words among which the right one may be.
    """

    field: str
    message: str
    missing: str | None = None
    offset: int = 0
    choices: tuple[str, ...] = ()


class Component(BaseModel):
    """A type of component: a pydantic model whose fields are what a flow file may say of one.

    A subclass sets `outputs`, declares its fields with `declare` (their titles, bounds and marks are the single source
    of validation, JSON Schema, tweak checks, widgets and docs), and implements `run`. Its docstring is its description
    in the docs. Its module stands in `_MODULES` of `components/__init__.py`, or its package names it as an entry point
    of the group `flowground.components`.

    What is unusual about the type, it says: by the class variables `branches`, `calls_out`, `streams` and `waits`, and
    by the methods below, which tell of one component what its own fields decide. A type that an agent may call derives
    from `ToolComponent`; one that takes the request's input, or gives an answer of the flow, from the classes in `io`.

    An instance is frozen, and serves many runs: the runner gives `run` a copy whose connected fields are filled.
    """

    # `defer_build`: a type is built once a flow has it, not at each start.
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=LONGEST_TEXT, defer_build=True
    )

    type_name: ClassVar[str]
    """The value of `type:` in a flow file; Langflow's name, and the class's."""
    title: ClassVar[str]
    """The default display name; Langflow's. The class's name in words where the class says none."""
    outputs: ClassVar[Mapping[str, ValueKind]]
    """The ports, by the names used in `${id.output}`, with the kind of value each gives; `${id}` is the first."""
    input_kind: ClassVar[Kind | None] = None
    """The kind of the request's input that the component receives."""
    output_kind: ClassVar[Kind | None] = None
    """The kind of the flow's answer that the component gives."""
    branches: ClassVar[bool] = False
    """Whether the component gives only some of its ports; references must then name a port."""
    calls_out: ClassVar[bool] = False
    """Whether the component calls something that may fail; `step.on_error` may then be set."""
    streams: ClassVar[bool] = False
    """Whether the component emits its text in pieces."""
    waits: ClassVar[bool] = True
    """Whether `run` may wait; components that never do run at once, without a task of their own."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name, own in (("type_name", cls.__name__), ("title", _WORD_BREAK.sub(" ", cls.__name__))):
            if name not in vars(cls):
                setattr(cls, name, own)

    @property
    def writes(self) -> bool:
        """Whether a run of the component may change something outside this process."""
        return False

    @property
    def may_leave_outputs(self) -> bool:
        """Whether a run may end without one of the outputs; what refers to that output is then skipped."""
        return self.branches

    def list_outputs(self) -> Mapping[str, ValueKind]:
        """The ports of this component, where they depend on its fields."""
        return self.outputs

    def list_models(self) -> tuple[str | None, ...]:
        """The models that `run` may ask, as `provider:model`; None is the configured default."""
        return ()

    def list_flows(self) -> tuple[str, ...]:
        """The flows that `run` may run, by id or endpoint name."""
        return ()

    def list_mistakes(self) -> Iterator[Mistake]:
        """Mistakes in fields that are valid one by one; connected fields are "" here."""
        yield from ()

    async def run(self, context: Context) -> Output:
        """The component's output in this run. Raises only `RunError`s."""
        raise NotImplementedError


class ToolComponent(Component):
    """A type of component that an agent may call as a tool.

    The model gives the fields that are declared with `model_may_set` and that the flow file leaves out. The first
    sentence of the type's docstring tells the model what the tool does, unless the file describes it.
    """

    async def preview_call(self, outside: Outside) -> str | None:  # noqa: ARG002 - the contract's
        """Checks, before a person is asked to allow the call, that it can be made; returns what would be sent.

        None where the arguments alone show that. The text has no secret in it. Raises RunError.
        """
        return None

    def show_result(self, output: Output) -> Output:
        """The part of the output that the model sees: the first port, as text."""
        return output

    def show_failure(self, message: str) -> str:
        """The reason of a failure, as the model sees it."""
        return message


class DynamicTool(ToolComponent):
    """A tool whose arguments depend on what config.yaml names, not on its fields."""

    async def describe(self, spec: ToolSpec, outside: Outside, *, is_described: bool) -> tuple[ToolSpec, bool]:
        """The tool as a model sees it, and whether a call writes; `is_described`: the author described the tool.

        Raises RunError.
        """
        raise NotImplementedError

    def take_arguments(self, arguments: Mapping[str, Any]) -> Self:
        """The component with the model's arguments. Raises RunError."""
        raise NotImplementedError


class FieldRules(TypedDict, total=False):
    """Options of a field beside its words; pydantic knows those without a docstring (`ge`, `max_length`, …)."""

    secret: bool
    """May hold `${env:NAME}`, is never shown, is literal and protected."""
    literal: bool
    """No reference may fill the field."""
    protected: bool
    """Callers may set the field only if the author opens it."""
    fixed: bool
    """Literal and protected, and not to be opened: the field determines outputs, or names other flows."""
    multiline: bool
    """Edited in a text area."""
    template: bool
    """Holds `{variables}`."""
    url: bool
    """A URL: values that are filled in are percent-encoded."""
    model_may_set: bool
    """The model sets the field where the component is a tool and the author left it unset."""
    model_must_set: bool
    """As `model_may_set`, but the model must set the field: a flow may leave it out, while the tool would do
    nothing."""
    kind: ValueKind
    """The kind of value that fills the field; by default text where the field is text, else data."""
    ge: float
    gt: float
    le: float
    lt: float
    min_length: int
    max_length: int


def declare(default: Any, title: str, description: str, **rules: Unpack[FieldRules]) -> Any:
    """A component's field with the metadata that all readers of the model need."""
    given: dict[str, Any] = dict(rules)
    extra = {name: value for name in FIELD_MARKS if (value := given.pop(name, None))}
    if extra.get("model_must_set"):
        extra["model_may_set"] = True
    if extra.get("secret") or extra.get("fixed"):
        extra |= {"literal": True, "protected": True}
    return PydanticField(default, title=title, description=description, json_schema_extra=extra, **given)


class AsksModel(Component):
    """A type of component that asks a model."""

    calls_out: ClassVar[bool] = True

    model: str | None = declare(
        None,
        "Model",
        "`provider:model`, like `local`, `openai:gpt-5-mini`, `ollama:qwen3`; `default_model` of config.yaml "
        "when left out.",
        literal=True,
        protected=True,
    )

    def list_models(self) -> tuple[str | None, ...]:
        return (self.model,)


class TakesTexts(Component):
    """A type of component that takes texts by other names beside its fields, such as the variables of a template.

    It is the last of a class's bases: pydantic takes what they disagree about from the last one.
    """

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, str]
