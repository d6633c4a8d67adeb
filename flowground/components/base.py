"""The contract of a component type: one pydantic model whose fields are the single source for validation, the JSON
Schema, tweak checks, override widgets and the docs page (`fields` reads it).

A field's metadata stands in `Field(...)`: title, description, bounds, `Literal` choices, and in `json_schema_extra`
the flags `secret`, `literal`, `protected`, `fixed`, `multiline`, `template`, `url` and the kind of value (see
`FieldRules`). Connected fields are separated before validation; the runner gives `run` a copy of the component with
them filled.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict
from pydantic import Field as PydanticField

from flowground.components.outside import NO_OUTSIDE, LookUp, Outside, look_nowhere
from flowground.errors import RunError
from flowground.events import ModelProgress, OutputResult
from flowground.messages import Reasoning, ToolCall, Usage
from flowground.providers.base import Completion, Provider, RunRetries, ToolSpec
from flowground.values import AddedMessage, FileReference, SaidMessage, Value, ValueKind
from flowground.words import Schema

INPUT = "input_value"
"""The field that holds the own input of a component which takes one, and what an output shows; Langflow's name."""
STORE_MESSAGE = "should_store_message"
"""The field of Chat Input and Chat Output by which a turn is not stored; Langflow's name."""
DO_NOT_STORE = "False: the turn is not stored, neither question nor answer, whatever the flow's other chats say."
NAMES_SENDER = "Who is said to have said it, in the API and where earlier messages are told."
_OURS = ("secret", "literal", "protected", "fixed", "multiline", "template", "url", "model_may_set", "kind")
PORT_MARKS = frozenset(".{}?$\n")
"""What no name of an output holds: it means something in a reference."""
NO_PORT = "it is empty, or holds `.`, `{`, `}`, `?` or `$`"
LONGEST_TEXT = 1_000_000
"""Characters of one field that is text, in a flow file or a tweak, unless the field says otherwise."""


class History(Protocol):
    """The conversation this run belongs to, and no other; components know no store."""

    async def read(self, limit: int) -> Sequence[SaidMessage]:
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


class RunInnerFlow(Protocol):
    """Runs another flow as a part of this run: its time and budget, caller and session are this run's."""

    async def __call__(self, flow: str, message: str, inputs: Mapping[str, str]) -> InnerAnswer:
        """`flow` is one of `list_flows`; `inputs` are texts for its Text Inputs, by id, beside the message.

        What its answer says is streamed where the component streams. Raises RunError: the flow is not there, has no
        such input, or is run too deep; ComponentFailed where it fails.
        """


async def run_nowhere(
    flow: str,
    message: str,  # noqa: ARG001 - the contract's
    inputs: Mapping[str, str],  # noqa: ARG001 - the contract's
) -> InnerAnswer:
    """Raises RunError: a component of a type that never waits runs no flow."""
    raise RunError(f"The flow `{flow}` cannot be run here.")


@dataclass(frozen=True, slots=True)
class Tool:
    """Another component of the flow, as an agent may call it.

    `call` gives its answer as text, and whether that says why it failed; it raises what ends the whole run only.
    """

    spec: ToolSpec
    call: Callable[[ToolCall], Awaitable[tuple[str, bool]]]


