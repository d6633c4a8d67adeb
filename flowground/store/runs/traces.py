"""The trace of a run as it is kept with its answer: what each component gave, and which flows it ran."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from flowground.events import ComponentFinished, InnerRun, StepStatus
from flowground.messages import StandIn, Usage
from flowground.store.sql import make_storable

TRACE_CHARS = 2_000
"""Characters that are kept of one text."""
TRACE_MOST = 32_000
"""Characters of a run's trace, of all its texts together."""
TIMELINE_MOST = 16_000
"""Characters of all texts of the flows that a run's components ran, together."""
_QUESTION, _ANSWER = -1, -2
"""What a trace says instead of a text that stands in one of the run's messages."""


@dataclass(frozen=True, slots=True)
class TraceStep(ComponentFinished):
    """What its event said of one component of a run, kept: of `text` the first `TRACE_CHARS` characters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text[:TRACE_CHARS])

    @classmethod
    def keep(cls, event: ComponentFinished) -> "TraceStep":
        """What is kept of it."""
        return cls(*(getattr(event, name) for name in _STEP_FIELDS))


_STEP_FIELDS = tuple(item.name for item in fields(ComponentFinished))


def write_trace(trace: Sequence[ComponentFinished], *, question: str, answer: str) -> str:
    """JSON. A text that stands elsewhere already is a number: the step before it that has it, `_QUESTION` or `_ANSWER`.

    All texts together are cut at `TRACE_MOST` characters.
    """
    places = {question[:TRACE_CHARS]: _QUESTION, answer[:TRACE_CHARS]: _ANSWER, "": None}
    left = TRACE_MOST
    steps = []
    for number, step in enumerate(trace):
        text = step.text[:TRACE_CHARS]
        said: str | int | None = places.setdefault(text, number)
        if said is None or said == number:
            said = make_storable(text[:left])
            left -= len(said)
        usage = [step.usage.input_tokens, step.usage.output_tokens] if step.usage else None
        kind = (
            step.type if step.status == "done" else f"{step.type} ({step.status})"
        )  # a release before reads six values
        steps.append([step.component_id, kind, round(step.seconds, 6), said, usage, step.model])
    return json.dumps(steps, ensure_ascii=False, separators=(",", ":"))


def read_trace(written: str, timeline: str | None, *, question: str, answer: str) -> tuple[TraceStep, ...]:
    """What `write_trace` and `write_timeline` wrote; steps from before there were timelines have no times."""
    known = {_QUESTION: question, _ANSWER: answer}
    times = json.loads(timeline) if timeline else []
    steps = []
    for number, (component, kind, seconds, said, usage, model) in enumerate(json.loads(written)):
        known[number] = known[said] if isinstance(said, int) else said
        name, status = _read_kind(kind)
        step = TraceStep(component, name, seconds, known[number], Usage(*usage) if usage else None, model, status)
        steps.append(replace(step, **_read_time(times[number])) if number < len(times) else step)
    return tuple(steps)


def write_timeline(trace: Sequence[ComponentFinished]) -> str:
    """JSON: of each step when it began, how many flows it ran, the first of these, its notes and fallbacks."""
    left = _Room(TIMELINE_MOST)
    times = [_write_time(step, left) for step in trace]
    return json.dumps(times, ensure_ascii=False, separators=(",", ":"))


class _Room:
    """What is left of a number of characters."""

    def __init__(self, left: int) -> None:
        self._left = left

    def cut(self, text: str) -> str:
        """As much of the text as there is room for."""
        said = make_storable(text[: self._left])
        self._left -= len(said)
        return said


def _write_inner(run: InnerRun, room: _Room) -> list[Any]:
    steps = [_write_inner_step(step, room) for step in run.steps]
    error = None if run.error is None else room.cut(run.error)
    return [run.flow_id, run.name, round(run.at, 6), round(run.seconds, 6), error, steps]


def _write_inner_step(step: ComponentFinished, room: _Room) -> list[Any]:
    usage = [step.usage.input_tokens, step.usage.output_tokens] if step.usage else None
    told = [step.component_id, step.type, round(step.seconds, 6), room.cut(step.text), usage, step.model, step.status]
    return [*told, *_write_time(step, room)]


def _read_inner(written: Sequence[Any]) -> InnerRun:
    flow_id, name, at, seconds, error, steps = written
    return InnerRun(flow_id, name, at, seconds, tuple(_read_inner_step(step) for step in steps), error)


def _read_inner_step(written: Sequence[Any]) -> TraceStep:
    component, kind, seconds, text, usage, model, status, *times = written
    step = TraceStep(component, kind, seconds, text, Usage(*usage) if usage else None, model, status)
    return replace(step, **_read_time(times))


def _write_time(step: ComponentFinished, room: _Room) -> list[Any]:
    """What is empty, as it nearly always is, is left out."""
    runs = [_write_inner(run, room) for run in step.inner]
    note, unseen = room.cut(step.note[:TRACE_CHARS]), [room.cut(said) for said in step.unseen]
    stand_ins = [[room.cut(word[:TRACE_CHARS]) for word in one] for one in step.stand_ins]
    # Between them stood calls of tools, which have a column of their own.
    told: list[Any] = [round(step.at, 6), step.inner_count, runs, 0, [], note, unseen, stand_ins]
    while len(told) > 1 and not told[-1]:
        told.pop()
    return told


def _read_time(times: Sequence[Any]) -> dict[str, Any]:
    names = ("at", "inner_count", "inner", "call_count", "calls", "note", "unseen", "stand_ins")
    told = dict(zip(names, times, strict=False))
    told = {name: value for name, value in told.items() if name not in ("call_count", "calls")}
    told["inner"] = tuple(_read_inner(run) for run in told.get("inner", ()))
    told["unseen"] = tuple(told.get("unseen", ()))
    told["stand_ins"] = tuple(StandIn(*one) for one in told.get("stand_ins", ()))
    return told


def _read_kind(kind: str) -> tuple[str, StepStatus]:
    """A step's type and status from the one word that its row has for both."""
    for status in ("skipped", "failed"):
        if kind.endswith(ending := f" ({status})"):
            return kind.removesuffix(ending), status
    return kind, "done"
