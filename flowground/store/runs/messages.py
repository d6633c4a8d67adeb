"""Messages as they are kept, and how they become rows and values again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flowground.messages import MOST_TOKENS, Role, Usage
from flowground.store.sql import make_storable, to_moment

State = Literal["complete", "stopped", "failed"]
_TRACE_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class TraceStep:
    """What one component did in a run; `text` is cut to 2,000 characters when it is stored."""

    component_id: str
    type: str
    seconds: float
    text: str
    usage: Usage | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message with its identity. `model`, `usage`, `seconds` (wall time) and `trace` belong to answers.

    The first answer of a run has the run's usage and trace; further answers have none.

    `error` is the sentence of a failed answer, and `text` what was said before it failed, which may be "".

    Rows from before the migration `m007_message_errors` differ: usage and trace may stand on each answer of a run, and
    a failed answer has its sentence in `text` and no `error`.
    """

    id: str
    role: Role
    text: str
    state: State
    created_at: datetime
    run_id: str | None = None
    model: str | None = None
    usage: Usage | None = None
    seconds: float | None = None
    trace: tuple[TraceStep, ...] = ()
    error: str | None = None


COLUMNS = (
    "id",
    "role",
    "text",
    "state",
    "created_at",
    "run_id",
    "model",
    "input_tokens",
    "output_tokens",
    "seconds",
    "trace",
    "error",
)


def to_row(message: StoredMessage, *, session: str) -> dict[str, Any]:
    return {
        "session": session,
        "id": message.id,
        "role": message.role,
        "text": make_storable(message.text),
        "state": message.state,
        "created_at": message.created_at.timestamp(),
        "run_id": message.run_id,
        "model": message.model,
        **usage_columns(message.usage),
        "seconds": message.seconds,
        "trace": _trace_text(message.trace) if message.trace else None,
        "error": None if message.error is None else make_storable(message.error),
    }


def usage_columns(usage: Usage | None) -> dict[str, int | None]:
    """Both counts, or neither: what no INTEGER column of PostgreSQL can hold is no count of tokens."""
    if usage is None or not (0 <= usage.input_tokens <= MOST_TOKENS and 0 <= usage.output_tokens <= MOST_TOKENS):
        return {"input_tokens": None, "output_tokens": None}
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def from_row(row: Sequence[Any]) -> StoredMessage:
    """From values in the order of `COLUMNS`."""
    identity, role, text, state, created_at, run_id, model, read, written, seconds, trace, error = row
    return StoredMessage(
        id=identity,
        role=role,
        text=text,
        state=state,
        created_at=to_moment(created_at),
        run_id=run_id,
        model=model,
        usage=None if read is None else Usage(read, written),
        seconds=seconds,
        trace=_trace(trace) if trace else (),
        error=error,
    )


def _trace_text(trace: Sequence[TraceStep]) -> str:
    steps = [
        [
            step.component_id,
            step.type,
            step.seconds,
            make_storable(step.text[:_TRACE_CHARS]),
            [step.usage.input_tokens, step.usage.output_tokens] if step.usage else None,
            step.model,
        ]
        for step in trace
    ]
    return json.dumps(steps, ensure_ascii=False, separators=(",", ":"))


def _trace(text: str) -> tuple[TraceStep, ...]:
    return tuple(
        TraceStep(component, kind, seconds, said, Usage(*usage) if usage else None, model)
        for component, kind, seconds, said, usage, model in json.loads(text)
    )