async def list_no_tools() -> Sequence[Tool]:
    """For components that call none."""
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
    run: RunInnerFlow = run_nowhere
    goes_on: bool = False
    list_tools: Callable[[], Awaitable[Sequence[Tool]]] = list_no_tools
    note_answer: Callable[[Completion], None] = lambda _: None
    retries: RunRetries | None = None
    look_up: LookUp = look_nowhere
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
    """Base of all component types. Subclasses set the class variables, declare fields and implement `run`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=LONGEST_TEXT)

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
    takes_input: ClassVar[str | None] = None
    """"chat" or "text" for components that receive the request's input."""
    gives_output: ClassVar[str | None] = None
    """"chat" or "text" for components whose text is an answer of the flow."""
    is_tool: ClassVar[bool] = False
    """Whether an agent may call it; its first sentence tells models what it does."""
    tool_port: ClassVar[str | None] = None
    """What a model that called it is told, where that is not its first output."""
    needs_as_tool: ClassVar[Collection[str]] = ()
    """Arguments that a model must give, although a flow may leave the fields out: without them it does nothing."""
    filled_inside: ClassVar[Collection[str]] = ()
    """The fields in whose values `{variables}` stand, at any depth."""
    describes_itself: ClassVar[bool] = False
    """Whether what config.yaml names says which arguments it takes as a tool, by `describe` and `take_arguments`."""
    is_toolbox: ClassVar[bool] = False
    """Whether it `describes_itself` as several tools, which `list_offered` names and `choose` picks."""
    file_field: ClassVar[str | None] = None
    """Under what name a tweak names files for it; they are given as `Context.files`, whatever its fields are."""
    records_field: ClassVar[str | None] = None
    """The field whose records are changed, or fill a template."""
    record_template: ClassVar[str | None] = None
    """The field with the template that each of those records fills."""
    shows_files: ClassVar[bool] = False
    """Whether its model is shown what its field `files` refers to."""
    runs_many: ClassVar[bool] = False
    """Whether it runs a flow again and again: nobody is asked within whether a tool may be called."""
    streams: ClassVar[bool] = False
    """Whether it emits its text piece by piece."""
    waits: ClassVar[bool] = True
    """Whether `run` may wait for something; components that never do are run at once, without a task of their own."""

    @property
    def writes(self) -> bool:
        """Whether a run of it may change something beyond this process."""
        return False

    @classmethod
    def list_variables(cls, fields: Mapping[str, Any]) -> Mapping[str, Schema]:  # noqa: ARG003 - some types have them
        """The fields that its texts make and a model may give, with type and description; `fields` as in the file."""
        return {}

    def read_arguments(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a model gives, as the fields take it. Raises RunError with a sentence for the model."""
        return given

    async def describe(
        self,
        spec: ToolSpec,
        outside: Outside,  # noqa: ARG002 - as above
        *,
        is_described: bool,  # noqa: ARG002 - as above
    ) -> tuple[ToolSpec, bool]:
        """What a model is told of it, and whether a call writes; `is_described`: the author said what it does.

        Raises RunError.
        """
        return spec, self.writes

    def tell_model(self, output: Output) -> Output:
        """What a model that called it is told of its output."""
        return output

    def tell_failure(self, message: str) -> str:
        """What a model that called it is told of why it failed."""
        return message

    async def check_call(self, outside: Outside) -> None:
        """Looks, before a person is asked to allow it, whether a run of it could begin. Raises RunError."""

    def show_call(self) -> str | None:
        """What is sent, for a person who is asked to allow it, where the arguments alone do not say; no secret.

        Raises RunError.
        """
        return None

    def list_offered(self) -> Mapping[str, str]:
        """The names of its tools, by those that models call them by, where it `is_toolbox`."""
        return {}

    def choose(self, tool: str) -> Self:
        """It with this one of its tools alone, where it `is_toolbox`."""
        raise NotImplementedError

    def take_arguments(self, given: Mapping[str, Any]) -> Self:
        """With what a model gives, where it `describes_itself`. Raises RunError."""
        raise NotImplementedError

    def list_outputs(self) -> Mapping[str, ValueKind]:
        """The ports of this one component, where its own fields make them."""
        return self.outputs

    def find_record_names(self, port: str, taken: frozenset[str] | None) -> frozenset[str] | None:  # noqa: ARG002 - the contract's
        """The names in the records that this port gives, where the file alone tells; `taken` are those it takes."""
        return None

    @property
    def fills_template(self) -> bool:
        """Whether its `record_template` is filled."""
        return self.record_template is not None

    def spread(self, value: Value) -> Mapping[str, Value]:
        """What stands on the ports where this stands on the first: more where others are parts of it."""
        return {next(iter(self.list_outputs())): value}

    @property
    def may_leave_outputs(self) -> bool:
        """Whether a run may end without one of its outputs; what refers to it is skipped then."""
        return self.branches

    def list_models(self) -> tuple[str | None, ...]:
        """The models that `run` may ask, as `provider:model`; None is the configured default."""
        return ()

    def list_flows(self) -> tuple[str, ...]:
        """The flows that `run` may run, by id or endpoint name."""
        return ()

    def find_own_input(self) -> str | None:
        """What `run` takes as its input when the request brings none; for components that set `takes_input`."""
        return None

    def list_mistakes(self) -> Iterator[Mistake]:
        """What is wrong although every field by itself is right; connected fields hold "" here."""
        yield from ()

    @property
    def keeps_messages(self) -> bool:
        """Whether a turn in which it takes part is stored; one component that says no is enough."""
        return True

    async def run(self, context: Context) -> Output:
        """What the component gives in this run. Raises `RunError`s only."""
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
    extra = {name: value for name in _OURS if (value := given.pop(name, None))}
    if extra.get("secret") or extra.get("fixed"):
        extra |= {"literal": True, "protected": True}
    return PydanticField(default, title=title, description=description, json_schema_extra=extra, **given)


def declare_model() -> Any:
    """The field `model` of a component that asks one."""
    says = (
        "`provider:model`, for example `local`, `openai:gpt-5-mini`, `ollama:qwen3`; `default_model` of config.yaml "
        "when left out."
    )
    return declare(None, "Model", says, literal=True, protected=True)
