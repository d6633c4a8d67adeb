"""Running runs: their texts so far, the processes that hold them, and the end of those whose process died."""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, literal_column, select, update

from flowground.store import tables
from flowground.store.runs.conversations import make_session_key
from flowground.store.runs.journals import add_steps
from flowground.store.runs.records import MESSAGE_COLUMNS, RunRecord, StoredMessage, read_message_rows, read_run_row
from flowground.store.runs.turns import insert_in_session
from flowground.store.sql import Statement, make_storable, mark_job, write_insert

_r = tables.runs.c
_c = tables.run_contents.c
_s = tables.sessions.c
_m = tables.messages.c
_STEP = 50
"""Most runs that one call ends: other writes wait meanwhile."""


@cache
def _write_keep(database: str) -> Statement:
    """The statement that keeps a run's texts so far, while the run runs."""
    is_running = select(literal_column("1")).where(_r.id == bindparam("run_id"), tables.IS_RUNNING).exists()
    kept = insert_in_session(write_insert(database, tables.run_contents), ["run_id", "answers"], is_running)
    return Statement(kept.on_conflict_do_update(index_elements=[_c.run_id], set_={"answers": kept.excluded.answers}))


@dataclass(frozen=True, slots=True)
class TextsSoFar:
    """A run's texts so far, by the id that each answer will have."""

    run_id: str
    flow_id: str
    owner: str
    session_id: str
    answers: Mapping[str, str]


@mark_job()
def keep_texts(connection: Connection, *, texts: Sequence[TextsSoFar]) -> None:
    """Keeps the texts of running runs. A run that has ended meanwhile stays as it ended."""
    for one in texts:
        session = make_session_key(one.flow_id, one.owner, one.session_id)
        row = {"run_id": one.run_id, "session": session, "answers": _write_texts(one.answers)}
        _write_keep(connection.dialect.name).run(connection, row)


def _write_texts(texts: Mapping[str, str]) -> str:
    return json.dumps({key: make_storable(text) for key, text in texts.items()}, ensure_ascii=False)


def list_holders(connection: Connection) -> list[str]:
    """The processes that hold running runs, dead ones too."""
    found = connection.scalars(select(_r.holder).where(tables.IS_RUNNING, _r.holder.is_not(None)).distinct())
    return [holder for holder in found if holder]


def find_running(connection: Connection, *, flow_id: str, owner: str, session_id: str) -> RunRecord | None:
    """The run that answers in this session, in any process; of several, the one that began last."""
    here = (flow_id, owner, make_storable(session_id))
    # With more conditions, SQLite would read all runs of the flow instead of the few that run.
    running = connection.execute(select(tables.runs).where(tables.IS_RUNNING, _r.holder.is_not(None))).all()
    found = [row for row in running if (row.flow_id, row.owner, row.session_id) == here]
    return read_run_row(max(found, key=lambda row: row.started_at)) if found else None


def list_places_elsewhere(connection: Connection, *, holder: str) -> list[tuple[str, str, str]]:
    """Owner, flow and session of each run in other processes than this one."""
    running = select(_r.owner, _r.flow_id, _r.session_id, _r.holder).where(tables.IS_RUNNING, _r.holder.is_not(None))
    return [(row.owner, row.flow_id, row.session_id) for row in connection.execute(running) if row.holder != holder]


def find_run(connection: Connection, *, run_id: str) -> RunRecord | None:
    """The run of any owner."""
    found = connection.execute(select(tables.runs).where(_r.id == run_id)).first()
    return None if found is None else read_run_row(found)


def read_texts(connection: Connection, *, run_id: str) -> dict[str, str]:
    """The kept texts of a running run, by the id of each answer."""
    texts = connection.scalar(select(_c.answers).where(_c.run_id == run_id))
    found: dict[str, str] = json.loads(texts) if texts else {}
    return found


class KeptTexts(NamedTuple):
    """A run's texts by the id of each answer; `size` shows whether they have grown."""

    size: int
    texts: Mapping[str, str]


class PolledRuns(NamedTuple):
    """Those of the polled runs that still run, and the texts that have grown."""

    running: Collection[str]
    grown: Mapping[str, KeptTexts]


