"""What stands in a database that was broken: counts of what must not be, all of them to be 0."""

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, make_url, text

_STORED = text(
    "SELECT sessions.session_id, messages.role, messages.text, messages.state FROM messages "
    "JOIN sessions ON sessions.id = messages.session"
)
_ANSWERS = text("SELECT id, text FROM messages WHERE role = 'assistant'")
_RUNNING = text("SELECT count(*) FROM runs WHERE status = 'running'")
_RUNNING_IDS = text("SELECT id FROM runs WHERE status = 'running'")
_STATUSES = text("SELECT status, count(*) AS runs FROM runs GROUP BY status")
_SESSION_OF = text(
    "SELECT session_id FROM sessions JOIN messages ON messages.session = sessions.id WHERE messages.text = :question"
)
_COUNTED_WRONG = text(
    "SELECT count(*) FROM sessions "
    "WHERE messages <> (SELECT count(*) FROM messages AS here WHERE here.session = sessions.id)"
)
_WITHOUT_SESSION = text("SELECT count(*) FROM messages WHERE session NOT IN (SELECT id FROM sessions)")
_WITHOUT_RUN = text("SELECT count(*) FROM run_contents WHERE run_id NOT IN (SELECT id FROM runs)")
_END_SECONDS = 20.0


def sqlite_of(folder: Path) -> str:
    return f"sqlite:///{folder}/data/flowground.db"


def open_engine(database: str) -> Engine:
    return create_engine(database.replace("postgresql:", "postgresql+psycopg:", 1), poolclass=NullPool)


def read_answers(database: str) -> dict[str, str]:
    """Id -> text, of all that are stored."""
    return {row.id: row.text for row in _read(database, _ANSWERS)}


def count_runs(database: str) -> dict[str, int]:
    """By status."""
    return {row.status: row.runs for row in _read(database, _STATUSES)}


def list_running(database: str) -> list[str]:
    """Ids of runs."""
    return [row.id for row in _read(database, _RUNNING_IDS)]


def find_token(database: str, name: str) -> str:
    """The id of a token."""
    return str(_read(database, text("SELECT id FROM tokens WHERE name = :name"), name=name)[0][0])


def find_session(database: str, question: str) -> str | None:
    """Where a question stands, if it is stored."""
    found = _read(database, _SESSION_OF, question=question)
    return found[0].session_id if found else None


def wait_for_ends(database: str) -> int:
    """For the runs that a dead process left; how many have none after 20 s."""
    end = time.monotonic() + _END_SECONDS
    while (left := _count(database, _RUNNING)) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def look(database: str, acknowledged: Collection[str]) -> Mapping[str, int]:
    """`acknowledged` are the sessions whose answer came back whole."""
    rows = _read(database, _STORED)
    answers = [row.session_id for row in rows if row.role == "assistant" and row.state == "complete"]
    return {
        "acknowledged and lost": len(set(acknowledged) - set(answers)),
        "stored twice": len(answers) - len(set(answers)),
    }


def check_whole(database: str) -> int:
    """Mistakes in the database itself: pages and indexes of SQLite's file, rows that refer to none, counters."""
    mistakes = sum(_count(database, asked) for asked in (_COUNTED_WRONG, _WITHOUT_SESSION, _WITHOUT_RUN))
    if make_url(database).get_backend_name() == "sqlite":
        said = [tuple(row) for row in _read(database, text("PRAGMA integrity_check"))]
        mistakes += len([row for row in said if row != ("ok",)])
        mistakes += len(_read(database, text("PRAGMA foreign_key_check")))
    return mistakes


def _read(database: str, asked: Any, **values: str) -> list[Any]:
    with open_engine(database).connect() as connection:
        return list(connection.execute(asked, values).all())


def _count(database: str, asked: Any) -> int:
    return int(_read(database, asked)[0][0])
