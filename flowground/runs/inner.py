"""What a run shares with the flows that it runs: its budget, the events of inner flows, and numbered passages."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, assert_never

from msgspec import structs

from flowground.components.base import INPUT, LookedUp, LookUp
from flowground.core.caller import RunRequest
from flowground.core.citations import NumberedPassage
from flowground.core.errors import ComponentFailed, FlowgroundError, RunError, RunOverBudget
from flowground.core.events import (
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    ModelProgress,
    ModelThought,
    PassagesFound,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    ToolWaits,
)
from flowground.core.messages import FallbackUse, Usage, sum_usage
from flowground.core.values import Record
from flowground.core.words import find_nearest, list_names
from flowground.flows.field_values import change_component
from flowground.flows.tweaks import list_missing
from flowground.flows.wiring import WiredFlow, replace_components
from flowground.providers.base import Completion
from flowground.settings.limits import Limits

SumCost = Callable[[Iterable[tuple[str | None, Usage]]], float | None]
DEEPEST = 8
"""How deep flows may run each other, or agents of one flow call each other, the first one counted."""
MOST_INNER_RUNS = 50
"""Inner runs of one component that a trace stores."""
_MOST_RETRIES = 20
"""Retries of model calls in one run, with all its steps and flows."""
_MOST_INNER_STEPS = 200
"""Steps of inner flows that the trace of a run stores."""
_MOST_CHARS = 2_000
"""Characters of the text of an inner run's step."""
_MOST = 1_000
"""Passages of one run that can be cited."""
_LEAST = 500
"""The least bytes of a passage that are given where there is no room for all of it."""


@dataclass(slots=True)
class RunBudget:
    """What one run, with the flows that it runs, may use and has used.

    `used` has the usage by model name as the component has it, for fallbacks by the fallback's name. `was_answered`:
    some model has answered. `asked_instead` has the providers of fallbacks that were asked. `sum_cost` computes the
    cost of usage in `currency`; None where no prices are configured.
    """

    limits: Limits
    sum_cost: SumCost = lambda _: None
    currency: str = ""
    used: dict[str | None, Usage] = field(default_factory=dict)
    was_answered: bool = False
    steps: int = 0
    kept_steps: int = 0
    actions: int = 0
    retries: int = 0
    yields: int = 0
    """How often the run has let other runs go on."""
    asked_instead: set[str] = field(default_factory=set)
    fallback_uses: dict[FallbackUse, None] = field(default_factory=dict)
    """Fallbacks that answered and were in no event yet."""

    def take_step(self) -> None:
        """Counts a step before a component runs. Raises RunOverBudget where steps, tokens or money are used up."""
        self.steps += 1
        limits = self.limits
        if self.steps > limits.run_steps:
            raise RunOverBudget(limits.run_steps, "steps", "run_steps")
        if limits.run_tokens and self.usage and self.usage.total_tokens >= limits.run_tokens:
            raise RunOverBudget(limits.run_tokens, "tokens", "run_tokens")
        if limits.run_money and (self.sum_cost(self.used.items()) or 0) >= limits.run_money:
            raise RunOverBudget(limits.run_money, self.currency, "run_money")

    def add(self, model: str | None, answer: Completion) -> None:
        """Adds the usage of an answer of a component's model, or of a fallback in its place."""
        self.was_answered = True
        if answer.fallback:
            model = answer.fallback.model
            self.fallback_uses[answer.fallback] = None
        if usage := answer.usage:
            self.used[model] = self.used[model] + usage if model in self.used else usage

    def take_retry(self) -> bool:
        """Counts a retry of a model call; False where the run has used up its retries."""
        self.retries += 1
        return self.retries <= _MOST_RETRIES

    def note_fallback(self, provider: str) -> None:
        """Notes that a fallback of this provider is asked."""
        self.asked_instead.add(provider)

    def number_action(self) -> int:
        """The number of the next action of a model."""
        self.actions += 1
        return self.actions

    def keep_inner_step(self) -> bool:
        """Counts a step of an inner flow; whether the trace has room for it."""
        self.kept_steps += 1
        return self.kept_steps <= _MOST_INNER_STEPS

    @property
    def usage(self) -> Usage | None:
        """The usage of all models together; None where none counted."""
        return sum_usage(self.used.values())