def poll_runs(connection: Connection, *, sizes: Mapping[str, int], most_chars: int) -> PolledRuns:
    """Polls the running runs. `sizes` has each run's last known size, by run id; the first texts that have grown are
    read, at most so many characters, and at least one run's."""
    wanted = select(_r.id, func.length(_c.answers)).outerjoin_from(tables.runs, tables.run_contents, _c.run_id == _r.id)
    rows = connection.execute(wanted.where(_r.id.in_([*sizes]), tables.IS_RUNNING)).all()
    now = {run_id: size or 0 for run_id, size in rows}
    chosen: list[str] = []
    for run_id in sizes:
        if now.get(run_id, 0) > sizes[run_id]:
            most_chars -= now[run_id]
            if chosen and most_chars < 0:
                break
            chosen.append(run_id)
    found = connection.execute(select(_c.run_id, _c.answers).where(_c.run_id.in_(chosen), _c.answers.is_not(None)))
    return PolledRuns(now, {run_id: KeptTexts(len(texts), json.loads(texts)) for run_id, texts in found})


def list_answers(connection: Connection, *, run: RunRecord) -> list[StoredMessage]:
    """The answers of a run that has ended, without messages that its flow added; none where its conversation was
    deleted."""
    messages = add_steps(connection, list_messages(connection, run=run))
    return [message for message in messages if message.role == "assistant" and message.sender is None]


def list_messages(connection: Connection, *, run: RunRecord) -> list[StoredMessage]:
    """The messages of a run, without its steps."""
    sessions = [make_session_key(run.flow_id, run.owner, run.session_id)]
    if "\ufffd" in run.session_id:  # the key was made from the id before `make_storable`
        here = (_s.owner == run.owner, _s.flow_id == run.flow_id, _s.session_id == run.session_id)
        sessions += connection.scalars(select(_s.id).where(*here))
    wanted = select(*(_m[name] for name in MESSAGE_COLUMNS)).where(_m.session.in_(sessions), _m.run_id == run.id)
    return read_message_rows(connection.execute(wanted.order_by(_m.position)).all())


def end_lost_runs(connection: Connection, *, holder: str, before: float, known: Collection[str]) -> None:
    """Ends the process's running runs that began before this time and are not among `known`: their ends could not be
    stored, and too many of them were waiting."""
    lost = (tables.IS_RUNNING, _r.holder == holder, _r.started_at < before, _r.id.not_in(list(known)))
    ended = {"status": "failed", "error_code": "unknown_outcome", "seconds": time.time() - _r.started_at}
    connection.execute(update(tables.runs).where(*lost).values(ended))


def interrupt_runs(connection: Connection, *, holders: Collection[str]) -> int:
    """Ends some running runs of these dead processes; returns their number, 0 when none is left.

    The kept texts of a run become its answers, marked as interrupted; a run without kept texts leaves none.
    """
    found = connection.execute(
        select(_r.id, _c.session, _c.answers)
        .outerjoin_from(tables.runs, tables.run_contents, _c.run_id == _r.id)
        .where(tables.IS_RUNNING, _r.holder.in_(list(holders)))
        .limit(_STEP)
    ).all()
    for run, session, answers in found:
        ended = {"status": "interrupted", "error_code": "interrupted"}
        done = connection.execute(update(tables.runs).where(_r.id == run, tables.IS_RUNNING).values(ended))
        connection.execute(delete(tables.waiting_calls).where(tables.waiting_calls.c.run_id == run))
        if done.rowcount and session is not None and answers:  # else the run has ended, or another process was first
            _leave_answers(connection, run=run, session=session, texts=json.loads(answers))
    return len(found)


def _leave_answers(connection: Connection, *, run: str, session: str, texts: Mapping[str, str]) -> None:
    left = {key: text for key, text in texts.items() if text}
    now = time.time()
    for key, text in left.items():
        row = {"id": key, "session": session, "role": "assistant", "text": text, "state": "interrupted"}
        connection.execute(insert(tables.messages).values(**row, created_at=now, run_id=run))
    connection.execute(update(tables.run_contents).where(_c.run_id == run).values(answers=None))
    connection.execute(
        update(tables.sessions).where(_s.id == session).values(messages=_s.messages + len(left), updated_at=now)
    )
