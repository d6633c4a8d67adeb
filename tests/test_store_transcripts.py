"""What one owner said, across flows and sessions: found, exported, deleted, handed over, listed. On both databases."""

from datetime import timedelta
from typing import Any

import pytest

from flowground.core.errors import InvalidRequest
from flowground.core.events import ComponentFinished
from flowground.store import Store
from flowground.store.runs import conversations, erasing, session_lists, transcripts, turns
from flowground.store.runs.session_lists import MOST_PINNED, SessionPage
from tests.stored import export_conversations, list_entries
from tests.stored_chats import START, here, said, say, take_turn

pytestmark = pytest.mark.anyio
ADA, BOB = "member:ada", "member:bob"


async def find_texts(store: Store, *, owner: str = ADA, **which: Any) -> list[str]:
    places = await store.read(transcripts.list_places, owners=[owner], **which)
    positions = [place.position for place in places]
    found = await store.read(transcripts.read_messages, owners=[owner], positions=positions)
    return [one.message.text for one in found]


async def test_messages_are_found_in_the_order_of_speaking_and_narrowed(store: Store) -> None:
    await say(store, "1", flow_id="talk")
    await say(store, "theirs", owner="member:bob")
    two = await say(store, "2")
    await say(store, "3", "other", flow_id="talk")
    await say(store, "4", flow_id="talk", hours=-5)
    for which, found in (
        *(({}, "1234"), ({"newest_first": True, "limit": 2}, "43"), ({"limit": 1}, "1"), ({"flow_id": "talk"}, "134")),
        *(({"session_id": "s"}, "124"), ({"flow_id": "talk", "session_id": "other"}, "3"), ({"flows": ()}, "")),
        *(({"flows": ("echo", "unknown")}, "2"), ({"flow_id": "talk", "flows": ("echo",)}, "")),
    ):
        assert await find_texts(store, **which) == list(found), which
    positions = [place.position for place in await store.read(transcripts.list_places, owners=[ADA, "member:bob"])]
    asked = [positions[2], positions[1], positions[0], positions[-1] + 1]
    one, another = await store.read(transcripts.read_messages, owners=[ADA], positions=asked)
    assert (one.flow_id, one.session_id, one.message) == ("echo", "s", two)
    assert another.message.text == "1"


