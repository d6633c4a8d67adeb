"""Converts a database from before 0.1.0, once: its tables are put aside, made anew, filled and dropped.

Sessions get numbers, steps and actions of answers become journals, and what stood beside them in several shapes stands
in one. Messages are read in batches, so that memory does not grow with the database; all is one transaction, which
needs as much room again as the database has. What releases added to it since it was made is found by looking at its
tables. This module goes with 1.0.
"""

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Double, MetaData, Table, Text, insert, inspect, select, text

from flowground.core.events import (
    Action,
    ComponentFinished,
    Event,
    InnerRun,
    ModelThought,
    StepStatus,
    ThinkingBegan,
    Token,
    ToolCalled,
    ToolReturned,
    TurnStarted,
)
from flowground.core.messages import FallbackUse, Usage
from flowground.store import tables
from flowground.store.runs.journals import VERSION, encode_events, write_journal
from flowground.store.runs.records import TRACE_CHARS, StoredMessage
from flowground.store.sql import read_moment

_QUESTION, _ANSWER = -1, -2
"""Numbers that a trace has in place of texts of the run's question and answer."""
_MADE_ANEW = (
    *(tables.sessions, tables.session_pins, tables.messages, tables.journals, tables.ratings, tables.shared_chats),
    *(tables.run_contents, tables.run_events, tables.config_entries, tables.removals, tables.tokens),
)
"""The tables that are made anew, each after those that it refers to."""
_PUT_ASIDE = [*(table.name for table in _MADE_ANEW), "turn_overrides"]
_OLD = MetaData()
"""Columns that are converted, and that the tables have no more."""
Table("messages", _OLD, *tables.allow(Text, "steps", "trace", "timeline", "actions"))
Table("run_contents", _OLD, *tables.allow(Text, "answers"))
Table("turn_overrides", _OLD, *tables.allow(Text, "message_id", "overrides"))
Table("removals", _OLD, *tables.allow(Double, "looked_at"))
_FILLED = {"audience": "NOT NULL DEFAULT 'organization'", "api": "NOT NULL DEFAULT FALSE"}
"""What columns of tables that are not made anew have in older rows."""
_BATCH = 20_000
"""Messages that are copied at once."""
_STEPS_AT_ONCE = 500
"""Messages whose steps are read at once."""
_log = logging.getLogger(__name__)
_MENDED = (
    # The sentence of a failed answer stood in its text.
    "UPDATE messages SET error = text, text = '' WHERE role = 'assistant' AND state = 'failed' AND error IS NULL",
    # Members signed in by their id before they had identities.
    """
    INSERT INTO identities (provider, subject, member, made_at)
    SELECT 'password', CASE WHEN EXISTS (SELECT 1 FROM identities WHERE provider = 'password' AND subject = name)
        THEN name || '~' ELSE name END, name, created_at
    FROM members
    WHERE NOT EXISTS (SELECT 1 FROM identities WHERE provider = 'password' AND member = members.name)
    """,
    """
    INSERT INTO identities (provider, subject, member, made_at)
    SELECT 'config', name, name, 0 FROM config_entries
    WHERE NOT EXISTS (SELECT 1 FROM identities WHERE provider = 'config' AND subject = config_entries.name)
    """,
    "UPDATE config_entries SET display_name = COALESCE(display_name, name), role = COALESCE(role, 'member')",
    "DELETE FROM removals WHERE looked_at IS NOT NULL",
    # A repeat is answered from a journal, which earlier releases did not keep: it begins a new run.
    """
    DELETE FROM idempotency_keys
    WHERE run_id NOT IN (SELECT id FROM runs WHERE status IN ('running', 'interrupted')) AND run_id NOT IN (
        SELECT m.run_id FROM journals JOIN messages m ON m.position = journals.message WHERE m.run_id IS NOT NULL
    )
    """,
    *(
        f"DROP TABLE IF EXISTS {table}"
        for table in (
            *("presets", "stop_requests", "passed_decisions", "waiting_calls", "knowledge_words", "knowledge_vectors"),
            *("knowledge_passages", "knowledge_files", "knowledge_indexes"),
        )
    ),
    "DROP INDEX IF EXISTS runs_counted",
    "DROP INDEX IF EXISTS runs_from",
    "DELETE FROM forgotten_to",  # positions of deleted messages are given again
    "UPDATE tokens SET sees = COALESCE(sees, 'inside'), sets = COALESCE(sets, 'unprotected')",
    # What a person's token had said belonged to that token.
    *(
        f"""
        UPDATE {table} SET owner = (SELECT 'token:try:' || t.owner FROM tokens t WHERE t.id = substr({table}.owner, 7))
        WHERE owner IN (SELECT 'token:' || id FROM tokens WHERE substr(owner, 1, 8) <> 'removed:')
        """  # noqa: S608 - names of ours
        for table in ("sessions", "runs", "files", "session_pins", "shared_chats")
    ),
)
_SESSIONS = """
    INSERT INTO sessions (flow_id, owner, session_id, title, created_at, updated_at, messages)
    SELECT flow_id, owner, session_id, MAX(title), MIN(created_at), MAX(updated_at), SUM(messages)
    FROM before_sessions GROUP BY owner, session_id, flow_id ORDER BY MIN(created_at)
"""
"""Sessions of one id become one: of a person's tokens, or where the ids differed in what no database stores."""
_OVERRIDES = """
    INSERT INTO run_contents (run_id, session, request)
    SELECT m.run_id, m.session, '{"tweaks": ' || o.overrides || '}'
    FROM before_turn_overrides o JOIN messages m ON m.id = o.message_id JOIN runs r ON r.id = m.run_id
    WHERE m.run_id NOT IN (SELECT run_id FROM run_contents)
"""
_STEPS = text("""
    SELECT m.position, m.id, m.text, m.run_id, m.created_at, b.steps, b.trace, b.timeline, b.actions,
        (SELECT q.position FROM messages q
         WHERE q.session = m.session AND q.position < m.position AND q.position > m.position - 1000
             AND q.role = 'user' AND q.run_id = m.run_id
         ORDER BY q.position DESC LIMIT 1) AS asked
    FROM before_messages b JOIN messages m ON m.position = b.position
    WHERE b.position > :after AND COALESCE(b.steps, b.trace, b.actions) IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM journals j WHERE j.message = m.position)
    ORDER BY b.position LIMIT :most
""")
_SAID = text("""
    SELECT c.run_id, c.answers, s.id AS session, r.flow_id, r.session_id, r.started_at
    FROM before_run_contents c JOIN runs r ON r.id = c.run_id
    JOIN sessions s ON s.owner = r.owner AND s.session_id = r.session_id AND s.flow_id = r.flow_id
    WHERE c.answers IS NOT NULL AND r.status = 'running'
        AND NOT EXISTS (SELECT 1 FROM run_events e WHERE e.run = r.id)
""")


