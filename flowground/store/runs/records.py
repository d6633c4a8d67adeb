"""Messages and runs as values, with what models did on their way to an answer, and the rows that they are kept as.

The trace of a run as it is kept with its answer: what each component gave, and which flows it ran.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row

from flowground.core.citations import Citations, read_citations, split_cited, write_citations
from flowground.core.events import (
    Action,
    ComponentFinished,
    InnerRun,
    ModelThought,
    StepStatus,
    ThinkingBegan,
    ToolCalled,
    ToolReturned,
)
from flowground.core.messages import MOST_TOKENS, MessageRole, StandIn, Usage, Versions
from flowground.core.values import FileReference, Value, ValueKind
from flowground.store import tables
from flowground.store.sql import BoundValues, encode_json, make_storable, read_moment

TRACE_CHARS = 2_000
"""Characters that are kept of one text."""
TRACE_MOST = 32_000
"""Characters of a run's trace, of all its texts together."""
TIMELINE_MOST = 16_000
"""Characters of all texts of the flows that a run's components ran, together."""
MessageState = Literal["complete", "stopped", "failed", "interrupted"]
"""How a message came to its end. Interrupted: the process died that wrote it."""
RunStatus = Literal["running", "complete", "stopped", "failed", "interrupted"]
VALUE_MOST = 100_000
"""Characters of JSON of an answer's value that are kept; of a larger one there is its text."""
_QUESTION, _ANSWER = -1, -2
"""What a trace says instead of a text that stands in one of the run's messages."""
_STEP_FIELDS = tuple(item.name for item in fields(ComponentFinished))
_PLACE = ("position", "session", "version_of", "aside")
"""Columns that say where a message stands, and nothing of it."""
MESSAGE_COLUMNS = tuple(column.name for column in tables.messages.c if column.name not in _PLACE)
_ROLE, _TEXT, _RUN_ID = (MESSAGE_COLUMNS.index(name) for name in ("role", "text", "run_id"))


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message with its identity. `model`, `usage`, `seconds` (wall time) and `trace` belong to answers.

    The first answer of a run has the run's usage and trace, and what its models did; further answers have none.

    `finish_reason` is why the answer's model ended, "length" where the text was cut by `max_tokens`.
    `value` is what its text was made of where that is of another `kind`; a very large one is not kept.
    `passages` are those that its text cites, and others that were looked up for it.
    `error` is the sentence of a failed answer, and `text` what was said before it failed, which may be "".
    `versions` are those of a question, where a page of its conversation was read.
    `sender` ("User" or "Machine") and `sender_name` are those of a message that the flow added itself; it stands among
    the answers of its run, whoever is said to have said it.

    Rows from before the migration `m007_message_errors` differ: usage and trace may stand on each answer of a run, and
    a failed answer has its sentence in `text` and no `error`.
    """

    id: str
    role: MessageRole
    text: str
    state: MessageState
    created_at: datetime
    run_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    seconds: float | None = None
    trace: tuple[ComponentFinished, ...] = ()
    error: str | None = None
    finish_reason: str | None = None
    versions: Versions = ()
    value: Value = None
    kind: ValueKind = "text"
    actions: tuple[Action, ...] = ()
    passages: Citations = ()
    sender: str | None = None
    sender_name: str | None = None

    @property
    def citations(self) -> Citations:
        """Those of its passages that its text cites."""
        return split_cited(self.text, self.passages)[0]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """By what limits find a run again. None where nothing counts by it.

    `counted_as` is the person, else the token or visitor (`Caller.counted_as`); `came_from` a digest of a visitor's
    address; `cost` is in the currency of the settings.
    """

    counted_as: str | None = None
    came_from: str | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run's facts. `seconds` is wall time, 0 while it runs; `error_code` the failure's stable word.

    `token` is the id of the token that began it; None for runs that began on a page.
    `holder` is the process that runs it (`process_locks.ProcessLock`); None for runs of releases that did not note it.
    A run whose process died is "interrupted", and has the error code "finished_late" where its answer came after all.
    """

    id: str
    flow_id: str
    flow_version: str
    owner: str
    session_id: str
    status: RunStatus
    started_at: datetime
    seconds: float
    usage: Usage | None = None
    error_code: str | None = None
    streamed: bool = False
    holder: str | None = None
    token: str | None = None
    counts: RunCounts = RunCounts()


def list_file_names(message: StoredMessage) -> list[str]:
    """Of what was sent with a question."""
    return [file.name for file in message.value] if message.role == "user" and message.kind == "files" else []


