"""Messages, runs and traces as values, and the rows and JSON texts in which the store keeps them."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row

from flowground.core.citations import Citations, read_citations, split_cited, write_citations
from flowground.core.events import Action, ComponentFinished
from flowground.core.messages import MOST_TOKENS, MessageRole, Usage, Versions
from flowground.core.values import FileReference, Value, ValueKind
from flowground.store import tables
from flowground.store.sql import BoundValues, make_storable, read_moment

TRACE_CHARS = 2_000
"""Most characters that are kept of one text of a trace."""
MessageState = Literal["complete", "stopped", "failed", "interrupted"]
"""How a message ended. Interrupted: the process that wrote it died."""
RunStatus = Literal["running", "complete", "stopped", "failed", "interrupted"]
VALUE_MOST = 100_000
"""Most characters of an answer's value as JSON; of a larger value only the text is kept."""
_PLACE = ("position", "session", "version_of", "aside")
"""Columns for a message's place, which are not part of its value."""
MESSAGE_COLUMNS = tuple(column.name for column in tables.messages.c if column.name not in _PLACE)
_OF_MESSAGE = ("id", "role", "state", "run_id", "model", "seconds", "finish_reason", "sender")
_OF_RUN = ("id", "flow_id", "flow_version", "owner", "status", "seconds", "error_code", "streamed", "holder", "token")
"""What a message and a run have as their columns have it."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message with its identity. `model`, `usage`, `seconds` (wall time) and `trace` belong to answers.

    The first answer of a run has the run's usage, trace and actions; further answers have none.

    `finish_reason` is why the answer's model ended, "length" where `max_tokens` cut the text. `value` is what the text
    was made of, where that is of another `kind`; a very large one is not kept. `passages` are those that the text
    cites, and others that were looked up for it. `error` is the sentence of a failed answer, and `text` its text before
    the failure, which may be "". `versions` are a question's, filled when a page of its conversation is read. `sender`
    ("User" or "Machine") and `sender_name` belong to messages that the flow added itself; these are among the answers
    of their run, whoever is named as the sender.
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
        """The passages that the text cites."""
        return split_cited(self.text, self.passages)[0]


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The values by which limits count a run; None where nothing counts by them.

    `counted_as` is the person, else the token or visitor (`Caller.counted_as`); `came_from` is a digest of a visitor's
    address; `cost` is in the currency of the settings.
    """

    counted_as: str | None = None
    came_from: str | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run's facts. `seconds` is wall time, 0 while the run runs; `error_code` is the failure's stable word.

    `token` is the id of the token that began the run; None for runs from a page. `holder` is the id of the process that
    runs it (`store.ProcessLock`); None for runs that no process holds. While a run runs, no other begins that has the
    same in `exclusive`; it is not read again. A run whose process died is "interrupted", and
    has the error code "finished_late" where its answer was stored after all.
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
    exclusive: str | None = None


def list_file_names(message: StoredMessage) -> list[str]:
    """The names of the files that were sent with a question."""
    return [file.name for file in message.value] if message.role == "user" and message.kind == "files" else []


def find_sender_name(message: StoredMessage) -> str:
    """The sender's name for a message that the flow itself stored; "" for other messages."""
    if not message.sender:
        return ""
    return message.sender_name or ("User" if message.sender == "User" else "AI")


def make_message_row(message: StoredMessage) -> BoundValues:
    """The message's row, without its session, and without its trace and actions (`journals`)."""
    return {
        **{name: getattr(message, name) for name in _OF_MESSAGE},
        "text": make_storable(message.text),
        "created_at": message.created_at.timestamp(),
        **_make_usage_columns(message.usage),
        "error": None if message.error is None else make_storable(message.error),
        "value": None if message.kind == "text" else write_value(message.value, message.kind),
        "citations": write_citations(message.passages),
        "sender_name": None if message.sender_name is None else make_storable(message.sender_name),
    }


def read_message_row(row: Sequence[Any]) -> StoredMessage:
    """The message of values in the order of `MESSAGE_COLUMNS`, without trace and actions."""
    found = dict(zip(MESSAGE_COLUMNS, row, strict=True))
    usage = _read_usage(found.pop("input_tokens"), found.pop("output_tokens"))
    created_at, passages = read_moment(found.pop("created_at")), read_citations(found.pop("citations"))
    value, kind = read_value(found.pop("value"))
    return StoredMessage(**found, created_at=created_at, usage=usage, value=value, kind=kind, passages=passages)


def make_run_row(run: RunRecord) -> BoundValues:
    return {
        **{name: getattr(run, name) for name in _OF_RUN},
        "session_id": make_storable(run.session_id),
        "started_at": run.started_at.timestamp(),
        **_make_usage_columns(run.usage),
        "counted_as": run.counts.counted_as,
        "came_from": run.counts.came_from,
        "cost": run.counts.cost,
        "exclusive": run.exclusive,
    }


def read_run_row(row: Row[Any]) -> RunRecord:
    """The run of a row of the table."""
    return RunRecord(
        **{name: getattr(row, name) for name in _OF_RUN},
        session_id=row.session_id,
        started_at=read_moment(row.started_at),
        usage=_read_usage(row.input_tokens, row.output_tokens),
        counts=RunCounts(row.counted_as, row.came_from, row.cost),
    )


def _read_usage(read: int | None, written: int | None) -> Usage | None:
    return None if read is None or written is None else Usage(read, written)


def _make_usage_columns(usage: Usage | None) -> dict[str, int | None]:
    """Both counts, or neither: a number too large for PostgreSQL's INTEGER is no count of tokens."""
    if usage is None or not (0 <= usage.input_tokens <= MOST_TOKENS and 0 <= usage.output_tokens <= MOST_TOKENS):
        return {"input_tokens": None, "output_tokens": None}
    return {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}


def write_value(value: Value, kind: ValueKind) -> str | None:
    """An answer's value as JSON text; None where it is too large to keep, or cannot be JSON."""
    content = [asdict(file) for file in value] if kind == "files" else value
    try:
        written = make_storable(json.dumps({kind: content}, ensure_ascii=False, separators=(",", ":"), allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return None
    return written if len(written) <= VALUE_MOST else None


def read_value(written: str | None) -> tuple[Value, ValueKind]:
    """The value and its kind; "text" where no value was kept."""
    if written is None:
        return None, "text"
    ((kind, value),) = json.loads(written).items()
    return (tuple(FileReference(**file) for file in value) if kind == "files" else value), kind
