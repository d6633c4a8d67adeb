"""Overrides that a message was said with, on both databases: told to its owner, gone with it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from flowground.store import Store, tables
from flowground.store.runs import conversations, erasing, transcripts, turns
from flowground.store.runs.records import RunRecord, StoredMessage

pytestmark = pytest.mark.anyio
HERE: dict[str, Any] = {"flow_id": "f", "owner": "member:ada", "session_id": "s"}
VALUES: dict[str, dict[str, Any]] = {"Model": {"temperature": 0.4, "seed": None}, "P": {"t": "👋 \x00 ''"}}


async def said(store: Store, message_id: str, *, tweaks: Any = None) -> None:
    run = RunRecord(f"run {message_id}", "f", "v", "member:ada", "s", "running", datetime.now(UTC), 0)
    message = StoredMessage(message_id, "user", "Hi", "complete", datetime.now(UTC), run.id)
    request = json.dumps({"tweaks": tweaks}) if tweaks else None
    await store.write(turns.begin_turn, **HERE, message=message, run=run, request=request)


async def found(store: Store, message_id: str, **place: Any) -> dict[str, dict[str, Any]]:
    return await store.read(conversations.find_overrides, **(HERE | place), message_id=message_id)


async def test_they_are_told_to_the_owner_of_the_session_alone(store: Store) -> None:
    await said(store, "1", tweaks=VALUES)
    await said(store, "2")
    assert await found(store, "1") == VALUES
    assert await found(store, "2") == {}
    assert await found(store, "1", owner="member:bob") == {}
    assert await found(store, "1", session_id="other") == {}


async def test_the_only_message_of_a_session_has_its_own(store: Store) -> None:
    await said(store, "1", tweaks=VALUES)
    assert await found(store, "1") == VALUES


async def test_they_go_with_the_conversation(store: Store) -> None:
    await said(store, "1", tweaks=VALUES)
    await store.erase(erasing.erase_conversation, **HERE)
    await said(store, "2")
    assert await found(store, "1") == {}


async def test_those_of_the_release_before_are_told_too(store: Store) -> None:
    def add(connection: Connection) -> None:
        connection.execute(insert(tables.turn_overrides).values(message_id="1", overrides=json.dumps(VALUES)))

    await said(store, "1")
    await store.write(add)
    assert await found(store, "1") == VALUES


async def test_they_go_with_what_is_handed_over(store: Store) -> None:
    await said(store, "1", tweaks=VALUES)
    await store.write(transcripts.hand_over, old="member:ada", new="member:bob", by="x")
    assert await found(store, "1", owner="member:bob") == VALUES
