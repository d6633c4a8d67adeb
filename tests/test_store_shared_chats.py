"""Links to what was said in a chat until then; on both databases."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import InvalidRequest
from flowground.store import Store
from flowground.store.runs import erasing, shared_chats, transcripts
from flowground.store.runs.shared_chats import SharedChat
from flowground.web.sent_files import ChatFile, FileFormat
from tests.canary import WORD, await_none, find_everywhere, take
from tests.running import running
from tests.running import take_turn as run_turn
from tests.stored_chats import here

pytestmark = pytest.mark.anyio
HERE = here(flow_id="talk")
CONTENTS = "SELECT contents FROM shared_chats"


async def share(store: Store, *, until: datetime | None = None) -> SharedChat:
    return await store.write(shared_chats.share, **HERE, expires_at=until)


async def read(store: Store, link: SharedChat) -> list[str]:
    return [message.text for message in (await store.read(shared_chats.read_page, key=link.id))[0]]


async def test_a_link_shares_what_was_said_until_then(store: Store) -> None:
    await take(store, "member:ada", "s", "first")
    link, other = await share(store), await share(store)
    assert len({link.id, other.id}) == 2
    assert len(link.id) >= 22  # 128 bits
    await take(store, "member:ada", "s", "second")
    assert await read(store, link) == ["first", "You said first"]
    renewed = [await store.write(shared_chats.renew, owner=f"member:{who}", key=link.id) for who in ("bob", "ada")]
    assert renewed == [False, True]
    assert await read(store, link) == ["first", "You said first", "second", "You said second"]
    assert len(await read(store, other)) == 2
    assert "a prompt" not in str(await store.read(lambda to: to.exec_driver_sql(CONTENTS).all()))


async def test_it_is_revoked_by_its_owner_and_deleted_with_its_chat(store: Store) -> None:
    await take(store, "member:ada", "s", "first")
    link, other = await share(store), await share(store)
    for words, count in (("first", 2), ("first \x00", 0), ("\ud800", 0)):  # every list that is searched asks so
        assert (await store.read(shared_chats.list_of_owner, owner="member:ada", words=words))[1] == count
    revoked = [await store.write(shared_chats.revoke, owner=f"member:{who}", key=link.id) for who in ("bob", "ada")]
    assert revoked == [False, True]
    assert (await store.read(shared_chats.find, key=link.id), await read(store, link)) == (None, [])
    assert [one.id for one in await store.read(shared_chats.list_of_session, **HERE)] == [other.id]
    await store.erase(erasing.erase_conversation, **HERE)
    assert await store.read(shared_chats.find, key=other.id) is None
    assert (await store.read(shared_chats.list_of_owner, owner="member:ada"))[1] == 0


async def test_nothing_of_a_deleted_chat_is_left_in_its_links(store: Store, url: str, tmp_path: Path) -> None:
    await take(store, "member:ada", "s", f"{WORD} " * 2_000)
    for _ in range(3):
        await share(store)
    assert find_everywhere(url, tmp_path)
    await store.erase(erasing.erase_conversations, owners=["member:ada"])
    await_none(url, tmp_path)


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


async def test_what_is_shared_is_read_in_parts_and_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long chat the newest part is shared."""
    for number in range(6):
        await take(store, "member:ada", "s", f'number {number} "é" 🦜')
    link = await share(store)
    whole, _ = await store.read(shared_chats.read_page, key=link.id)
    for offset, limit in ((0, 5), (5, 5), (10, 5), (12, 5), (0, 25)):
        page = await store.read(shared_chats.read_page, key=link.id, offset=offset, limit=limit)
        assert page == (whole[offset : offset + limit], 12)
    assert await store.read(shared_chats.read_page, key="unknown") == ([], 0)
    monkeypatch.setattr(shared_chats, "MOST_MESSAGES", 4)
    link = await share(store)
    assert (link.is_cut, link.messages, (await read(store, link))[0]) == (True, 4, whole[8].text)


NOTES = """\
name: Notes
components:
  In: {type: ChatInput}
  Note: {type: StoreMessage, message: "Noted: ${In}", sender_name: Clerk}
  Out: {type: ChatOutput, input_value: "You said ${In}."}
"""


async def test_a_message_that_a_flow_stored_keeps_its_name_wherever_the_chat_goes(tmp_path: Path) -> None:
    """In files of the chat, in what is shared of it, and in one's own data."""
    place = here(owner=str(LOCAL_OWNER.owner), flow_id="notes")
    async with running(tmp_path, {"notes": NOTES}) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "notes")
        _ = [event async for event in run_turn(runtime, LOCAL_OWNER, wired, RunRequest("Bread", session_id="s"))]
        store = runtime.store
        head = await store.read(transcripts.find_head, **place)
        assert head is not None
        file = ChatFile(head, "notes", place["owner"], "Notes", sees_inside=False)

        async def write(how: FileFormat) -> str:
            return "".join([piece async for piece in file.write(runtime, how)])

        assert "\n## Notes\n\nYou said Bread.\n\n## Clerk\n\nNoted: Bread\n" in await write("markdown")
        told = json.loads(await write("json"))["messages"]
        assert [one.get("sender_name") for one in told] == [None, None, "Clerk"]
        link = await store.write(shared_chats.share, **place, expires_at=None)
        assert await read(store, link) == ["Bread", "You said Bread.", "Clerk: Noted: Bread"]
        [(_, key)] = await store.read(transcripts.list_keys, owners=[place["owner"]], until=time.time() + 1)
        part = await store.read(transcripts.read_exported, key=key)
        assert part
        assert [one.get("sender_name") for one in part.messages] == [None, None, "Clerk"]
