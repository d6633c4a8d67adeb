"""Overrides that a message was said with, on both databases: told to its owner, gone with it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.store import Store
from flowground.store.runs import conversations
from flowground.store.runs.records import StoredMessage

pytestmark = pytest.mark.anyio
HERE: dict[str, Any] = {"flow_id": "f", "owner": "member:ada", "session_id": "s"}
VALUES: dict[str, dict[str, Any]] = {"Model": {"temperature": 0.4, "seed": None}, "P": {"t": "👋 \x00 ''"}}


async def said(store: Store, message_id: str, **with_overrides: Any) -> None:
    message = StoredMessage(id=message_id, role="user", text="Hi", state="complete", created_at=datetime.now(UTC))
    await store.write(conversations.begin_turn, **HERE, message=message, **with_overrides)


async def found(store: Store, message_id: str, **place: Any) -> dict[str, dict[str, Any]]:
    return await store.read(conversations.find_overrides, **(HERE | place), message_id=message_id)


async def test_they_are_told_to_the_owner_of_the_session_alone(store: Store) -> None:
    await said(store, "1", overrides=VALUES)
    await said(store, "2")
    assert await found(store, "1") == VALUES
    assert await found(store, "2") == {}
    assert await found(store, "1", owner="member:bob") == {}
    assert await found(store, "1", session_id="other") == {}


async def test_the_only_message_of_a_session_has_its_own(store: Store) -> None:
    await said(store, "1", overrides=VALUES)
    assert await found(store, "1") == VALUES


async def test_what_no_json_can_hold_is_not_stored(store: Store) -> None:
    with pytest.raises(ValueError, match="JSON"):
        await said(store, "1", overrides={"Model": {"temperature": float("nan")}})
    assert await store.read(conversations.list_messages, **HERE) == []


async def test_they_go_with_the_conversation(store: Store) -> None:
    await said(store, "1", overrides=VALUES)
    await store.write(conversations.delete_session, **HERE)
    await said(store, "1")
    assert await found(store, "1") == {}
