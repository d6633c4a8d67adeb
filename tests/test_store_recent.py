"""What a person used last, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from flowground.store import Store
from flowground.store.runs import recent, turns
from flowground.store.runs.records import StoredMessage

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def say(store: Store, flow: str, session: str, *, hour: int, owner: str = "member:ada") -> None:
    at = START + timedelta(hours=hour)
    message = StoredMessage(f"{owner} {flow} {session}", "user", f"{flow} {session}", "complete", at)
    await store.write(turns.begin_turn, flow_id=flow, owner=owner, session_id=session, message=message)


async def test_flows_and_chats_come_back_newest_first_and_are_the_persons_own(store: Store) -> None:
    for number, (flow, session) in enumerate([("b", "1"), ("a", "1"), ("c", "1"), ("a", "2"), ("c", "2")]):
        await say(store, flow, session, hour=number)
    await say(store, "secret", "1", hour=9, owner="member:bob")
    used = await store.read(recent.list_last_used, owner="member:ada")
    assert {flow: at - START for flow, at in used.items()} == {
        "c": timedelta(hours=4),
        "a": timedelta(hours=3),
        "b": timedelta(hours=0),
    }
    assert list(used) == ["c", "a", "b"]
    found = await store.read(recent.list_recent, owner="member:ada", flows=list(used), limit=3)
    assert [(one.flow_id, one.session_id, one.title) for one in found] == [
        ("c", "2", "c 2"),
        ("a", "2", "a 2"),
        ("c", "1", "c 1"),
    ]
    only_b = await store.read(recent.list_recent, owner="member:ada", flows=["b", "secret"], limit=3)
    assert [one.flow_id for one in only_b] == ["b"]


async def test_who_said_nothing_used_nothing(store: Store) -> None:
    await say(store, "a", "1", hour=0, owner="member:bob")
    assert await store.read(recent.list_last_used, owner="member:ada") == {}
    assert await store.read(recent.list_recent, owner="member:ada", flows=[], limit=3) == []
