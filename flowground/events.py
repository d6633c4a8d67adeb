"""What a turn says while it runs, in order: one typed stream, one encoder a door.

`TurnStarted`, then `ComponentStarted`/`ComponentFinished` for each component, `Token` and `ModelProgress` between them,
and `TurnFinished` last. A failure is raised as an error, never sent as an event.
The runner ends with `RunFinished`; `turns` makes `TurnFinished` of it once the answer is stored.

Whoever reads a stream matches every event and ends with `assert_never`, so that a new one is missed nowhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flowground.messages import Usage, Versions

StepStatus = Literal["done", "skipped", "failed"]
"""How a component came to its end, where the run went on."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The run, and the user's message, are stored.

    `answer_ids` maps each answering output's id (Chat Outputs, else Text Outputs) to the id its message will have.
    `warnings` says which tweaks were left out, where the settings only warn of them. Not `is_kept`: neither the message
    nor the answers are stored, and there is nothing of them once the turn is forgotten. `versions` are the question's,
    where it is one of several.
    """

    run_id: str
    flow_id: str
    session_id: str
    started_at: datetime
    user_message_id: str
    input_value: str | None
    answer_ids: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    is_kept: bool = True
    versions: Versions = ()


@dataclass(frozen=True, slots=True)
class ComponentStarted:
    """All that the component waited for is there; it begins."""

    component_id: str


@dataclass(frozen=True, slots=True)
class ComponentFinished:
    """`seconds` is wall time; `text` is what the component gave (for authors' eyes only).

    `skipped`: it did not run, since what it refers to did not. `failed`: `text` says why, and the run went on with the
    component's fallback.
    """

    component_id: str
    type: str
    seconds: float
    text: str
    usage: Usage | None = None
    model: str | None = None
    status: StepStatus = "done"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text that the Chat Output `component_id` will show."""

    component_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ModelProgress:
    """The built-in model is being fetched: bytes so far, of all, and seconds left where they can be told."""

    model: str
    received: int
    total: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class OutputResult:
    """What one output component (or, with output_type "debug", any component) gave.

    `source_id`, `source_name` and `model` name the component whose text it is; `finish_reason` is why its model ended,
    "length" where the text was cut by `max_tokens`.
    """

    component_id: str
    type: str
    display_name: str
    text: str
    source_id: str | None
    source_name: str | None
    model: str | None
    usage: Usage | None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Results:
    """`results` has every output of the flow and what the request selected beyond them.

    An output that was skipped is not among them. `selected` names those the request asked for, in the flow's order;
    `usage` sums all models.
    """

    results: Mapping[str, OutputResult]
    selected: tuple[str, ...]
    seconds: float
    usage: Usage | None

    @property
    def outputs(self) -> tuple[OutputResult, ...]:
        """The results the request asked for."""
        return tuple(self.results[name] for name in self.selected)


@dataclass(frozen=True, slots=True)
class RunFinished(_Results):
    """Every component gave its text; nothing is stored yet."""


@dataclass(frozen=True, slots=True)
class TurnFinished(_Results):
    """The answer is stored. `turn` is how it began."""

    turn: TurnStarted


ComponentEvent = ComponentStarted | ComponentFinished | Token | ModelProgress
"""What comes between the first event and the last."""
RunEvent = ComponentEvent | RunFinished
Event = TurnStarted | ComponentEvent | TurnFinished