def convert(connection: Connection) -> None:
    """Converts the tables that a release before 0.1.0 left, whichever it was."""
    _complete(connection)
    for statement in _MENDED:
        connection.exec_driver_sql(statement)
    _remember_removed(connection)
    _put_aside(connection)
    tables.metadata.create_all(connection, _MADE_ANEW, checkfirst=False)
    connection.exec_driver_sql(_SESSIONS)
    for table in _MADE_ANEW:
        if table is tables.messages:
            _copy_messages(connection)
        elif table is not tables.sessions:
            _copy(connection, table, "b.request IS NOT NULL" if table is tables.run_contents else "TRUE")
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ANALYZE")  # else it plans as if the new tables were empty
    connection.exec_driver_sql(_OVERRIDES)
    _keep_said(connection)
    _write_journals(connection)
    for name in reversed(_PUT_ASIDE):
        connection.exec_driver_sql(f"DROP TABLE before_{name}")


def _complete(connection: Connection) -> None:
    """Adds what the last release before 0.1.0 had: the tables, columns and indexes that the database lacks."""
    for table in (*tables.metadata.tables.values(), *_OLD.tables.values()):
        if table.name in _PUT_ASIDE:
            connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {table.name} (session TEXT)")
        else:
            table.create(connection, checkfirst=True)
        there = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = f"{column.type.compile(connection.dialect)} {_FILLED.get(column.name, '')}"
                connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}")
        for index in () if table.name in _PUT_ASIDE else table.indexes:
            index.create(connection, checkfirst=True)


