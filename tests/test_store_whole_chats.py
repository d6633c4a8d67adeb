"""A conversation read from its beginning to its end, part by part; on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowground.store import Store
from flowground.store.runs import erasing, turns, versions, whole_chats
from flowground.store.runs.records import StoredMessage

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HERE: dict[str, Any] = {"flow_id": "talk", "owner": "member:ada", "session_id": "s"}


async def say(store: Store, text: str, number: int = 0, **other: Any) -> None:
    place = HERE | other
    at = START + timedelta(seconds=number)
    message = StoredMessage(f"{place} {number}", "user", text, "complete", at)
    await store.write(turns.begin_turn, **place, message=message)


async def read_parts(store: Store, **other: Any) -> list[list[str]]:
    parts, after = [], 0
    while True:
        part = await store.read(whole_chats.read_part, **(HERE | other), after=after)
        parts.append([message.text for message in part.messages])
        if part.end is None:
            return parts
        after = part.end


@pytest.mark.parametrize(("count", "chars"), [(0, 1), (1, 1), (12, 5), (450, 10), (30, 100_000)])
async def test_parts_follow_each_other_and_none_is_large(store: Store, count: int, chars: int) -> None:
    await say(store, "another's", owner="member:bob")
    await say(store, "elsewhere", flow_id="echo")
    said = [f"{number} ".ljust(chars, "x") for number in range(count)]
    for number, text in enumerate(said):
        await say(store, text, number)
    parts = await read_parts(store)
    assert [text for part in parts for text in part] == said
    for part in parts:
        assert len(part) <= whole_chats.PART_MESSAGES + 12
        assert sum(map(len, part)) <= whole_chats.PART_CHARS + 12 * chars


async def test_what_is_deleted_between_two_parts_is_left_out(store: Store) -> None:
    for number in range(300):
        await say(store, f"{number}", number)
    part = await store.read(whole_chats.read_part, **HERE)
    assert part.end is not None
    await store.erase(erasing.erase_conversation, **HERE)
    rest = await store.read(whole_chats.read_part, **HERE, after=part.end)
    assert (list(rest.messages), rest.end) == ([], None)


async def test_the_head_is_its_owners(store: Store) -> None:
    await say(store, "**Hello** you")
    head = await store.read(whole_chats.find_head, **HERE)
    assert head == whole_chats.ChatHead("s", "Hello you", START)
    for other in ({"owner": "member:bob"}, {"flow_id": "echo"}, {"session_id": "t"}):
        assert await store.read(whole_chats.find_head, **(HERE | other)) is None


async def test_what_is_put_aside_is_in_no_part(store: Store) -> None:
    await say(store, "First words", 0)
    first = f"{HERE} 0"
    anew = StoredMessage("anew", "user", "Better words", "complete", START)
    await store.write(versions.begin_version, **HERE, version_of=first, message=anew)
    assert await read_parts(store) == [["Better words"]]
