"""Running runs: their texts so far, the processes that hold them, and the end of those whose process died."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from flowground.core.events import Event, fold
from flowground.store import tables
from flowground.store.runs import chunks
from flowground.store.runs.conversations import find_key
from flowground.store.runs.journals import add_steps
from flowground.store.runs.records import MESSAGE_COLUMNS, RunRecord, StoredMessage, read_message_row, read_run_row
from flowground.store.sql import make_storable, notify

_r = tables.runs.c
_s = tables.sessions.c
_m = tables.messages.c
_STEP = 50
"""Most runs that one call ends: other writes wait meanwhile."""


def list_holders(connection: Connection) -> list[str]:
    """The processes that hold running runs, dead ones too."""
    return list({run.holder for run in list_held(connection)})


def list_held(connection: Connection) -> Sequence[Row[Any]]:
    """The running runs that a process holds. With more conditions, SQLite would read all runs of a flow or owner
    instead of the few that run."""
    return connection.execute(select(tables.runs).where(tables.IS_RUNNING, _r.holder.is_not(None))).all()


def find_running(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> RunRecord | None:
    """The run that answers in this session, in any process; of several, the one that began last."""
    here = (flow_id, owner, make_storable(session_id))
    found = [row for row in list_held(connection) if (row.flow_id, row.owner, row.session_id) == here]
    return read_run_row(max(found, key=lambda row: row.started_at)) if found else None


def list_places_elsewhere(connection: Connection, *, holder: str) -> list[tuple[str, str, str]]:
    """Owner, flow and session of each run in other processes than this one."""
    return [(run.owner, run.flow_id, run.session_id) for run in list_held(connection) if run.holder != holder]


def find_run(connection: Connection, *, run_id: str) -> RunRecord | None:
    """The run of any owner."""
    found = connection.execute(select(tables.runs).where(_r.id == run_id)).first()
    return None if found is None else read_run_row(found)


def list_answers(connection: Connection, *, run: RunRecord) -> list[StoredMessage]:
    """The answers of a run that has ended, without messages that its flow added; none where its conversation was
    deleted."""
    messages = add_steps(connection, list_messages(connection, run=run))
    return [message for message in messages if message.role == "assistant" and message.sender is None]


def list_messages(connection: Connection, *, run: RunRecord) -> list[StoredMessage]:
    """The messages of a run, without its steps."""
    here = (_m.session == find_key(connection, run.flow_id, run.owner, run.session_id), _m.run_id == run.id)
    wanted = select(*(_m[name] for name in MESSAGE_COLUMNS)).where(*here)
    return [read_message_row(row) for row in connection.execute(wanted.order_by(_m.position)).all()]


def interrupt_runs(connection: Connection, *, holders: Collection[str]) -> int:
    """Ends some running runs of these dead processes; returns their number, 0 when none is left.

    The kept texts of a run become its answers, marked as interrupted; a run without kept texts leaves none.
    """
    wanted = select(tables.runs).where(tables.IS_RUNNING, _r.holder.in_(list(holders))).limit(_STEP)
    found = [read_run_row(row) for row in connection.execute(wanted).all()]
    for run in found:
        ended = {"status": "interrupted", "error_code": "interrupted", "exclusive": None}
        done = connection.execute(update(tables.runs).where(_r.id == run.id, tables.IS_RUNNING).values(ended))
        if done.rowcount:  # else the run has ended, or another process was first
            _leave_answers(connection, run)
    if found:
        notify(connection, "events ")
    return len(found)


def _leave_answers(connection: Connection, run: RunRecord) -> None:
    texts = read_texts(chunks.read(connection, run_id=run.id))
    connection.execute(delete(tables.run_events).where(tables.run_events.c.run == run.id))
    session = find_key(connection, run.flow_id, run.owner, run.session_id)
    left = [(key, make_storable(text)) for key, text in texts.items() if text]
    if not left or not session:
        return
    now = time.time()
    for key, text in left:
        row = {"id": key, "session": session, "role": "assistant", "text": text, "state": "interrupted"}
        connection.execute(insert(tables.messages).values(**row, created_at=now, run_id=run.id))
    connection.execute(
        update(tables.sessions).where(_s.id == session).values(messages=_s.messages + len(left), updated_at=now)
    )


def read_texts(events: Sequence[Event]) -> dict[str, str]:
    """The texts of a run's answers so far, by the id that each will have."""
    view = fold(events)
    return {key: view.texts.get(name, "") for name, key in view.started.answer_ids.items()} if view.started else {}
