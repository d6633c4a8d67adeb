"""Runs in the store that have begun, what they said so far, and what is there of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from flowground.core.events import Event, Token, TurnStarted
from flowground.store import Store, tables
from flowground.store.runs import chunks, turns
from flowground.store.runs.chunks import Chunk
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


def started(run_id: str, answers: Iterable[str], session_id: str = "s") -> TurnStarted:
    """The first event of a run whose answers have these ids, by which its components are called too."""
    return TurnStarted(run_id, "echo", session_id, now(), f"{run_id} question", "Hi", {key: key for key in answers})


async def keep(
    store: Store,
    run_id: str,
    answers: Mapping[str, str],
    *,
    before: Mapping[str, str] | None = None,
    **place: str,
) -> None:
    """A running run has said this so far; `before`: what was kept of it already."""
    after = 1 + sum(map(len, before.values())) if before else 0
    events: list[Event] = [] if before else [started(run_id, answers, place.get("session_id", "s"))]
    events += [Token(key, text[len((before or {}).get(key, "")) :]) for key, text in answers.items()]
    last = 1 + sum(map(len, answers.values()))
    await store.write(chunks.keep, chunks=[Chunk.of(run_id, after, last, events)])


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
    return [tuple(row) for row in connection.execute(select(tables.run_events))]
