"""Writing a turn: the question and the run at its begin, the answers and the run's end at its end, each in one batch.

These statements return nothing, so on PostgreSQL a batch of them takes one round trip.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from flowground.core.errors import AnswerUnfinished
from flowground.core.values import SentFile
from flowground.store import tables
from flowground.store.runs import counters
from flowground.store.runs.conversations import IS_HERE, bind_place, make_first_title
from flowground.store.runs.counters import CountedRun
from flowground.store.runs.files import send_files
from flowground.store.runs.journals import add_journal
from flowground.store.runs.records import (
    MESSAGE_COLUMNS,
    RunRecord,
    StoredMessage,
    list_file_names,
    make_message_row,
    make_run_row,
)
from flowground.store.sql import Statement, mark_job, notify, write_insert

OPEN: list[ColumnElement[str]] = [literal_column("'running'"), literal_column("'interrupted'")]
"""Statuses of runs that still take an answer."""
_s = tables.sessions.c
_m = tables.messages.c
_r = tables.runs.c
_c = tables.run_contents.c
_TAKES_AN_ANSWER = ~(select(literal_column("1")).where(_r.id == bindparam("of_run"), _r.status.not_in(OPEN)).exists())
"""The run is running, or was marked as interrupted, so that its answer may still be stored; or it does not exist."""
_asked = tables.messages.alias()
_ITS_ASIDE = case(
    (
        select(literal_column("1"))
        .where(_r.id == bindparam("of_run"), _r.status == literal_column("'interrupted'"))
        .exists(),
        select(func.max(_asked.c.aside))
        .where(_asked.c.session == _s.id, _asked.c.run_id == bindparam("of_run"))
        .scalar_subquery(),
    )
)
"""The version under which a late answer is put aside: its question may have been put aside since its run was marked as
interrupted."""
_TOUCH = Statement(
    update(tables.sessions)
    .where(*IS_HERE, _TAKES_AN_ANSWER)
    .values(
        updated_at=bindparam("updated_at"),
        # An interrupted answer, which is replaced, was counted before.
        messages=_s.messages
        + 1
        - select(func.count()).where(_m.id == bindparam("id")).correlate(None).scalar_subquery(),
    )
)
_CLEAR_CHUNKS = Statement(delete(tables.run_events).where(tables.run_events.c.run == bindparam("run_id")))
_FIND_MESSAGE = Statement(select(_m.id).where(_m.id == bindparam("id")))
_FIND_RUN = Statement(select(_r.status, _r.error_code).where(_r.id == bindparam("id")))


def insert_in_session(
    insert: Any, names: Sequence[str], *conditions: ColumnElement[bool], **more: ColumnElement[Any]
) -> Any:
    """An insert of bound values, and of looked-up ones, into the session of `IS_HERE`. It inserts from a select, so
    nothing is added and nothing fails where the session was deleted meanwhile, or a condition does not hold."""
    columns = insert.table.c
    values = (bindparam(name, type_=columns[name].type) for name in names)
    wanted = select(_s.id, *values, *more.values()).where(*IS_HERE, *conditions)
    return insert.from_select(["session", *names, *more], wanted).inline()


@cache
def _write_begin(database: str) -> Statement:
    """The statement that makes the session, or adds one to its count of messages."""
    names = (column.name for column in _s if column is not _s.id)
    made = write_insert(database, tables.sessions).values({name: bindparam(name) for name in names}).inline()
    return Statement(
        made.on_conflict_do_update(
            index_elements=[_s.owner, _s.session_id, _s.flow_id],
            set_={
                "title": case((_s.title == literal_column("''"), made.excluded.title), else_=_s.title),
                "updated_at": made.excluded.updated_at,
                "messages": _s.messages + made.excluded.messages,
            },
        )
    )


_ADD_QUESTION = Statement(insert_in_session(insert(tables.messages), MESSAGE_COLUMNS))


@cache
def _write_answer(database: str) -> Statement:
    """The statement that adds an answer, where the run takes one, or replaces what an interrupted run left."""
    added = insert_in_session(
        write_insert(database, tables.messages), MESSAGE_COLUMNS, _TAKES_AN_ANSWER, aside=_ITS_ASIDE
    )
    counted = ("model", "input_tokens", "output_tokens", "seconds")
    late = (*counted, "text", "state", "error", "value", "citations")
    return Statement(
        added.on_conflict_do_update(
            index_elements=[_m.id],
            set_={name: added.excluded[name] for name in late},
            where=_m.state == literal_column("'interrupted'"),
        )
    )


@cache
def _write_run(database: str) -> Statement:
    """The statement that adds a run, or ends a running one. An interrupted run keeps its status and gets the error code
    finished_late."""
    ended = write_insert(database, tables.runs)
    running = _r.status == literal_column("'running'")
    return Statement(
        ended.on_conflict_do_update(
            index_elements=[_r.id],
            set_={
                "status": case((running, ended.excluded.status), else_=_r.status),
                "exclusive": null(),
                "error_code": case((running, ended.excluded.error_code), else_=literal_column("'finished_late'")),
                **{name: ended.excluded[name] for name in ("seconds", "input_tokens", "output_tokens", "cost")},
            },
            where=_r.status.in_(OPEN),
        )
    )


@cache
def _write_exclusive(database: str) -> Statement:
    """The statement that adds a run and gives its id; nothing where another has what only one may have."""
    return Statement(write_insert(database, tables.runs).on_conflict_do_nothing().returning(_r.id))


def _add_run(connection: Connection, run: RunRecord) -> None:
    """Stores a run that begins. Raises AnswerUnfinished where another has what only one may have."""
    kind, row = connection.dialect.name, make_run_row(run)
    if run.exclusive is None:
        _write_run(kind).run(connection, row)
    elif not _write_exclusive(kind).fetch(connection, row):
        raise AnswerUnfinished


_ADD_REQUEST = Statement(insert_in_session(insert(tables.run_contents), ["run_id", "request"]))


def has_begun(
    connection: Connection, *, message: StoredMessage | None = None, run: RunRecord | None = None, **_: Any
) -> bool:
    """Whether `begin_turn` was committed with these arguments."""
    if run is not None:
        return bool(_FIND_RUN.fetch(connection, {"id": run.id}))
    return message is not None and bool(_FIND_MESSAGE.fetch(connection, {"id": message.id}))


def has_ended(connection: Connection, *, run: RunRecord, **_: Any) -> bool:
    """Whether `finish_turn` was committed with this run."""
    found = _FIND_RUN.fetch(connection, {"id": run.id})
    return any(status not in ("running", "interrupted") or code == "finished_late" for status, code in found)


@mark_job(landed=has_begun)
def begin_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    message: StoredMessage | None,
    run: RunRecord | None = None,
    request: str | None = None,
    files: Sequence[SentFile] = (),
) -> None:
    """Stores the user's message and the run that begins, and makes the session when it is new.

    `message` None: the run has no message, but its answers will need the session, which is listed once it has some.
    `request` is the rest of the request as JSON, without secrets; it is deleted with the conversation. `files` are sent
    with the message.
    """
    here = bind_place(flow_id, owner, session_id)
    at = message.created_at.timestamp() if message else time.time()
    made = {
        **here,
        "title": make_first_title(message.text.strip() or ", ".join(list_file_names(message))) if message else "",
        "created_at": at,
        "updated_at": at,
        "messages": 1 if message else 0,
    }
    _write_begin(connection.dialect.name).run(connection, made)
    if message:
        _ADD_QUESTION.run(connection, here | make_message_row(message))
        if files:
            send_files(connection, files=files, message=message.id, owner=owner, flow_id=flow_id)
    if run:
        _add_run(connection, run)
    if run and request:
        _ADD_REQUEST.run(connection, {**here, "run_id": run.id, "request": request})


@mark_job(landed=has_begun)
def begin_run(connection: Connection, *, run: RunRecord) -> None:
    """Stores a run that begins, without any message, for turns that are not kept."""
    _add_run(connection, run)


@mark_job(is_one_way=False, landed=has_begun)
def begin_exclusive(connection: Connection, /, *, begin: Callable[..., None], **begins: Any) -> None:
    """Like the function `begin`, of a run that is `exclusive`. Raises AnswerUnfinished; then nothing is stored."""
    begin(connection, **begins)


@mark_job(is_one_way=False, landed=has_begun, is_counted=True)
def begin_counted(connection: Connection, /, *, begin: Callable[..., Any], counted: CountedRun, **begins: Any) -> Any:
    """Like the function `begin`, and counts the run that it begins, in all processes exactly.

    Raises what `counted.refuse` raises; then nothing is stored. A run that `begin` returns instead is not counted.
    """
    used = counters.read(connection, counters=counted.counters, now=counted.at)
    if (taken := begin(connection, **begins)) is None:
        counted.refuse(used)
        counters.add(connection, counted)
    return taken


@mark_job(landed=has_ended, stays=True)
def finish_turn(
    connection: Connection,
    *,
    flow_id: str,
    owner: str,
    session_id: str,
    answers: Sequence[StoredMessage],
    run: RunRecord,
    journal: tuple[str, str] | None = None,
    was_kept: bool = False,
) -> None:
    """Stores the answers and the run's end. Answers to a session that was deleted meanwhile are dropped, the run stays.

    A run that has ended already stays as it ended, with its answers. A run that was marked as interrupted keeps the
    mark, and its answers replace what was left. `journal` is a message's id and what
    `journals.write_journal` wrote; `was_kept`: chunks of it were kept (`chunks.keep`): they are deleted now, and who
    follows the run is told.
    """
    here = bind_place(flow_id, owner, session_id)
    kind = connection.dialect.name
    for answer in answers:
        at = answer.created_at.timestamp()
        _TOUCH.run(connection, {**here, "updated_at": at, "id": answer.id, "of_run": run.id})
        _write_answer(kind).run(connection, {**here, **make_message_row(answer), "of_run": run.id})
    _write_run(kind).run(connection, make_run_row(run))
    if journal:
        add_journal(connection, message=journal[0], body=journal[1])
    if was_kept:
        _CLEAR_CHUNKS.run(connection, {"run_id": run.id})
        notify(connection, f"events {run.holder}")


@mark_job(landed=has_ended, stays=True, is_counted=True)
def finish_counted(connection: Connection, /, *, finish: Callable[..., None], counted: CountedRun, **ends: Any) -> None:
    """Like the function `finish`, and counts what the run used."""
    counters.add(connection, counted)
    finish(connection, **ends)


def end_run(connection: Connection, *, run: RunRecord, may_come_yet: bool = False) -> None:
    """Ends a running run that no process drives; the run has no answers.

    `may_come_yet`: the transaction of its begin may still be under way, and finds the run ended then. On PostgreSQL
    this waits for that transaction.
    """
    if may_come_yet:
        _write_run(connection.dialect.name).run(connection, make_run_row(run))
        return
    ended = {"status": run.status, "error_code": run.error_code, "exclusive": None}
    connection.execute(update(tables.runs).where(_r.id == run.id, _r.status == "running").values(ended))
