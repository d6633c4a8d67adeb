"""Messages and runs as values, and the rows that they are kept as."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row

from flowground.events import ComponentFinished, StepStatus
from flowground.messages import MOST_TOKENS, MessageRole, Usage, Versions
from flowground.store import tables
from flowground.store.sql import BoundValues, make_storable, read_moment

MessageState = Literal["complete", "stopped", "failed", "interrupted"]
"""How a message came to its end. Interrupted: the process died that wrote it."""
RunStatus = Literal["running", "complete", "stopped", "failed", "interrupted"]
_PLACE = ("position", "session", "version_of", "aside")
"""Columns that say where a message stands, and nothing of it."""
MESSAGE_COLUMNS = tuple(column.name for column in tables.messages.c if column.name not in _PLACE)
_ROLE, _TEXT, _RUN_ID = (MESSAGE_COLUMNS.index(name) for name in ("role", "text", "run_id"))
TRACE_CHARS = 2_000
TRACE_MOST = 32_000
"""Characters of a run's trace, of all its texts together."""
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
        usage, model, status = event.usage, event.model, event.status
        return cls(event.component_id, event.type, event.seconds, event.text, usage, model, status)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message with its identity. `model`, `usage`, `seconds` (wall time) and `trace` belong to answers.

    The first answer of a run has the run's usage and trace; further answers have none.

    `finish_reason` is why the answer's model ended, "length" where the text was cut by `max_tokens`.
    `error` is the sentence of a failed answer, and `text` what was said before it failed, which may be "".
    `versions` are those of a question, where a page of its conversation was read.

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
    trace: tuple[TraceStep, ...] = ()
    error: str | None = None
    finish_reason: str | None = None
    versions: Versions = ()


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
        "steps": _write_trace(message.trace, question=question, answer=message.text) if message.trace else None,
        "finish_reason": message.finish_reason,
    }


def read_message_row(row: Sequence[Any], *, questions: Mapping[str | None, str]) -> StoredMessage:
    """From values in the order of `MESSAGE_COLUMNS`. `questions` has what was asked, by the run's id, for its trace."""
    key, role, text, state, created_at, run_id, model, read, written, seconds, old_trace, error, steps, reason = row
    trace = steps or old_trace
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
        trace=_read_trace(trace, question=questions.get(run_id, ""), answer=text) if trace else (),
        error=error,
        finish_reason=reason,
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


def _write_trace(trace: Sequence[TraceStep], *, question: str, answer: str) -> str:
    """JSON. A text that stands elsewhere already is a number: the step before it that has it, `_QUESTION` or `_ANSWER`.

    All texts together are cut at `TRACE_MOST` characters.
    """
    places = {question[:TRACE_CHARS]: _QUESTION, answer[:TRACE_CHARS]: _ANSWER, "": None}
    left = TRACE_MOST
    steps = []
    for number, step in enumerate(trace):
        said: str | int | None = places.setdefault(step.text, number)
        if said is None or said == number:
            said = make_storable(step.text[:left])
            left -= len(said)
        usage = [step.usage.input_tokens, step.usage.output_tokens] if step.usage else None
        kind = step.type if step.status == "done" else f"{step.type} ({step.status})"  # six values, as ever
        steps.append([step.component_id, kind, round(step.seconds, 6), said, usage, step.model])
    return json.dumps(steps, ensure_ascii=False, separators=(",", ":"))


def _read_trace(text: str, *, question: str, answer: str) -> tuple[TraceStep, ...]:
    known = {_QUESTION: question, _ANSWER: answer}
    steps = []
    for number, (component, kind, seconds, said, usage, model) in enumerate(json.loads(text)):
        known[number] = known[said] if isinstance(said, int) else said
        name, status = _read_kind(kind)
        text, used = known[number], Usage(*usage) if usage else None
        steps.append(TraceStep(component, name, seconds, text, used, model, status))
    return tuple(steps)


def _read_kind(kind: str) -> tuple[str, StepStatus]:
    """A step's type and status from the one word that its row has for both."""
    for status in ("skipped", "failed"):
        if kind.endswith(ending := f" ({status})"):
            return kind.removesuffix(ending), status
    return kind, "done"