def _remember_removed(connection: Connection) -> None:
    """Ids of removed members, which earlier releases wrote into the audit trail only."""
    known = set(connection.scalars(select(tables.used_ids.c.digest)))
    named = select(tables.audit.c.subject).where(tables.audit.c.action == "member.removed").distinct()
    digests = {hashlib.sha256(name.encode()).hexdigest() for name in connection.scalars(named)}
    if new := sorted(digests - known):
        connection.execute(insert(tables.used_ids), [{"digest": one, "used_at": time.time()} for one in new])


def _put_aside(connection: Connection) -> None:
    """Renames the tables; their indexes, whose names the new ones get, are dropped or renamed."""
    named = ", ".join(f"'{name}'" for name in _PUT_ASIDE)
    if connection.dialect.name == "sqlite":
        found = f"SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({named})"  # noqa: S608 - names of ours
        change = "DROP INDEX {0}"
    else:
        found = f"SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND tablename IN ({named})"  # noqa: S608 - names of ours
        change = "ALTER INDEX {0} RENAME TO before_{0}"
    for (index,) in connection.exec_driver_sql(found).all():
        connection.exec_driver_sql(change.format(index))
    for name in _PUT_ASIDE:
        connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO before_{name}")


def _copy(connection: Connection, table: Table, where: str) -> None:
    """Copies these rows of what was put aside, with their sessions' new numbers."""
    names = ", ".join(column.name for column in table.columns if column.name != "session")
    read, source = names, f"before_{table.name} b"
    if "session" in table.columns:
        read = f"s.id, {', '.join(f'b.{name}' for name in names.split(', '))}"
        names = f"session, {names}"
        source += (
            " JOIN before_sessions o ON o.id = b.session"
            " JOIN sessions s ON s.owner = o.owner AND s.session_id = o.session_id AND s.flow_id = o.flow_id"
        )
    pinned = "ON CONFLICT DO NOTHING" if table is tables.session_pins else ""  # of sessions that became one
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({names}) SELECT {read} FROM {source} WHERE {where} {pinned}")  # noqa: S608 - names of ours


def _copy_messages(connection: Connection) -> None:
    last = connection.scalar(text("SELECT MAX(position) FROM before_messages")) or 0
    for after in range(0, last, _BATCH):
        _copy(connection, tables.messages, f"b.position > {after} AND b.position <= {after + _BATCH}")
        if last > _BATCH:
            _log.warning("Converting the database: message %d of %d", min(after + _BATCH, last), last)
    if last and connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('messages', 'position'), {last})")


def _keep_said(connection: Connection) -> None:
    """The texts so far of runs whose process has died become chunks of their journals."""
    for row in connection.execute(_SAID).all():
        said = json.loads(row.answers)
        began = datetime.fromtimestamp(row.started_at, UTC)
        start = TurnStarted(row.run_id, row.flow_id, row.session_id, began, "", None, {key: key for key in said})
        body = encode_events([start, *(Token(key, words) for key, words in said.items())])
        numbers = {"first": 1, "last": 1 + sum(map(len, said.values())), "version": VERSION}
        connection.execute(insert(tables.run_events).values(run=row.run_id, session=row.session, body=body, **numbers))


def _write_journals(connection: Connection) -> None:
    """Writes the steps and actions that stood beside answers as the journals of their runs."""
    after, count = 0, 0
    while rows := connection.execute(_STEPS, {"after": after, "most": _STEPS_AT_ONCE}).all():
        positions = [row.asked for row in rows if row.asked]
        columns = tables.messages.c
        asked = select(columns.position, columns.id, columns.text).where(columns.position.in_(positions))
        questions = {row.position: row for row in connection.execute(asked)}
        journals = [
            {"message": row.position, "version": VERSION, "body": body}
            for row in rows
            if (body := _try_journal(row, questions.get(row.asked)))
        ]
        if journals:
            connection.execute(insert(tables.journals), journals)
        after, before, count = rows[-1].position, count, count + len(rows)
        if count // _BATCH > before // _BATCH:
            _log.warning("Converting the database: steps of %d answers", count)


