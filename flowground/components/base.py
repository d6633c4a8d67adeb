"""The contract of a component type: one pydantic model whose fields are the single source for validation, the JSON
Schema, tweak checks, override widgets and the docs page (`fields` reads it).

A field's metadata stands in `Field(...)`: title, description, bounds, `Literal` choices, and in `json_schema_extra`
the flags `secret`, `literal`, `protected`, `multiline`, `template` and the kind of value (see `FieldRules`). Connected
fields are separated before validation; the runner gives `run` a copy of the component in which they are filled.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypedDict, Unpack

from pydantic import BaseModel, ConfigDict
from pydantic import Field as PydanticField

from flowground.events import ModelProgress
from flowground.messages import Message, Usage
from flowground.providers.base import Provider
from flowground.values import Value, ValueKind

INPUT = "input_value"
"""The field that holds the own input of a component which takes one, and what an output shows; Langflow's name."""
STORE_MESSAGE = "should_store_message"
"""The field of Chat Input and Chat Output by which a turn is not stored; Langflow's name."""
DO_NOT_STORE = "False: the turn is not stored, neither question nor answer, whatever the flow's other chats say."
_OURS = ("secret", "literal", "protected", "multiline", "template", "kind")
PORT_MARKS = frozenset(".{}?$\n")
"""What no name of an output holds: it means something in a reference."""
NO_PORT = "it is empty, or holds `.`, `{`, `}`, `?` or `$`"
LONGEST_TEXT = 1_000_000
"""Characters of one field that is text, in a flow file or a tweak, unless the field says otherwise."""


class History(Protocol):
    """Earlier messages of the session this run belongs to; components know no store."""

    async def __call__(self, limit: int) -> Sequence[Message]:
        """The last `limit` messages before this turn, oldest first; the current message is not among them."""
        ...


class Models(Protocol):
    """Finds who answers for a `provider:model` string."""

    def resolve(self, model: str | None) -> tuple[Provider, str]:
        """The provider and the model's name there; None means the configured default. Raises `ProviderError`."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a component may reach while it runs.

    `input_value` is the text this component was given from outside, or None (only input components read it).
    `emit` takes pieces of text and progress as they come, and waits while too many of them are unread; it is None where
    nobody watches, so `complete` will do.
    """

    component_id: str
    input_value: str | None
    history: History
    models: Models
    emit: Callable[[str | ModelProgress], Awaitable[None]] | None


@dataclass(frozen=True, slots=True)
class Output:
    """What a component gives: values by port, each of the port's kind. A port that is not among them is not taken.

    `model`, `usage` (tokens) and `finish_reason` are those of the model that was asked.
    """

    values: Mapping[str, Value]
    model: str | None = None
    usage: Usage | None = None
    finish_reason: str | None = None


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
    streams: ClassVar[bool] = False
    """Whether it emits its text piece by piece."""
    waits: ClassVar[bool] = True
    """Whether `run` may wait for something; components that never do are run at once, without a task of their own."""

    def list_outputs(self) -> Mapping[str, ValueKind]:
        """The ports of this one component, where its own fields make them."""
        return self.outputs

    @property
    def may_leave_outputs(self) -> bool:
        """Whether a run may end without one of its outputs; what refers to it is skipped then."""
        return self.branches

    def list_models(self) -> tuple[str | None, ...]:
        """The models that `run` may ask, as `provider:model`; None is the configured default."""
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
    multiline: bool
    """Wants a text area."""
    template: bool
    """Holds `{variables}`."""
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
    if extra.get("secret"):
        extra |= {"literal": True, "protected": True}
    return PydanticField(default, title=title, description=description, json_schema_extra=extra, **given)


def declare_model() -> Any:
    """The field `model` of a component that asks one."""
    says = (
        "`provider:model`, for example `local`, `openai:gpt-5-mini`, `ollama:qwen3`; `default_model` of config.yaml "
        "when left out."
    )
    return declare(None, "Model", says, literal=True, protected=True)