def find_sender_name(message: StoredMessage) -> str:
    """Who said what the flow itself stored, as pages name them; "" where the message's role says it."""
    if not message.sender:
        return ""
    return message.sender_name or ("User" if message.sender == "User" else "AI")


def make_message_row(message: StoredMessage, *, session: str, question: str = "") -> BoundValues:
    """`session` is the session's key; `question` is what the message answers, which its trace may repeat."""
    return {
        "session": session,
        "id": message.id,
        "role": message.role,
        "text": make_storable(message.text),
        "state": message.state,
        "created_at": message.created_at.timestamp(),
        "run_id": message.run_id,
        "model": message.model,
        **_make_usage_columns(message.usage),
        "seconds": message.seconds,
        "trace": None,
        "error": None if message.error is None else make_storable(message.error),
        "steps": write_trace(message.trace, question=question, answer=message.text) if message.trace else None,
        "finish_reason": message.finish_reason,
        "timeline": write_timeline(message.trace) if message.trace else None,
        "value": None if message.kind == "text" else write_value(message.value, message.kind),
        "actions": write_actions(message.actions) if message.actions else None,
        "citations": write_citations(message.passages),
        "sender": message.sender,
        "sender_name": None if message.sender_name is None else make_storable(message.sender_name),
    }


def read_message_row(row: Sequence[Any], *, questions: Mapping[str | None, str]) -> StoredMessage:
    """From values in the order of `MESSAGE_COLUMNS`. `questions` has what was asked, by the run's id, for its trace."""
    key, role, text, state, created_at, run_id, model, read, written, seconds, old_trace, error, steps, *later = row
    reason, timeline, given, actions, cited, sender, sender_name = later
    trace = steps or old_trace
    value, kind = read_value(given)
    return StoredMessage(
        id=key,
        role=role,
        text=text,
        state=state,
        created_at=read_moment(created_at),
        run_id=run_id,
        model=model,
        usage=None if read is None else Usage(read, written),
        seconds=seconds,
        trace=read_trace(trace, timeline, question=questions.get(run_id, ""), answer=text) if trace else (),
        error=error,
        finish_reason=reason,
        value=value,
        kind=kind,
        actions=read_actions(actions) if actions else (),
        passages=read_citations(cited),
        sender=sender,
        sender_name=sender_name,
    )


def read_message_rows(rows: Sequence[Sequence[Any]]) -> list[StoredMessage]:
    """From rows with values in the order of `MESSAGE_COLUMNS`.

    A trace lacks the text of its question where that is not among them.
    """
    questions = {row[_RUN_ID]: row[_TEXT] for row in rows if row[_ROLE] == "user"}
    return [read_message_row(row, questions=questions) for row in rows]


def make_run_row(run: RunRecord) -> BoundValues:
    return {
        "id": run.id,
        "flow_id": run.flow_id,
        "flow_version": run.flow_version,
        "owner": run.owner,
        "session_id": make_storable(run.session_id),
        "status": run.status,
        "started_at": run.started_at.timestamp(),
        "seconds": run.seconds,
        **_make_usage_columns(run.usage),
        "error_code": run.error_code,
        "streamed": run.streamed,
        "holder": run.holder,
        "token": run.token,
        "counted_as": run.counts.counted_as,
        "came_from": run.counts.came_from,
        "cost": run.counts.cost,
    }


def read_run_row(row: Row[Any]) -> RunRecord:
    """From a row of the table."""
    return RunRecord(
        id=row.id,
        flow_id=row.flow_id,
        flow_version=row.flow_version,
        owner=row.owner,
        session_id=row.session_id,
        status=row.status,
        started_at=read_moment(row.started_at),
        seconds=row.seconds,
        usage=None if row.input_tokens is None else Usage(row.input_tokens, row.output_tokens),
        error_code=row.error_code,
        streamed=row.streamed,
        holder=row.holder,
        token=row.token,
        counts=RunCounts(row.counted_as, row.came_from, row.cost),
    )