class Events(Protocol):
    """A sink for the events of a run."""

    def put(self, event: ComponentEvent) -> None: ...

    async def wait_for_room(self) -> None:
        """Waits until the reader has caught up."""


@dataclass(slots=True)
class InnerEvents:
    """The events of an inner run: steps are stored, the text of the output `answer` goes to `stream`; progress,
    passages and actions go to the outer run."""

    outer: Events
    budget: RunBudget
    answer: str
    stream: Callable[[str], None] | None
    is_kept: bool
    steps: list[ComponentFinished] = field(default_factory=list)

    def put(self, event: ComponentEvent) -> None:
        match event:
            case ComponentFinished():
                if self.is_kept and self.budget.keep_inner_step():
                    self.steps.append(structs.replace(event, text=event.text[:_MOST_CHARS]))
            case Token():
                if self.stream and event.component_id == self.answer:
                    self.stream(event.text)
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


def find_answer(wired: WiredFlow) -> str:
    """The output whose text is an inner flow's answer: its first Chat Output, else its first output."""
    chats = (name for name in wired.outputs if wired.components[name].output_kind == "chat")
    return next(chats, wired.outputs[0])


def prepare_inner(
    wired: WiredFlow, message: str, inputs: Mapping[str, str], *, stream: bool
) -> tuple[WiredFlow, RunRequest]:
    """The flow with its Text Inputs filled, and the request to it. Raises RunError for an unknown input, and for a
    missing required option."""
    changed = {}
    for name, text in inputs.items():
        component = wired.components.get(name)
        if component is None or component.input_kind is None:
            known = [key for key, value in wired.components.items() if value.input_kind]
            word = find_nearest(name, known)
            hint = f"Did you mean `{word}`?" if word else f"Its inputs are {list_names(known) or 'none'}."
            raise RunError(f"The flow `{wired.id}` has no input `{name}`.", hint=hint)
        changed[name] = change_component(component, {INPUT: text})
    request = RunRequest(message, "chat" if wired.chat_input_id else "text", "any", stream=stream)
    filled = replace_components(wired, changed)
    if missing := list_missing(filled, request):
        raise RunError(f"The flow `{wired.id}` needs {list_names(f'`{field.key}`' for field in missing)}.")
    return filled, request


def component_error(name: str, error: FlowgroundError) -> ComponentFailed:
    """The failure of a component; for one in an inner flow, with the path of components to it."""
    if isinstance(error, ComponentFailed):
        return ComponentFailed(f"{name} › {error.component_id}", error.cause)
    return ComponentFailed(name, error)


@dataclass(slots=True)
class RunPassages:
    """The passages that a run and its inner flows looked up, each numbered once, from 1 in the order of the
    requests."""

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
        """As `LookUp`, each record with its `number`; new passages become an event, marked `is_hidden`.

        `find_room` returns the most bytes to give, 0 for all. An earlier look-up gets its numbers first, however long
        it takes.
        """
        before, done = self._before, asyncio.get_running_loop().create_future()
        self._before = done
        try:
            found = await look_up(knowledge, question, **how)
            if before:
                await asyncio.wait([before])
            records, new = self._take(_cut(found.records, find_room()), is_hidden=is_hidden)
        finally:
            if before and not before.done():  # this one failed first: the next one waits for the one before
                before.add_done_callback(lambda _: done.set_result(None))
            else:
                done.set_result(None)
        if new:
            events.put(PassagesFound(tuple(new)))
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
    """The first records that fit into `room` bytes with their sources; the last one is cut to fit."""
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
