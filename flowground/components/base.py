"""The contract of a component type: one pydantic model whose fields are the single source for validation, the JSON
Schema, tweak checks, override widgets and the docs page (`fields` reads it).

A field's metadata stands in `Field(...)`: title, description, bounds, `Literal` choices, and in `json_schema_extra`
the flags `secret`, `literal`, `protected`, `multiline`, `template` (see `declare`). Connected fields are separated
before validation; the runner gives `run` a copy of the component in which they are filled.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict
from pydantic import Field as PydanticField

from flowground.events import ModelProgress
from flowground.messages import Message, Usage
from flowground.providers.base import Provider

INPUT = "input_value"
"""The field that holds the own input of a component which takes one, and what an output shows; Langflow's name."""
STORE_MESSAGE = "should_store_message"
"""The field of Chat Input and Chat Output by which a turn is not stored; Langflow's name."""
DO_NOT_STORE = "False: the turn is not stored, neither question nor answer, whatever the flow's other chats say."
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
    """What a component gives: text, and for a model its name and token usage."""

    text: str
    model: str | None = None
    usage: Usage | None = None


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
    outputs: ClassVar[tuple[str, ...]]
    """Names usable in `${id.output}`; all of them stand for the one text."""
    takes_input: ClassVar[str | None] = None
    """"chat" or "text" for components that receive the request's input."""
    gives_output: ClassVar[str | None] = None
    """"chat" or "text" for components whose text is an answer of the flow."""
    streams: ClassVar[bool] = False
    """Whether it emits its text piece by piece."""
    waits: ClassVar[bool] = True
    """Whether `run` may wait for something; components that never do are run at once, without a task of their own."""

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
        """The component's text for this run. Raises `RunError`s only."""
        raise NotImplementedError


def declare(
    default: Any,
    title: str,
    description: str,
    *,
    secret: bool = False,
    literal: bool = False,
    protected: bool = False,
    multiline: bool = False,
    template: bool = False,
    **bounds: Any,
) -> Any:
    """A component's field with the metadata that every reader of the model needs.

    `secret`: may hold `${env:NAME}`, is never shown, is literal and protected. `literal`: no reference fills it.
    `protected`: no caller sets it unless the author opens it.
    `multiline`: wants a text area. `template`: holds `{variables}`.
    `bounds` go to pydantic (ge, le, …).
    """
    flags = {
        "secret": secret,
        "literal": literal or secret,
        "protected": protected or secret,
        "multiline": multiline,
        "template": template,
    }
    extra: dict[str, Any] = {name: value for name, value in flags.items() if value}
    return PydanticField(default, title=title, description=description, json_schema_extra=extra, **bounds)
