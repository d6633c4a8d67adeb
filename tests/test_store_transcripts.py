"""What one owner said, across flows and sessions: found, exported, deleted, handed over. On both databases."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from flowground.store import Store
from flowground.store.flows import presets
from flowground.store.runs import erasing, transcripts, turns
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.traces import TraceStep
from tests.stored import export_conversations, list_entries, list_runs, list_sessions

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ADA = "member:ada"


async def say(
    store: Store,
    text: str,
    flow_id: str = "talk",
    session_id: str = "s",
    *,
    owner: str = ADA,
    hours: int = 0,
    **more: Any,
) -> None:
    at = START + timedelta(hours=hours)
    message = StoredMessage(text, "user", text, "complete", at, run_id=f"run of {text}", **more)
    place: dict[str, Any] = {"flow_id": flow_id, "owner": owner, "session_id": session_id}
    await store.write(turns.begin_turn, **place, message=message)


async def runs_of(store: Store, **which: Any) -> list[str | None]:
    """The runs of the messages that are found, which tell the messages apart."""
    return [place.run_id for place in await store.read(transcripts.list_places, owners=[ADA], **which)]


@pytest.mark.parametrize("odd", ["nul \x00", "half \ud83d"])
async def test_a_session_is_found_by_a_name_that_no_database_takes(store: Store, odd: str) -> None:
    await say(store, "1", session_id=odd)
    await say(store, "2")
    assert await runs_of(store, session_id=odd) == ["run of 1"]
    assert await runs_of(store, flow_id=odd) == []
    assert await store.read(transcripts.list_session_ids, owners=[ADA], flow_id=odd) == []
    await store.erase(erasing.erase_conversations, owners=[ADA], session_id=odd)
    assert await runs_of(store) == ["run of 2"]


async def test_places_are_listed_in_the_order_of_speaking_and_narrowed(store: Store) -> None:
    await say(store, "1")
    await say(store, "theirs", owner="member:bob")
    await say(store, "2", "echo")
    await say(store, "3", "talk", "other")
    await say(store, "4", hours=-5)
    assert await runs_of(store) == ["run of 1", "run of 2", "run of 3", "run of 4"]
    assert await runs_of(store, newest_first=True, limit=2) == ["run of 4", "run of 3"]
    assert await runs_of(store, limit=1) == ["run of 1"]
    assert await runs_of(store, flow_id="talk") == ["run of 1", "run of 3", "run of 4"]
    assert await runs_of(store, session_id="s") == ["run of 1", "run of 2", "run of 4"]
    assert await runs_of(store, flow_id="talk", session_id="other") == ["run of 3"]
    assert await runs_of(store, flows=("echo", "unknown")) == ["run of 2"]
    assert await runs_of(store, flow_id="talk", flows=("echo",)) == []
    assert await runs_of(store, flows=()) == []


async def test_messages_are_read_in_the_order_asked_for_and_only_their_owners(store: Store) -> None:
    await say(store, "1")
    await say(store, "2", "echo", "other")
    await say(store, "theirs", owner="member:bob")
    one, two = [place.position for place in await store.read(transcripts.list_places, owners=[ADA])]
    (theirs,) = [place.position for place in await store.read(transcripts.list_places, owners=["member:bob"])]
    found = await store.read(transcripts.read_messages, owners=[ADA], positions=[two, theirs, one, theirs + 1])
    assert [(item.flow_id, item.session_id, item.message.text) for item in found] == [
        ("echo", "other", "2"),
        ("talk", "s", "1"),
    ]
    assert found[1].message == StoredMessage("1", "user", "1", "complete", START, run_id="run of 1")


async def test_session_ids_are_listed_once_by_last_use_and_without_empty_ones(store: Store) -> None:
    await say(store, "1", "talk", "a", hours=1)
    await say(store, "2", "echo", "b", hours=2)
    await say(store, "3", "echo", "a", hours=3)
    await say(store, "4", "talk", "theirs", owner="member:bob", hours=4)
    await store.write(turns.begin_turn, flow_id="talk", owner=ADA, session_id="empty", message=None)

    async def ids(**which: Any) -> list[str]:
        return await store.read(transcripts.list_session_ids, owners=[ADA], **which)

    assert await ids() == ["a", "b"]
    assert await ids(flow_id="talk") == ["a"]
    assert await ids(flow_id="echo") == ["a", "b"]
    assert await ids(flows=["talk"]) == ["a"]
    assert await ids(flows=[]) == []
    assert await ids(limit=1) == ["a"]


async def test_a_thousand_are_listed_where_nobody_says_how_many(store: Store) -> None:
    await asyncio.gather(*(say(store, f"{number}", session_id=f"{number}") for number in range(1_001)))
    assert len(await store.read(transcripts.list_places, owners=[ADA])) == 1_000
    assert len(await store.read(transcripts.list_session_ids, owners=[ADA])) == 1_000
    assert len(await store.read(list_sessions, flow_id="talk", owner=ADA)) == 50


async def test_sessions_of_an_id_are_deleted_in_every_flow_and_nobody_elses(store: Store) -> None:
    for number, (flow_id, session_id, owner) in enumerate(
        [("talk", "s", ADA), ("echo", "s", ADA), ("talk", "other", ADA), ("talk", "s", "member:bob")]
    ):
        await say(store, str(number), flow_id, session_id, owner=owner)
    await store.erase(erasing.erase_conversations, owners=[ADA], session_id="s")
    assert await runs_of(store) == ["run of 2"]
    assert len(await store.read(transcripts.list_places, owners=["member:bob"])) == 1


async def test_everything_that_owners_said_is_exported_without_traces(store: Store) -> None:
    await say(store, "Hi", trace=(TraceStep("Prompt", "Prompt", 0.1, "secret"),))
    await say(store, "Hello", "echo", "t", owner="token:1")
    await say(store, "theirs", owner="member:bob")
    at = START.isoformat()
    exported = await store.read(export_conversations, owners=[ADA, "token:1"])
    assert sorted(exported, key=lambda chat: str(chat["session"])) == [
        {
            "flow": flow,
            "session": session,
            "title": text,
            "messages": [{"role": "user", "text": text, "state": "complete", "at": at}],
        }
        for flow, session, text in (("talk", "s", "Hi"), ("echo", "t", "Hello"))
    ]
    assert await store.read(export_conversations, owners=[]) == []


async def test_all_that_owners_said_is_deleted_and_the_trail_says_by_whom(store: Store) -> None:
    await say(store, "1")
    await say(store, "2", "echo", "t", owner="token:1")
    await say(store, "theirs", owner="member:bob")
    assert await store.write(transcripts.begin_deletion, owners=[ADA, "token:1"], by=ADA) == 2
    await store.erase(erasing.erase_conversations, owners=[ADA, "token:1"])
    for owner, left in ((ADA, 0), ("token:1", 0), ("member:bob", 1)):
        assert len(await store.read(transcripts.list_places, owners=[owner])) == left
    (entry,) = await store.read(list_entries)
    assert (entry.actor, entry.action, entry.subject) == (ADA, "conversations.deleted", ADA)


async def test_what_is_handed_over_is_the_new_owners_and_counted(store: Store) -> None:
    old, new = "visitor:one", "visitor:two"
    run = RunRecord(str(uuid4()), "talk", "v", old, "s", "complete", START, 0.1)
    await say(store, "1", owner=old)
    await say(store, "2", "echo", "t", owner=old)
    await say(store, "theirs", owner="member:bob")
    place: dict[str, Any] = {"flow_id": "talk", "owner": old, "session_id": "s"}
    await store.write(turns.finish_turn, **place, answers=[], run=run)
    await store.write(presets.save, owner=old, flow_id="talk", name="mine", values={})
    assert await store.read(transcripts.has_conversations, owner=old)
    assert not await store.read(transcripts.has_conversations, owner=new)
    assert await store.write(transcripts.hand_over, old=old, new=new, by=new) == 2
    assert len(await store.read(list_entries)) == 1
    assert not await store.read(transcripts.has_conversations, owner=old)
    assert len(await store.read(transcripts.list_places, owners=[new])) == 2
    assert len(await store.read(transcripts.list_places, owners=["member:bob"])) == 1
    assert [run.owner for run in await store.read(list_runs, flow_id="talk")] == [new]
    assert [preset.name for preset in await store.read(presets.list_presets, owner=new, flow_id="talk")] == ["mine"]
    assert await store.write(transcripts.hand_over, old=old, new=new, by=new) == 0
    (entry,) = await store.read(list_entries)
    assert (entry.actor, entry.action, entry.subject) == (new, "conversations.handed_over", f"{old} {new}")
