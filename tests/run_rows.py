"""Runs in the store that have begun, what they said so far, and what is there of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from flowground.store import Store, tables
from flowground.store.runs import progress, turns
from flowground.store.runs.progress import TextsSoFar
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.stored import list_messages, list_runs

HERE: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada", "session_id": "s"}


def now() -> datetime:
    return datetime.now(UTC)


async def begin(store: Store, run_id: str, *, holder: str) -> RunRecord:
    """A run that has said nothing yet."""
    run = RunRecord(run_id, "echo", "v", "member:ada", "s", "running", now(), 0, holder=holder)
    question = StoredMessage(f"{run_id} question", "user", "Hi", "complete", now(), run_id)
    await store.write(turns.begin_turn, **HERE, message=question, run=run)
    return run


async def keep(store: Store, run_id: str, answers: dict[str, str]) -> None:
    await store.write(progress.keep_texts, texts=[TextsSoFar(run_id, **HERE, answers=answers)])


async def said(store: Store) -> list[tuple[str, str, str]]:
    """Of all messages id, text and state."""
    return [(m.id, m.text, m.state) for m in await store.read(list_messages, **HERE)]


async def statuses(store: Store) -> dict[str, tuple[str, str | None]]:
    return {run.id: (run.status, run.error_code) for run in await store.read(list_runs, flow_id="echo")}


async def eventually(look: Callable[[], Awaitable[object]]) -> None:
    """Returns when `look` gives something true."""
    for _ in range(1_200):
        if await look():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


async def has_status(store: Store, status: str) -> bool:
    return (await statuses(store))["r"][0] == status


def list_journals(connection: Connection) -> list[str]:
    return [*connection.scalars(select(tables.journals.c.body))]


def contents(connection: Connection) -> list[Any]:
    return [tuple(row) for row in connection.execute(select(tables.run_contents))]
