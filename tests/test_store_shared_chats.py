"""Links to what was said in a chat until then; on both databases."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowground.errors import InvalidRequest
from flowground.store import Store
from flowground.store.runs import erasing, shared_chats, turns, whole_chats
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.shared_chats import SharedChat
from tests.canary import WORD, await_none, find_everywhere, take

pytestmark = pytest.mark.anyio
HERE: dict[str, Any] = {"flow_id": "talk", "owner": "member:ada", "session_id": "s"}


async def share(store: Store, *, until: datetime | None = None, **other: Any) -> SharedChat:
    return await store.write(shared_chats.share, **(HERE | other), expires_at=until)


async def read(store: Store, link: SharedChat) -> list[str]:
    return [message.text for message in await store.read(shared_chats.read_messages, key=link.id)]


async def test_a_link_shares_what_was_said_until_then(store: Store) -> None:
    await take(store, "member:ada", "s", "first")
    link, other = await share(store), await share(store)
    assert len({link.id, other.id}) == 2
    assert len(link.id) >= 22  # 128 bits
    await take(store, "member:ada", "s", "second")
    assert await read(store, link) == ["first", "You said first"]
    assert not await store.write(shared_chats.renew, owner="member:bob", key=link.id)
    assert await store.write(shared_chats.renew, owner="member:ada", key=link.id)
    assert await read(store, link) == ["first", "You said first", "second", "You said second"]
    assert len(await read(store, other)) == 2
    contents = await store.read(
        lambda connection: connection.exec_driver_sql("SELECT contents FROM shared_chats").all()
    )
    assert "a prompt" not in str(contents)


async def test_an_answer_that_was_cut_is_shared_as_such(store: Store) -> None:
    """A link that a release before made says nothing of it, and one of now is read by that."""
    at = datetime(2026, 12, 3, tzinfo=UTC)
    for number, reason in enumerate((None, "length", "stop")):
        said = StoredMessage(f"q{number}", "user", "more", "complete", at)
        await store.write(turns.begin_turn, **HERE, message=said)
        answer = StoredMessage(f"a{number}", "assistant", "so much", "complete", at, finish_reason=reason)
        run = RunRecord(f"r{number}", "talk", "v", HERE["owner"], "s", "complete", at, 0)
        await store.write(turns.finish_turn, **HERE, answers=[answer], run=run)
    link = await share(store)
    wanted = [None, None, None, "length", None, None]
    assert [one.finish_reason for one in await store.read(shared_chats.read_messages, key=link.id)] == wanted
    second = await store.read(shared_chats.read_page, key=link.id, offset=3, limit=2)
    assert ([one.finish_reason for one in second.shown], second.count) == (["length", None], 6)
    assert await store.write(shared_chats.copy_into, key=link.id, owner="member:bob", session_id="copy")
    copy = await store.read(whole_chats.read_part, flow_id="talk", owner="member:bob", session_id="copy")
    assert [one.finish_reason for one in copy.messages] == wanted
    await store.write(lambda connection: connection.exec_driver_sql("UPDATE shared_chats SET ends = NULL"))
    assert {one.finish_reason for one in await store.read(shared_chats.read_messages, key=link.id)} == {None}
    asked = "SELECT contents FROM shared_chats"
    contents = await store.read(lambda connection: connection.exec_driver_sql(asked).scalar())
    assert {len(one) for one in json.loads(str(contents))} == {4}


@pytest.mark.parametrize("words", ["first \x00", "\ud800"])
async def test_words_that_no_database_takes_are_in_no_title(store: Store, words: str) -> None:
    """Every list that is searched in the store asks in this way."""
    await take(store, "member:ada", "s", "first")
    await share(store)
    assert (await store.read(shared_chats.list_of_owner, owner="member:ada", words="first")).count == 1
    assert (await store.read(shared_chats.list_of_owner, owner="member:ada", words=words)).count == 0


async def test_it_is_revoked_by_its_owner_and_deleted_with_its_chat(store: Store) -> None:
    await take(store, "member:ada", "s", "first")
    link, other = await share(store), await share(store)
    assert not await store.write(shared_chats.revoke, owner="member:bob", key=link.id)
    assert await store.write(shared_chats.revoke, owner="member:ada", key=link.id)
    assert (await store.read(shared_chats.find, key=link.id), await read(store, link)) == (None, [])
    assert [one.id for one in await store.read(shared_chats.list_of_session, **HERE)] == [other.id]
    await store.erase(erasing.erase_conversation, **HERE)
    assert await store.read(shared_chats.find, key=other.id) is None
    assert (await store.read(shared_chats.list_of_owner, owner="member:ada")).count == 0


async def test_nothing_of_a_deleted_chat_is_left_in_its_links(url: str, tmp_path: Path) -> None:
    store = Store.open(url)
    await take(store, "member:ada", "s", f"{WORD} " * 2_000)
    for _ in range(3):
        await share(store)
    assert find_everywhere(url, tmp_path)
    await store.erase(erasing.erase_conversations, owners=["member:ada"])
    await_none(url, tmp_path)
    store.close()


async def test_links_are_bounded_and_expire(store: Store) -> None:
    with pytest.raises(InvalidRequest, match="Nothing of this chat is stored"):
        await share(store)
    await take(store, "member:ada", "s", "first")
    past = datetime.now(UTC) - timedelta(days=1)
    links = [await share(store, until=past if number else None) for number in range(shared_chats.MOST_LINKS)]
    assert [link.is_expired for link in links] == [False] + [True] * (shared_chats.MOST_LINKS - 1)
    with pytest.raises(InvalidRequest, match="too many links"):
        await share(store)
    while await store.write(shared_chats.forget_expired, before=datetime.now(UTC).timestamp()):
        pass
    assert [one.id for one in await store.read(shared_chats.list_of_session, **HERE)] == [links[0].id]


async def test_of_a_long_chat_the_newest_part_is_shared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_chats, "MOST_MESSAGES", 4)
    for number in range(5):
        await take(store, "member:ada", "s", f"number {number}")
    link = await share(store)
    assert (link.is_cut, link.messages, (await read(store, link))[0]) == (True, 4, "number 3")


async def test_a_part_of_what_is_shared_is_read(store: Store) -> None:
    said = [f'number {number} "é" 🦜' for number in range(6)]
    for text in said:
        await take(store, "member:ada", "s", text)
    link = await share(store)
    whole = await store.read(shared_chats.read_messages, key=link.id)
    for offset, limit in ((0, 5), (5, 5), (10, 5), (12, 5), (0, 25)):
        page = await store.read(shared_chats.read_page, key=link.id, offset=offset, limit=limit)
        assert (page.shown, page.count) == (whole[offset : offset + limit], 12)
    assert await store.read(shared_chats.read_page, key="unknown") == shared_chats.SharedMessages([], 0)


async def test_two_requests_at_once_make_one_copy(store: Store, url: str) -> None:
    """Each by a process of its own, which on PostgreSQL write at the same time."""
    await take(store, "member:ada", "s", "first")
    link, other = await share(store), Store.open(url)
    for number in range(20):
        copy = {"key": link.id, "owner": "member:bob", "session_id": str(number)}
        made = [each.write(shared_chats.copy_into, **copy) for each in (store, other, other, store)]
        assert await asyncio.gather(*made) == [True] * 4
        place = HERE | {"owner": "member:bob", "session_id": str(number)}
        assert len((await store.read(whole_chats.read_part, **place)).messages) == 2
    await asyncio.to_thread(other.close)


async def test_a_copy_is_its_owners_and_made_once(store: Store) -> None:
    await take(store, "member:ada", "s", "first")
    link = await share(store)
    copy = {"key": link.id, "owner": "member:bob", "session_id": "copy"}
    for _ in range(2):
        assert await store.write(shared_chats.copy_into, **copy)
    place = HERE | {"owner": "member:bob", "session_id": "copy"}
    mine = (await store.read(whole_chats.read_part, **place)).messages
    assert [(message.role, message.text, message.run_id, message.trace) for message in mine] == [
        ("user", "first", None, ()),
        ("assistant", "You said first", None, ()),
    ]
    await take(store, "member:bob", "copy", "more")
    assert len((await store.read(whole_chats.read_part, **place)).messages) == 4
    assert len((await store.read(whole_chats.read_part, **HERE)).messages) == 2
    await store.erase(erasing.erase_conversation, **HERE)
    assert len((await store.read(whole_chats.read_part, **place)).messages) == 4
    assert not await store.write(shared_chats.copy_into, **(copy | {"session_id": "later"}))
