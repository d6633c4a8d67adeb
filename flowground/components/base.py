"""The contract of a component type: `Component`, and what a run hands to one, `Context`.

A field's metadata stands in `Field(...)`: title, description, bounds, `Literal` choices, and in `json_schema_extra`
the marks of `FieldRules`. Connected fields are separated before validation (`fields` reads the model).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypedDict, Unpack

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
"""The field that holds the own input of a component which takes one, and what an output shows; Langflow's name."""
STORE_MESSAGE = "should_store_message"
"""The field of Chat Input and Chat Output by which a turn is not stored; Langflow's name."""
DO_NOT_STORE = "False: question and answer are not stored."
NAMES_SENDER = "The sender's name in the API and in earlier messages."
FIELD_MARKS = (
    "secret", "literal", "protected", "fixed", "multiline", "template", "url", "model_may_set", "model_must_set", "kind"
)  # fmt: skip
"""Those `FieldRules` that pydantic does not know."""
PORT_MARKS = frozenset(".{}?$\n")
"""What no name of an output holds: it means something in a reference."""
NO_PORT = "it is empty, or holds `.`, `{`, `}`, `?` or `$`"
LONGEST_TEXT = 1_000_000
"""Characters of one field that is text, in a flow file or a tweak, unless the field says otherwise."""


class History(Protocol):
    """The conversation this run belongs to, and no other; components know no store."""

    async def read(self, limit: int) -> Sequence[PastMessage]:
        """The last `limit` messages before this turn, oldest first; the current message is not among them."""

    def append(self, message: AddedMessage) -> bool:
        """Adds a message, which later turns are told: it is stored with the answers of this turn, once, in whatever
        state the turn ends. False where nothing of the turn is stored. Raises RunError for too many or too long ones.
        """


class Models(Protocol):
    """Finds who answers for a `provider:model` string."""

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """The provider and the model's name there; None means the configured default. Raises `ProviderError`."""


@dataclass(frozen=True, slots=True)
class InnerAnswer:
    """What a flow gave that a component ran: its outputs that ran, Chat Outputs first; `usage` sums its models."""

    outputs: Sequence[OutputResult]
    usage: Usage | None


RunInnerFlow = Callable[[str, str, Mapping[str, str]], Awaitable[InnerAnswer]]
"""Runs another flow as a part of this run: its time and budget, caller and session are this run's.

It takes one of `list_flows`, the message, and texts for the flow's Text Inputs by their ids. What its answer says is
streamed where the component streams. Raises RunError: the flow is not there, has no such input, or is run too deep;
ComponentFailed where it fails.
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """Another component of the flow, as an agent may call it.

    `call` gives its answer as text, and whether that says why it failed; it raises what ends the whole run only.
    """

    spec: ToolSpec
    call: Callable[[ToolCall], Awaitable[tuple[str, bool]]]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """`note` is a sentence about what is likely a mistake where nothing was found; "" for none."""

    records: Sequence[Record]
    note: str = ""


class LookUp(Protocol):
    """Finds passages of the files that a knowledge names; components know no index."""

    async def __call__(
        self, knowledge: str, question: str, *, top_k: int, threshold: float, filters: Mapping[str, Any]
    ) -> LookedUp:
        """The best passages with at least that score, as records with `number`, `text`, `source`, `start`, `end` and
        `score`. Raises RunError."""


class SentFileReader(Protocol):
    """Reads files that were sent with a message; components know no folder."""

    async def read(self, file: FileReference) -> bytes:
        """All of it. Raises RunError where it is gone."""

    async def extract(self, file: FileReference) -> str:
        """Its text. Raises RunError where it is gone or has none."""


class ToolServers(Protocol):
    """MCP servers by the names that config.yaml gives them."""

    async def find_tool(self, server: str, tool: str) -> ServerTool:
        """Raises RunError where the server cannot be reached, or has no such tool that can be used."""

    async def call(self, server: str, tool: str, arguments: Mapping[str, Any]) -> str:
        """What the tool says; `arguments` are sent as they are. Raises RunError."""


async def _refuse(*_: Any, **__: Any) -> Any:
    raise RunError("Nothing beyond this flow can be reached here.")


def _find_no_function(name: str) -> OwnFunction:
    raise RunError(f"There is no function `{name}` here.")


class _Nothing:
    """What a run has in place of stored files and MCP servers. Raises RunError."""

    read = extract = find_tool = call = staticmethod(_refuse)


_NOTHING = _Nothing()


@dataclass(frozen=True, slots=True)
class Outside:
    """What a run may reach beyond its models: as much as the operator configured. Components open nothing themselves.

    Everything raises RunError; where nothing is configured, always.
    """

    look_ups: Callable[[str], LookUp] = lambda _: _refuse
    """What the flow of an id finds passages by."""
    ask: Callable[[OutgoingCall], Awaitable[OutgoingAnswer]] = _refuse
    """Asks another server, guarded as `flowground.tools.outgoing` says."""
    extract: Callable[[bytes, str], Awaitable[Extracted]] = _refuse
    """The text of a file that came from elsewhere, by its bytes and a name with its ending, read in another process.
    Raises FileUnreadable."""
    search: Callable[[str, int], Awaitable[Sequence[Record]]] = _refuse
    """Pages of the web that a question is about, at most so many."""
    ask_database: Callable[[str, SqlParts], Awaitable[Sequence[Record]]] = _refuse
    """The rows that the database of this name gives for a query."""
    find_function: Callable[[str], OwnFunction] = _find_no_function
    """The operator's function of this name."""
    sent_files: SentFileReader = _NOTHING
    """Those of the message."""
    read_file: Callable[[FileReference | str], Awaitable[Extracted]] = _refuse
    """The text of a file that was sent, or of the author's by its path below the flows folder."""
    servers: ToolServers = _NOTHING
    """MCP servers."""


