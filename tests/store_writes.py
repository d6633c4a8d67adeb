"""Writes for tests of the store: something to write, what came of it, and who stores it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection

from flowground.core.errors import StoreUnavailable
from flowground.store import Store, audit
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.stored import list_entries

OWNED: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada"}
HERE: dict[str, Any] = OWNED | {"session_id": "s"}
"""The session of `message` and `ran`."""


@contextmanager
def open_store(url: str, *, seconds: float = 1) -> Iterator[Store]:
    store = Store.open(url, seconds=seconds)
    try:
        yield store
    finally:
        store.close()


def note(connection: Connection, subject: str) -> str:
    audit.record(connection, actor="test", action="noted", subject=subject)
    return subject


async def noted(store: Store) -> list[str]:
    return [entry.subject for entry in reversed(await store.read(list_entries, limit=10_000))]


def message(said: str, role: Any = "user", run_id: str | None = None) -> StoredMessage:
    return StoredMessage(str(uuid4()), role, said, "complete", datetime.now(UTC), run_id=run_id)


def ran() -> RunRecord:
    return RunRecord(str(uuid4()), "echo", "v", "member:ada", "s", "complete", datetime.now(UTC), 0.1)


async def outcome(write: Any) -> str:
    """`done`, or the code of what was raised."""
    try:
        async with asyncio.timeout(30):
            await write
    except StoreUnavailable as error:
        return error.code
    return "done"
