"""Flows that a component runs: how they are addressed, and what of their events goes on outward."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, assert_never

from flowground.caller import RunRequest
from flowground.components.base import INPUT
from flowground.components.io import input_kind, output_kind
from flowground.errors import ComponentFailed, FlowgroundError, RunError
from flowground.events import (
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    InnerRun,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
)
from flowground.fields.values import change_component
from flowground.runner.budget import RunBudget
from flowground.tweaks import list_missing
from flowground.wiring import WiredFlow, replace_components
from flowground.words import find_nearest, list_names

DEEPEST = 8
"""How many flows, or agents of one flow, may stand within each other, the first one among them."""
MOST_INNER_RUNS = 50
"""Inner runs of one component that a trace keeps."""
_MOST_CHARS = 2_000
"""Of a text of an inner run's step."""


class Events(Protocol):
    """Where the events of a run go."""

    def put(self, event: ComponentEvent) -> None: ...

    async def wait_for_room(self) -> None:
        """Returns when the reader is not far behind."""


@dataclass(slots=True)
class InnerEvents:
    """The events of an inner run: its steps are kept, `say` is told what the output `answer` says; progress,
    passages and actions go on."""

    outer: Events
    budget: RunBudget
    answer: str
    say: Callable[[str], None] | None
    is_kept: bool
    steps: list[ComponentFinished] = field(default_factory=list)

    def put(self, event: ComponentEvent) -> None:
        match event:
            case ComponentFinished():
                if self.is_kept and self.budget.keep_inner_step():
                    self.steps.append(replace(event, text=event.text[:_MOST_CHARS]))
            case Token():
                if self.say and event.component_id == self.answer:
                    self.say(event.text)
            case ModelProgress() | PassagesFound():
                self.outer.put(event)
            case ToolCalled() | ToolWaits() | ToolReturned() | ThinkingBegan() | ModelThought():
                if self.is_kept:
                    self.outer.put(event)
            case ComponentStarted():
                pass
            case _:
                assert_never(event)

    async def wait_for_room(self) -> None:
        await self.outer.wait_for_room()


@dataclass(slots=True)
class InnerRuns:
    """The flows that one component ran: the first of them, and how many."""

    runs: list[InnerRun] = field(default_factory=list)
    count: int = 0

    def add(self, run: InnerRun) -> None:
        """Counts a run that has its end, and keeps it where there is room."""
        self.count += 1
        if len(self.runs) < MOST_INNER_RUNS:
            self.runs.append(run)

    def list(self) -> tuple[InnerRun, ...]:
        """In the order in which they began."""
        return tuple(sorted(self.runs, key=lambda run: run.at))


def find_answer(wired: WiredFlow) -> str:
    """The output whose text is an inner flow's answer: its first Chat Output, else its first output."""
    chats = (name for name in wired.outputs if output_kind(wired.components[name]) == "chat")
    return next(chats, wired.outputs[0])


def prepare_inner(
    wired: WiredFlow, message: str, inputs: Mapping[str, str], *, stream: bool
) -> tuple[WiredFlow, RunRequest]:
    """The flow with its Text Inputs filled, and the request that asks it. Raises RunError for an unknown input,
    and for an option that is required and not given."""
    changed = {}
    for name, text in inputs.items():
        component = wired.components.get(name)
        if component is None or input_kind(component) is None:
            known = [key for key, value in wired.components.items() if input_kind(value)]
            word = find_nearest(name, known)
            hint = f"Did you mean `{word}`?" if word else f"Its inputs are {list_names(known) or 'none'}."
            raise RunError(f"The flow `{wired.id}` has no input `{name}`.", hint=hint)
        changed[name] = change_component(component, {INPUT: text})
    request = RunRequest(message, "chat" if wired.chat_input else "text", "any", stream=stream)
    filled = replace_components(wired, changed)
    if missing := list_missing(filled, request):
        raise RunError(f"The flow `{wired.id}` needs {list_names(f'`{field.key}`' for field in missing)}.")
    return filled, request


def name_component(name: str, error: FlowgroundError) -> ComponentFailed:
    """The failure of a component; of one in a flow that it ran, with the way to it."""
    if isinstance(error, ComponentFailed):
        return ComponentFailed(f"{name} › {error.component_id}", error.cause)
    return ComponentFailed(name, error)