@pytest.mark.parametrize("newest_first", [False, True])
async def test_messages_of_many_sessions_are_found_page_by_page(
    store: Store, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    """Of those that end at once, go on for hours, and go on all the time; by their times, as where there are many."""
    for name, value in {"_FEW": 0, "_SHORT": 2, "_ASKED": 3, "_AT_ONCE": 1}.items():
        monkeypatch.setattr(transcripts, name, value)
    owners = [ADA, "token:x"]
    for number in range(60):
        session = ("all the time", f"for hours {number // 20}", f"alone {number}")[number % 3]
        place = {"owner": owners[number % 2], "flow_id": ("talk", "echo")[number % 5 // 3]}
        await say(store, str(number), session, **place, hours=number / 6)
        await say(store, "theirs", session, owner=BOB, hours=number / 6)
    for limit in (1, 7, 60):
        found: list[str] = []
        after = None
        while True:
            asked: dict[str, Any] = {"owners": owners, "newest_first": newest_first, "limit": limit, "after": after}
            positions = [place.position for place in await store.read(transcripts.list_places, **asked)]
            page = await store.read(transcripts.read_messages, owners=owners, positions=positions)
            if not page:
                break
            after, found = page[-1].message.id, found + [one.message.text for one in page]
        assert found == sorted(map(str, range(60)), key=int, reverse=newest_first)


async def test_all_that_owners_said_is_exported_without_traces_and_deleted(store: Store) -> None:
    trace = (ComponentFinished("Prompt", "Prompt", 0.1, "secret"),)
    await take_turn(store, said("Hi"), said("All but", "assistant", state="failed", error="It broke.", trace=trace))
    await say(store, "Hello", "t", flow_id="talk", owner="token:1")
    await say(store, "theirs", owner="member:bob")
    at, owners = START.isoformat(), [ADA, "token:1"]
    exported = await store.read(export_conversations, owners=owners)
    failed = {"role": "assistant", "text": "All but", "state": "failed", "at": at, "error": "It broke."}
    hi, hello = ({"role": "user", "text": text, "state": "complete", "at": at} for text in ("Hi", "Hello"))
    assert sorted(exported, key=lambda chat: str(chat["session"])) == [
        {"flow": "echo", "session": "s", "title": "Hi", "messages": [hi, failed]},
        {"flow": "talk", "session": "t", "title": "Hello", "messages": [hello]},
    ]
    assert await store.read(export_conversations, owners=[]) == []
    assert await store.write(transcripts.begin_deletion, owners=owners, by=ADA) == 2
    await store.erase(erasing.erase_conversations, owners=owners)
    left = [len(await find_texts(store, owner=owner)) for owner in (*owners, "member:bob")]
    assert left == [0, 0, 1]
    (entry,) = await store.read(list_entries)
    assert (entry.actor, entry.action, entry.subject) == (ADA, "conversations.deleted", ADA)


async def test_what_is_handed_over_is_the_new_owners_and_counted(store: Store) -> None:
    old, new = "visitor:one", "visitor:two"
    await take_turn(store, said("1"), owner=old)
    await say(store, "2", "t", flow_id="talk", owner=old)
    await say(store, "theirs", owner="member:bob")
    assert [await store.write(transcripts.hand_over, old=old, new=new, by=new) for _ in range(2)] == [2, 0]
    assert await find_texts(store, owner=old) == []
    assert (await find_texts(store, owner=new), await find_texts(store, owner="member:bob")) == (["1", "2"], ["theirs"])
    (entry,) = await store.read(list_entries)
    assert (entry.actor, entry.action, entry.subject) == (new, "conversations.handed_over", f"{old} {new}")


# The list of one's conversations: page by page, searched, pinned

MINE: dict[str, Any] = {"flow_id": "echo", "owner": ADA}


def ids(page: SessionPage) -> list[str]:
    return [session.session_id for session in page.sessions]


async def test_pages_follow_each_other_without_a_gap_also_among_chats_of_one_moment(store: Store) -> None:
    for number in range(7):
        await say(store, "Hello", f"s{number}", hours=number // 3)
    await say(store, "Hello", "other", owner="member:bob")
    await say(store, "Hello", "elsewhere", flow_id="talk")
    seen: list[str] = []
    page = await store.read(session_lists.list_page, **MINE, limit=2)
    while page.end:
        assert len(page.sessions) == 2
        seen += ids(page)
        page = await store.read(session_lists.list_page, **MINE, limit=2, after=page.end)
    seen += ids(page)
    assert sorted(seen) == [f"s{number}" for number in range(7)]
    assert seen[0] == "s6"
    assert set(seen[1:4]) == {"s3", "s4", "s5"}


async def test_a_search_finds_words_of_titles_and_of_messages_accents_and_capitals_aside(store: Store) -> None:
    await say(store, "Of this and that", "a")
    await say(store, "The tram has number 1000, 100% of it", "a", hours=1)
    await say(store, "A tram in Zürich", "b", hours=2)
    for number, text in enumerate(["My RÉSUMÉ, please", "100%_GRÖSSE", "Größe und Maß", "resume, and nothing else"]):
        await say(store, text, "cdef"[number], hours=3 + number)
    await say(store, "tram number 100% zürich", "theirs", owner="member:bob")
    await say(store, "tram number 100% zürich", "elsewhere", flow_id="talk")
    for words, found in (
        *(("tram", "ba"), ("TRAM Number", "a"), ("zürich", "b"), ("ZÜRICH", "b"), ("100%", "da"), ("0%0", "")),
        *(("_", "d"), ("tram nothing", ""), (" " * 96 + "tram number-nine", "ba")),
        *(("tram \x00", ""), ("tram \ud800", ""), ("resume", "fc"), ("Résumé", "fc"), ("grosse", "ed")),
        *(("größe", "ed"), ("100%_grosse", "d"), ("mass", "e"), ("0_g", "")),
        *(("tram has number 1000 nothing", ""), ("tram has number 1000 100% nothing", "a")),
    ):
        page = await store.read(session_lists.search, **MINE, words=words, seconds=600)
        assert (ids(page), page.end, page.read_to) == (list(found), None, None), words


async def test_a_search_that_takes_long_says_how_far_it_came_and_goes_on_there(store: Store) -> None:
    for number in range(session_lists._BATCH + 10):
        await say(store, "rare" if number in (3, 305) else "common", f"s{number:03}", hours=number)
    first = await store.read(session_lists.search, **MINE, words="rare", seconds=0)
    assert ids(first) == ["s305"]
    assert first.end is not None
    assert first.read_to == START + timedelta(hours=10)
    rest = await store.read(session_lists.search, **MINE, words="rare", seconds=0, after=first.end)
    assert (ids(rest), rest.end) == (["s003"], None)
    few = await store.read(session_lists.search, **MINE, words="common", limit=5)
    assert len(few.sessions) == 5
    more = await store.read(session_lists.search, **MINE, words="common", limit=5, after=few.end)
    assert not set(ids(few)) & set(ids(more))


async def test_a_pinned_chat_stands_apart_and_goes_with_its_chat(store: Store) -> None:
    async def pin(session_id: str, owner: str = ADA, *, is_pinned: bool = True) -> None:
        await store.write(session_lists.pin, **here(session_id, owner=owner), is_pinned=is_pinned)

    async def look(owner: str) -> tuple[list[str], list[str]]:
        page = await store.read(session_lists.list_page, flow_id="echo", owner=owner)
        return [one.session_id for one in page.pinned], ids(page)

    for number in range(3):
        await say(store, "Hello", f"s{number}", hours=number)
    await store.write(turns.begin_turn, **here("silent"), message=None)  # it is listed once something is said
    await store.write(conversations.rename_session, **here("silent"), title="Hello")
    for session_id in ("s0", "s0", "unknown", "silent"):
        await pin(session_id)
    assert await look(ADA) == (["s0"], ["s2", "s1"])
    found = (await store.read(session_lists.search, **MINE, words="hello")).sessions
    assert [one.is_pinned for one in found] == [False, False, True]
    grace = "member:grace"
    await store.write(transcripts.hand_over, old=ADA, new=grace, by="tests")
    assert await look(grace) == (["s0"], ["s2", "s1"])
    await pin("s0", grace, is_pinned=False)
    assert await look(grace) == ([], ["s2", "s1", "s0"])
    await pin("s1", grace)
    await store.erase(erasing.erase_conversation, **here("s1", owner=grace))
    assert await look(grace) == ([], ["s2", "s0"])


async def test_no_more_are_pinned_than_are_shown(store: Store) -> None:
    for number in range(MOST_PINNED + 1):
        await say(store, "Hello", f"s{number}")
    for number in range(MOST_PINNED):
        await store.write(session_lists.pin, **here(f"s{number}"), is_pinned=True)
    with pytest.raises(InvalidRequest, match="20 chats are pinned already"):
        await store.write(session_lists.pin, **here(f"s{MOST_PINNED}"), is_pinned=True)


async def test_a_title_is_what_was_said_first_without_its_markdown(store: Store) -> None:
    titles = {
        "**Hello** `world`": "Hello world",
        "# A heading\n\n- and an _item_": "A heading and an item",
        "See [the docs](https://example.com/a_b)": "See the docs",
        "```python\nprint(1)\n```": "print(1)",
        "2 * 3 * 4 and snake_case_names": "2 * 3 * 4 and snake_case_names",
        "***": "***",
    }
    for text in titles:
        await say(store, text, text)
        await say(store, "Something else", text, hours=1)
    listed = (await store.read(session_lists.list_page, **MINE)).sessions
    assert {one.session_id: one.title for one in listed} == titles
    await store.write(conversations.rename_session, **here("***"), title="**as** written")
    listed = (await store.read(session_lists.list_page, **MINE)).sessions
    assert [one.title for one in listed if one.session_id == "***"] == ["**as** written"]


async def test_flows_and_chats_are_found_by_last_use_and_are_the_persons_own(store: Store) -> None:
    for number, (flow, session) in enumerate([("b", "1"), ("a", "1"), ("c", "1"), ("a", "2"), ("c", "2")]):
        await say(store, f"{flow} {session}", session, flow_id=flow, hours=number)
    await say(store, "secret", flow_id="secret", hours=9, owner="member:bob")
    used = await store.read(session_lists.list_last_used, owner=ADA)
    hours = {flow: (at - START) / timedelta(hours=1) for flow, at in used.items()}
    assert list(hours.items()) == [("c", 4), ("a", 3), ("b", 0)]
    for flows, found in ((list(used), ["c 2", "a 2", "c 1"]), (["b", "secret"], ["b 1"]), ([], [])):
        chats = await store.read(session_lists.list_recent, owner=ADA, flows=flows, limit=3)
        assert [one.title for one in chats] == found
    assert await store.read(session_lists.list_last_used, owner="member:eve") == {}