def _try_journal(row: Any, question: Any) -> str | None:
    """The journal of an answer; None where its steps cannot be read, as one of them must not stop the start."""
    try:
        return _make_journal(row, question)
    except Exception:  # noqa: BLE001 - whatever a release before wrote
        _log.exception("Converting the database: the steps of the message %s cannot be read and are left out", row.id)
        return None


def _make_journal(row: Any, question: Any) -> str:
    at = read_moment(row.created_at)
    key, asked = (question.id, question.text) if question else ("", None)
    events: list[Event] = [TurnStarted("", "", "", at, key, asked, {"": row.id})]
    if written := row.steps or row.trace:
        events += _read_trace(written, row.timeline, question=asked or "", answer=row.text)
    for action in map(_read_action, json.loads(row.actions or "[]")):
        events += [action.called if isinstance(action, ToolReturned) else action.began, action]
    messages = [StoredMessage(row.id, "assistant", row.text, "complete", at)]
    if question:
        messages.append(StoredMessage(key, "user", question.text, "complete", at))
    return write_journal(events, None, messages=messages, names={}, is_replayed=False)


def _read_trace(written: str, timeline: str | None, *, question: str, answer: str) -> Iterator[ComponentFinished]:
    """The steps; those from before there were timelines have no times."""
    known = {_QUESTION: question[:TRACE_CHARS], _ANSWER: answer[:TRACE_CHARS]}
    times = json.loads(timeline) if timeline else []
    for number, (component, kind, seconds, kept, usage, model) in enumerate(json.loads(written)):
        known[number] = known[kept] if isinstance(kept, int) else kept
        name, status = _read_kind(kind)
        shown = component, name, seconds, known[number], Usage(*usage) if usage else None, model, status
        yield ComponentFinished(*shown, **(_read_time(times[number]) if number < len(times) else {}))


def _read_action(row: Sequence[Any]) -> Action:
    kind, number, within, component_id, at, seconds, text, *call = row
    if kind == "thought":
        return ModelThought(ThinkingBegan(component_id, number, at, within, *call), text, seconds)
    call_id, tool, name, label, is_inner, arguments, status, usage, *after = call
    called = ToolCalled(component_id, call_id, tool, name, arguments, at, number, within, label, is_inner, *after)
    return ToolReturned(called, text, seconds, status, Usage(*usage) if usage else None)


def _read_inner(written: Sequence[Any]) -> InnerRun:
    flow_id, name, at, seconds, error, steps = written
    return InnerRun(flow_id, name, at, seconds, tuple(_read_inner_step(step) for step in steps), error)


def _read_inner_step(written: Sequence[Any]) -> ComponentFinished:
    component, kind, seconds, text, usage, model, status, *times = written
    shown = component, kind, seconds, text, Usage(*usage) if usage else None, model, status
    return ComponentFinished(*shown, **_read_time(times))


def _read_time(times: Sequence[Any]) -> dict[str, Any]:
    names = ("at", "inner_count", "inner", "call_count", "calls", "note", "unseen", "fallback_uses")
    pairs = zip(names, times, strict=False)
    values = {name: value for name, value in pairs if name not in ("call_count", "calls")}
    values["inner"] = tuple(_read_inner(run) for run in values.get("inner", ()))
    values["unseen"] = tuple(values.get("unseen", ()))
    values["fallback_uses"] = tuple(FallbackUse(*one) for one in values.get("fallback_uses", ()))
    return values


def _read_kind(kind: str) -> tuple[str, StepStatus]:
    """A step's type and status from their common column."""
    for status in ("skipped", "failed"):
        if kind.endswith(ending := f" ({status})"):
            return kind.removesuffix(ending), status
    return kind, "done"
