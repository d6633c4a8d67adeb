"""A word that stands nowhere by chance, and where it is found: in every file of a folder, or in every table."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import NullPool, create_engine, inspect, make_url, text

from flowground.app.retention import REMOVED, RetentionTask
from flowground.core.events import ComponentFinished
from flowground.settings import RetentionSettings
from flowground.settings.limits import PublicSettings
from flowground.store import Store
from flowground.store.people import removals
from flowground.store.runs import feedback, progress, turns
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.run_rows import keep
from tests.stored import make_journal
from tests.waiting import eventually, list_files

WORD = "qcanaryz"
"""In lower case, as members' names are."""
TALK: dict[str, Any] = {"flow_id": "talk"}


def find_in_files(folder: Path, word: str = WORD) -> list[str]:
    """Files under the folder whose bytes hold the word, in whatever case: databases, their logs, and all else.

    A log is read before its database, into which what it holds may move meanwhile.
    """
    files = sorted(list_files(folder), reverse=True)
    assert files, folder
    return [file.name for file in files if word.encode() in _read_if_there(file).lower()]


def _read_if_there(file: Path) -> bytes:
    """Its bytes; none of one that was deleted meanwhile."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def find_in_tables(url: str, word: str = WORD) -> list[str]:
    """Tables of PostgreSQL in which a row holds the word."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        names = inspect(connection).get_table_names()
        assert names
        count = "SELECT count(*) FROM {0} WHERE lower({0}::text) LIKE :like"
        return [name for name in names if connection.scalar(text(count.format(name)), {"like": f"%{word}%"})]


def find_everywhere(url: str, folder: Path, word: str = WORD) -> list[str]:
    """Where the word is in a database, and in the folder where SQLite's lies."""
    return find_in_files(folder, word) if url.startswith("sqlite") else find_in_tables(url, word)


def await_none(url: str, folder: Path, word: str = WORD) -> None:
    """Returns once the word is nowhere: SQLite's log is emptied soon after an erasure."""
    eventually(lambda: not find_everywhere(url, folder, word))


async def take(
    store: Store, owner: str, session: str, said: str, *, at: datetime | None = None, interrupts: bool = False
) -> None:
    """One turn that puts what is said wherever a turn may leave it; one that is interrupted ends late."""
    place, at = TALK | {"owner": owner, "session_id": session}, at or datetime.now(UTC)
    run = RunRecord(str(uuid4()), "talk", "v", owner, session, "running", at, 0, holder="h")
    question = StoredMessage(str(uuid4()), "user", said, "complete", at, run.id)
    await store.write(
        turns.begin_turn, **place, message=question, run=run, request=json.dumps({"tweaks": {"A": {"b": said}}})
    )
    answer = str(uuid4())
    for share in (3, 2, 1) if interrupts else ():
        await keep(store, run.id, {answer: said[: len(said) // share]}, **place)
    if interrupts:
        await store.write(progress.interrupt_runs, holders=["h"])
    steps = (("Prompt", f"a prompt: {said}"), ("Model", said))
    trace = tuple(ComponentFinished(name, name, 0.1, text) for name, text in steps)
    answered = StoredMessage(answer, "assistant", f"You said {said}", "complete", at, run.id, trace=trace)
    ended, journal = replace(run, status="complete", seconds=0.1), make_journal(answered)
    await store.write(turns.finish_turn, **place, answers=[answered], run=ended, journal=journal, was_kept=interrupts)
    assert await store.write(feedback.rate, **place, message_id=answer, value="bad")
    why: dict[str, Any] = {"labels": ["wrong"], "reason": said[:2_000], "shares_conversation": True}
    assert await store.write(feedback.explain, **place, message_id=answer, **why)


async def finish_removals(store: Store) -> None:
    """As a process does by itself after somebody was removed."""
    looks = RetentionTask(store, RetentionSettings(), PublicSettings(), rest=0)
    await looks.forget(only=[REMOVED])
    assert await store.read(removals.list_removals) == []