NO_OUTSIDE = Outside()
"""For runs that reach nothing."""


async def _list_no_tools() -> Sequence[Tool]:
    return ()


@dataclass(slots=True)  # frozen it would take four times as long to make, for each component of each run
class Context:
    """What a component may reach while it runs.

    `input_value` is the text this component was given from outside, or None (only input components read it).
    `emit` takes pieces of text, thoughts and progress as they come, and waits while too many of them are unread; it is
    None where nobody watches, so `complete` will do. `goes_on`: the run goes on where it fails (`step.on_error`).
    `list_tools` asks for those that the component names.
    `note_answer` is told each answer of a model, whose use counts then. `retries` goes with each call of one.
    `files` are what the request sent for this component. `time_zone` is the name of that of who asks. `outside` is what
    it may reach beyond this process.
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
    """What a component gives: values by port, each of the port's kind. A port that is not among them is not taken.

    `model`, `usage` (tokens) and `finish_reason` are those of the model that was asked. `note` is a sentence about what
    is likely a mistake although it ran; "" for none. `unseen` says what of the message's files the model was not shown,
    a sentence each.
    """

    values: Mapping[str, Value]
    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None
    note: str = ""
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mistake:
    """What only a component itself can find wrong, in one of its fields, as a sentence.

    `offset` is the character of the field's text that it is about; `missing` a field that should be given; `choices`
    the words among which the right one may be.
    """

    field: str
    message: str
    missing: str | None = None
    offset: int = 0
    choices: tuple[str, ...] = ()


class Component(BaseModel):
    """A type of component: a pydantic model whose fields are what a flow file may say of one.

    A subclass sets `type_name`, `title` and `outputs`, declares its fields with `declare` (their titles, bounds and
    marks are the single source of validation, JSON Schema, tweak checks, widgets and docs), and implements `run`. Its
    docstring is its description in the docs. Its module adds it to `COMPONENTS`, or its package names it as an entry
    point of the group `flowground.components`.

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
    """The word after `type:` in a flow file; Langflow's name."""
    title: ClassVar[str]
    """Default display name; Langflow's."""
    outputs: ClassVar[Mapping[str, ValueKind]]
    """The ports, by the names usable in `${id.output}`, and the kind of value each gives; `${id}` is the first."""
    branches: ClassVar[bool] = False
    """Whether it gives some of its ports only: then a reference names the one it means."""
    calls_out: ClassVar[bool] = False
    """Whether it asks somebody else, who may fail: then `step.on_error` may be set."""
    streams: ClassVar[bool] = False
    """Whether it emits its text piece by piece."""
    waits: ClassVar[bool] = True
    """Whether `run` may wait for something; components that never do are run at once, without a task of their own."""

    @property
    def writes(self) -> bool:
        """Whether a run of it may change something beyond this process."""
        return False

    @property
    def may_leave_outputs(self) -> bool:
        """Whether a run may end without one of its outputs; what refers to that output is skipped then."""
        return self.branches

    def list_outputs(self) -> Mapping[str, ValueKind]:
        """The ports of this one component, where its own fields make them."""
        return self.outputs

    def list_models(self) -> tuple[str | None, ...]:
        """The models that `run` may ask, as `provider:model`; None is the configured default."""
        return ()

    def list_flows(self) -> tuple[str, ...]:
        """The flows that `run` may run, by id or endpoint name."""
        return ()

    def list_mistakes(self) -> Iterator[Mistake]:
        """What is wrong although every field by itself is right; connected fields hold "" here."""
        yield from ()

    async def run(self, context: Context) -> Output:
        """What the component gives in this run. Raises `RunError`s only."""
        raise NotImplementedError


