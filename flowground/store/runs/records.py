"""Messages and runs as values, and the rows that they are kept as."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flowground.events import ComponentFinished
from flowground.messages import MOST_TOKENS, MessageRole, Usage
from flowground.store import tables
from flowground.store.sql import BoundValues, make_storable, read_moment

MessageState = Literal["complete", "stopped", "failed"]
"""How a message, and the run behind it, ended."""
MESSAGE_COLUMNS = tuple(column.name for column in tables.messages.c if column.name not in ("position", "session"))
TRACE_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class TraceStep(ComponentFinished):
    """What its event said of one component of a run, kept: of `text` the first `TRACE_CHARS` characters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.text[:TRACE_CHARS])


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message with its identity. `model`, `usage`, `seconds` (wall time) and `trace` belong to answers.

    The first answer of a run has the run's usage and trace; further answers have none.

    `error` is the sentence of a failed answer, and `text` what was said before it failed, which may be "".

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


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. `seconds` is wall time, `error_code` the failure's stable word."""

    id: str
    flow_id: str
    flow_version: str
    owner: str
    session_id: str
    status: MessageState
    started_at: datetime
    seconds: float
    usage: Usage | None = None
    error_code: str | None = None
    streamed: bool = False


def make_message_row(message: StoredMessage, *, session: str) -> BoundValues:
    """`session` is the session's key."""
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
        "trace": _write_trace(message.trace) if message.trace else None,
        "error": None if message.error is None else make_storable(message.error),
    }


def read_message_row(row: Sequence[Any]) -> StoredMessage:
    """From values in the order of `MESSAGE_COLUMNS`."""
    key, role, text, state, created_at, run_id, model, read, written, seconds, trace, error = row
    usage = None if read is None else Usage(read, written)
    steps = _read_trace(trace) if trace else ()
    return StoredMessage(key, role, text, state, read_moment(created_at), run_id, model, usage, seconds, steps, error)


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
    }


def _make_usage_columns(usage: Usage | None) -> dict[str, int | None]:
    """Both counts, or neither: what no INTEGER column of PostgreSQL can hold is no count of tokens."""
    if usage is None or not (0 <= usage.input_tokens <= MOST_TOKENS and 0 <= usage.output_tokens <= MOST_TOKENS):
        return {"input_tokens": None, "output_tokens": None}
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def _write_trace(trace: Sequence[TraceStep]) -> str:
    steps = [
        [
            step.component_id,
            step.type,
            step.seconds,
            make_storable(step.text),
            [step.usage.input_tokens, step.usage.output_tokens] if step.usage else None,
            step.model,
        ]
        for step in trace
    ]
    return json.dumps(steps, ensure_ascii=False, separators=(",", ":"))


def _read_trace(text: str) -> tuple[TraceStep, ...]:
    return tuple(
        TraceStep(component, kind, seconds, said, Usage(*usage) if usage else None, model)
        for component, kind, seconds, said, usage, model in json.loads(text)
    )
