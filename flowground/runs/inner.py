"""Flows that a component runs: how they are addressed, and what of their events goes on outward.

What one run may use, with all the flows that it runs, and what it used.

The passages that a run looked up, numbered so that an answer can cite them.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, assert_never

from flowground.components.base import INPUT, LookedUp, LookUp
from flowground.components.io import input_kind, output_kind
from flowground.core.caller import RunRequest
from flowground.core.citations import NumberedPassage
from flowground.core.errors import ComponentFailed, FlowgroundError, RunError, RunOverBudget
from flowground.core.events import (
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
from flowground.core.messages import StandIn, Usage, sum_usage
from flowground.core.values import Record
from flowground.core.words import find_nearest, list_names
from flowground.flows.field_values import change_component
from flowground.flows.tweaks import list_missing
from flowground.flows.wiring import WiredFlow, replace_components
from flowground.providers.base import Completion
from flowground.settings.limits import Limits

SumCost = Callable[[Iterable[tuple[str | None, Usage]]], float | None]
_MOST_RETRIES = 20
"""Repeats of calls to models that one run may make, all its steps and flows together."""
_MOST_INNER_STEPS = 200
"""Steps of inner flows that a run keeps for its trace."""


@dataclass(slots=True)
class RunBudget:
    """Of one run. `used` has what its models counted, by the name that a component calls its model; of fallbacks by
    their own; `was_answered` by any of them. `asked_instead` are the providers of fallbacks that were asked. `sum_cost`
    says what so much use costs, in `currency`; None where it costs nothing."""

    limits: Limits
    sum_cost: SumCost = lambda _: None
    currency: str = ""
    used: dict[str | None, Usage] = field(default_factory=dict)
    was_answered: bool = False
    steps: int = 0
    tokens: int = 0
    kept_steps: int = 0
    actions: int = 0
    retries: int = 0
    breaths: int = 0
    """How often it has let others go on."""
    asked_instead: set[str] = field(default_factory=set)
    stand_ins: dict[StandIn, None] = field(default_factory=dict)
    """Fallbacks that answered, until they are told."""

    def take_step(self) -> None:
        """A component begins. Raises RunOverBudget where the run has used up its steps, tokens or money."""
        self.steps += 1
        limits = self.limits
        if self.steps > limits.run_steps:
            raise RunOverBudget(limits.run_steps, "steps", "run_steps")
        if limits.run_tokens and self.tokens >= limits.run_tokens:
            raise RunOverBudget(limits.run_tokens, "tokens", "run_tokens")
        if limits.run_money and (self.sum_cost(self.used.items()) or 0) >= limits.run_money:
            raise RunOverBudget(limits.run_money, self.currency, "run_money")

    def add(self, model: str | None, answer: Completion) -> None:
        """A component's model gave this answer, or a fallback in its place: what it counted is used."""
        self.was_answered = True
        if answer.fallback:
            model = answer.fallback.model
            self.stand_ins[answer.fallback] = None
        if usage := answer.usage:
            self.used[model] = self.used[model] + usage if model in self.used else usage
            self.tokens += usage.total_tokens

    def take_retry(self) -> bool:
        """A call to a model may be repeated, in any step of the run."""
        self.retries += 1
        return self.retries <= _MOST_RETRIES

    def note_fallback(self, provider: str) -> None:
        """A call goes to a fallback of this provider."""
        self.asked_instead.add(provider)

    def take_stand_ins(self) -> tuple[StandIn, ...]:
        """The fallbacks that answered since this was asked last."""
        told = tuple(self.stand_ins)
        self.stand_ins.clear()
        return told

    def number_action(self) -> int:
        """The number of what a model does next."""
        self.actions += 1
        return self.actions

    def keep_inner_step(self) -> bool:
        """Whether one more step of an inner flow has room in the trace."""
        self.kept_steps += 1
        return self.kept_steps <= _MOST_INNER_STEPS

    @property
    def usage(self) -> Usage | None:
        """All of it together; None where no model counted."""
        return sum_usage(self.used.values())


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


_MOST = 1_000
"""Passages of one run that are kept to be cited."""
_LEAST = 500
"""Bytes of a passage that are worth giving where there is no room for all of it."""


@dataclass(slots=True)
class RunPassages:
    """Of a run and the flows within it: numbered from 1 in the order in which they were asked for, each once."""

    by_number: dict[int, NumberedPassage] = field(default_factory=dict)
    _numbers: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _before: asyncio.Future[None] | None = None

    async def look_up(
        self,
        look_up: LookUp,
        events: Events,
        knowledge: str,
        question: str,
        *,
        is_hidden: bool = False,
        find_room: Callable[[], int] = lambda: 0,
        **how: Any,
    ) -> LookedUp:
        """As `LookUp` says, each record with its `number`; `events` are told which are new, and that they are
        `is_hidden`. `find_room` says how many bytes are given at most, 0 for all.

        What was asked for earlier has its numbers first, however long it takes.
        """
        before, done = self._before, asyncio.get_running_loop().create_future()
        self._before = done
        try:
            found = await look_up(knowledge, question, **how)
            if before:
                await asyncio.wait([before])
            records, new = self._take(_cut(found.records, find_room()), is_hidden=is_hidden)
        finally:
            if before and not before.done():  # it failed first: who comes after it waits for the one before
                before.add_done_callback(lambda _: done.set_result(None))
            else:
                done.set_result(None)
        if new:
            events.put(PassagesFound(new))
        return LookedUp(records, found.note)

    def _take(self, records: Sequence[Record], *, is_hidden: bool) -> tuple[list[Record], list[NumberedPassage]]:
        taken: list[Record] = []
        new: list[NumberedPassage] = []
        for record in records:
            key = (record["source"], record["start"], record["end"], record["text"])
            number = self._numbers.setdefault(key, len(self._numbers) + 1)
            taken.append({"number": number, **record})
            if number not in self.by_number and number <= _MOST:
                told = ("text", "source", "page", "title", "start", "end")
                known = {name: record[name] for name in told if name in record}
                new.append(NumberedPassage(number, **known, is_hidden=is_hidden))
                self.by_number[number] = new[-1]
            elif not is_hidden and number <= _MOST and self.by_number[number].is_hidden:
                self.by_number[number] = replace(self.by_number[number], is_hidden=False)
                new.append(self.by_number[number])
        return taken, new


def _cut(records: Sequence[Record], room: int) -> Sequence[Record]:
    """The best of them that have room together with their places, the last one as much of it as has."""
    if not room:
        return records
    kept: list[Record] = []
    for record in records:
        room -= len(f"[1] {record['source']}: {record.get('title', '')}".encode())
        if kept and room < _LEAST:
            break
        text = record["text"].encode()
        short = text[: max(0, room)].decode(errors="ignore")
        is_whole = len(text) <= room
        kept.append(record if is_whole else {**record, "text": short, "end": record["start"] + len(short)})
        room -= len(text)
    return kept