class ToolComponent(Component):
    """A type of component that an agent may call as a tool.

    The model gives the fields that are declared with `model_may_set` and that the flow file leaves out. The first
    sentence of the type's docstring tells the model what the tool does, unless the file describes it.
    """

    async def preview_call(self, outside: Outside) -> str | None:  # noqa: ARG002 - the contract's
        """Checks, before a person is asked to allow the call, that it could be made, and returns what would be sent.

        None where the arguments alone say that. The text holds no secret. Raises RunError.
        """
        return None

    def show_result(self, output: Output) -> Output:
        """The part of its output that the model sees: the first port of it, as text."""
        return output

    def show_failure(self, message: str) -> str:
        """The reason of a failure as the model sees it."""
        return message


class DynamicTool(ToolComponent):
    """A tool whose arguments are known by what config.yaml names, and not by its fields."""

    async def describe(self, spec: ToolSpec, outside: Outside, *, is_described: bool) -> tuple[ToolSpec, bool]:
        """The tool as a model sees it, and whether a call writes; `is_described`: the author said what the tool does.

        Raises RunError.
        """
        raise NotImplementedError

    def take_arguments(self, arguments: Mapping[str, Any]) -> Self:
        """The component with the arguments that a model gives. Raises RunError."""
        raise NotImplementedError


class FieldRules(TypedDict, total=False):
    """What a field may be told beside its words; what is not named here pydantic knows (`ge`, `max_length`, …)."""

    secret: bool
    """May hold `${env:NAME}`, is never shown, is literal and protected."""
    literal: bool
    """No reference fills it."""
    protected: bool
    """No caller sets it unless the author opens it."""
    fixed: bool
    """Is literal and protected, and nobody opens it: outputs are made from it, or other flows are named."""
    multiline: bool
    """Wants a text area."""
    template: bool
    """Holds `{variables}`."""
    url: bool
    """Is an address: what fills a part of it is percent-encoded."""
    model_may_set: bool
    """A model gives it where the component is a tool and the author left it unset."""
    model_must_set: bool
    """The same, and without it the tool does nothing: a model has to give it, although a flow may leave it out."""
    kind: ValueKind
    """Of the value that fills it; text where the field is text, else data, when left out."""
    ge: float
    gt: float
    le: float
    lt: float
    min_length: int
    max_length: int


def declare(default: Any, title: str, description: str, **rules: Unpack[FieldRules]) -> Any:
    """A component's field with the metadata that every reader of the model needs."""
    given: dict[str, Any] = dict(rules)
    extra = {name: value for name in FIELD_MARKS if (value := given.pop(name, None))}
    if extra.get("model_must_set"):
        extra["model_may_set"] = True
    if extra.get("secret") or extra.get("fixed"):
        extra |= {"literal": True, "protected": True}
    return PydanticField(default, title=title, description=description, json_schema_extra=extra, **given)


def declare_model() -> Any:
    """The field `model` of a component that asks one."""
    says = "`provider:model`, such as `local` or `openai:gpt-5-mini`; `default_model` of config.yaml when left out."
    return declare(None, "Model", says, literal=True, protected=True)