def _make_usage_columns(usage: Usage | None) -> dict[str, int | None]:
    """Both counts, or neither: what no INTEGER column of PostgreSQL can hold is no count of tokens."""
    if usage is None or not (0 <= usage.input_tokens <= MOST_TOKENS and 0 <= usage.output_tokens <= MOST_TOKENS):
        return {"input_tokens": None, "output_tokens": None}
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def write_value(value: Value, kind: ValueKind) -> str | None:
    """JSON of an answer's value; None for one that is too large to keep, or that JSON cannot say."""
    given = [asdict(file) for file in value] if kind == "files" else value
    try:
        written = make_storable(json.dumps({kind: given}, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None
    return written if len(written) <= VALUE_MOST else None


def read_value(written: str | None) -> tuple[Value, ValueKind]:
    """The value and its kind; text where nothing else was kept."""
    if written is None:
        return None, "text"
    ((kind, value),) = json.loads(written).items()
    return (tuple(FileReference(**file) for file in value) if kind == "files" else value), kind


def write_actions(actions: Sequence[Action]) -> str:
    """JSON. `ActionLog` has bounded it."""
    return encode_json(describe_actions(actions))


def read_actions(written: str) -> tuple[Action, ...]:
    return tuple(read_action(row) for row in json.loads(written))


def describe_actions(actions: Sequence[Action]) -> list[list[Any]]:
    """As JSON values."""
    return [_describe_action(action) for action in actions]


def _describe_action(action: Action) -> list[Any]:
    match action:
        case ModelThought(began=began):
            return ["thought", *_write_start(began), round(action.seconds, 6), action.text, *_write_after(began)]
        case ToolReturned(called=called):
            usage = [action.usage.input_tokens, action.usage.output_tokens] if action.usage else None
            names = [called.call_id, called.tool, called.name, called.label, called.is_inner]
            told = [dict(called.arguments), action.status, usage, *_write_after(called)]
            return ["call", *_write_start(called), round(action.seconds, 6), action.text, *names, *told]


def _write_start(began: ToolCalled | ThinkingBegan) -> list[Any]:
    return [began.number, began.within, began.component_id, round(began.at, 6)]


def _write_after(began: ToolCalled | ThinkingBegan) -> list[int]:
    """Left out where nothing was said before, as nearly always: rows that a release before wrote read so, too."""
    return [began.after] if began.after else []


def read_action(row: Sequence[Any]) -> Action:
    kind, number, within, component_id, at, seconds, text, *call = row
    if kind == "thought":
        return ModelThought(ThinkingBegan(component_id, number, at, within, *call), text, seconds)
    call_id, tool, name, label, is_inner, arguments, status, usage, *after = call
    called = ToolCalled(component_id, call_id, tool, name, arguments, at, number, within, label, is_inner, *after)
    return ToolReturned(called, text, seconds, status, Usage(*usage) if usage else None)


@dataclass(frozen=True, slots=True)
class TraceStep(ComponentFinished):
    """What its event said of one component of a run, kept: of `text` the first `TRACE_CHARS` characters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text[:TRACE_CHARS])

    @classmethod
    def keep(cls, event: ComponentFinished) -> "TraceStep":
        """What is kept of it."""
        return cls(*(getattr(event, name) for name in _STEP_FIELDS))


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
    left = _Budget(TIMELINE_MOST)
    times = [_write_time(step, left) for step in trace]
    return json.dumps(times, ensure_ascii=False, separators=(",", ":"))


class _Budget:
    """What is left of a number of characters."""

    def __init__(self, left: int) -> None:
        self._left = left

    def cut(self, text: str) -> str:
        """As much of the text as there is room for."""
        said = make_storable(text[: self._left])
        self._left -= len(said)
        return said


def _write_inner(run: InnerRun, budget: _Budget) -> list[Any]:
    steps = [_write_inner_step(step, budget) for step in run.steps]
    error = None if run.error is None else budget.cut(run.error)
    return [run.flow_id, run.name, round(run.at, 6), round(run.seconds, 6), error, steps]


def _write_inner_step(step: ComponentFinished, budget: _Budget) -> list[Any]:
    usage = [step.usage.input_tokens, step.usage.output_tokens] if step.usage else None
    told = [step.component_id, step.type, round(step.seconds, 6), budget.cut(step.text), usage, step.model, step.status]
    return [*told, *_write_time(step, budget)]


def _read_inner(written: Sequence[Any]) -> InnerRun:
    flow_id, name, at, seconds, error, steps = written
    return InnerRun(flow_id, name, at, seconds, tuple(_read_inner_step(step) for step in steps), error)


def _read_inner_step(written: Sequence[Any]) -> TraceStep:
    component, kind, seconds, text, usage, model, status, *times = written
    step = TraceStep(component, kind, seconds, text, Usage(*usage) if usage else None, model, status)
    return replace(step, **_read_time(times))


def _write_time(step: ComponentFinished, budget: _Budget) -> list[Any]:
    """What is empty, as it nearly always is, is left out."""
    runs = [_write_inner(run, budget) for run in step.inner]
    note, unseen = budget.cut(step.note[:TRACE_CHARS]), [budget.cut(said) for said in step.unseen]
    stand_ins = [[budget.cut(word[:TRACE_CHARS]) for word in one] for one in step.stand_ins]
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
