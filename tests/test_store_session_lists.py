"""The list of one's conversations: page by page, searched, pinned; on both databases."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowground.errors import InvalidRequest
from flowground.store import Store
from flowground.store.runs import conversations, erasing, session_lists, transcripts, turns
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.session_lists import MOST_PINNED, SessionPage

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINE: dict[str, Any] = {"flow_id": "talk", "owner": "member:ada"}


async def say(store: Store, session: str, text: str, *, hour: int = 0, **other: Any) -> None:
    place = MINE | other | {"session_id": session}
    message = StoredMessage(f"{place} {text}", "user", text, "complete", START + timedelta(hours=hour))
    await store.write(turns.begin_turn, **place, message=message)


def ids(page: SessionPage) -> list[str]:
    return [session.session_id for session in page.sessions]


async def test_pages_follow_each_other_without_a_gap_also_among_chats_of_one_moment(store: Store) -> None:
    for number in range(7):
        await say(store, f"s{number}", "Hello", hour=number // 3)
    await say(store, "other", "Hello", owner="member:bob")
    await say(store, "elsewhere", "Hello", flow_id="echo")
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


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("tram", ["b", "a"]),
        ("TRAM Number", ["a"]),
        ("zürich", ["b"]),
        ("ZÜRICH", ["b"]),
        ("100%", ["a"]),
        ("0%0", []),
        ("_", []),
        ("tram nothing", []),
        (" " * 96 + "tram number-nine", ["b", "a"]),
        ("tram \x00", []),
        ("tram \ud800", []),
        ("  ", []),
    ],
)
async def test_a_search_finds_words_of_titles_and_of_messages(store: Store, words: str, found: list[str]) -> None:
    await say(store, "a", "Of this and that")
    await say(store, "a", "The tram has number 1000, 100% of it", hour=1)
    await say(store, "b", "A tram in Zürich", hour=2)
    await say(store, "theirs", "tram number 100% zürich", owner="member:bob")
    await say(store, "elsewhere", "tram number 100% zürich", flow_id="echo")
    page = await store.read(session_lists.search, **MINE, words=words)
    assert (ids(page), page.end, page.read_to) == (found, None, None)


async def test_a_search_leaves_accents_and_capitals_aside(store: Store) -> None:
    await say(store, "a", "My RÉSUMÉ, please")
    await say(store, "b", "100%_GRÖSSE", hour=1)
    await say(store, "c", "Größe und Maß", hour=2)
    await say(store, "d", "resume, and nothing else", hour=3)
    for words, found in (
        ("resume", ["d", "a"]),
        ("Résumé", ["d", "a"]),
        ("grosse", ["c", "b"]),
        ("größe", ["c", "b"]),
        ("100%_grosse", ["b"]),
        ("mass", ["c"]),
        ("0_g", []),
    ):
        assert ids(await store.read(session_lists.search, **MINE, words=words)) == found, words


async def test_a_search_that_takes_long_says_how_far_it_came_and_goes_on_there(store: Store) -> None:
    for number in range(session_lists._BATCH + 10):
        await say(store, f"s{number:03}", "rare" if number in (3, 305) else "common", hour=number)
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
    for number in range(3):
        await say(store, f"s{number}", "Hello", hour=number)
    pin = {**MINE, "session_id": "s0"}
    await store.write(session_lists.pin, **pin, is_pinned=True)
    await store.write(session_lists.pin, **pin, is_pinned=True)
    await store.write(session_lists.pin, **MINE, session_id="unknown", is_pinned=True)
    page = await store.read(session_lists.list_page, **MINE)
    assert ([one.session_id for one in page.pinned], ids(page)) == (["s0"], ["s2", "s1"])
    assert [one.is_pinned for one in (await store.read(session_lists.search, **MINE, words="hello")).sessions] == [
        False,
        False,
        True,
    ]
    await store.write(transcripts.hand_over, old="member:ada", new="member:grace", by="tests")
    theirs = {**MINE, "owner": "member:grace"}
    page = await store.read(session_lists.list_page, **theirs)
    assert ([one.session_id for one in page.pinned], ids(page)) == (["s0"], ["s2", "s1"])
    await store.write(session_lists.pin, **theirs, session_id="s0", is_pinned=False)
    assert ids(await store.read(session_lists.list_page, **theirs)) == ["s2", "s1", "s0"]
    await store.write(session_lists.pin, **theirs, session_id="s1", is_pinned=True)
    await store.erase(erasing.erase_conversation, **theirs, session_id="s1")
    page = await store.read(session_lists.list_page, **theirs)
    assert (page.pinned, ids(page)) == ((), ["s2", "s0"])


async def test_no_more_are_pinned_than_are_shown(store: Store) -> None:
    for number in range(MOST_PINNED + 1):
        await say(store, f"s{number:02}", "Hello")
    for number in range(MOST_PINNED):
        await store.write(session_lists.pin, **MINE, session_id=f"s{number:02}", is_pinned=True)
    with pytest.raises(InvalidRequest, match="20 chats are pinned already"):
        await store.write(session_lists.pin, **MINE, session_id=f"s{MOST_PINNED}", is_pinned=True)


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("**Hello** `world`", "Hello world"),
        ("# A heading\n\n- and an _item_", "A heading and an item"),
        ("See [the docs](https://example.com/a_b)", "See the docs"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("2 * 3 * 4 and snake_case_names", "2 * 3 * 4 and snake_case_names"),
        ("***", "***"),
    ],
)
async def test_a_title_is_what_was_said_first_without_its_markdown(store: Store, said: str, title: str) -> None:
    await say(store, "s", said)
    await say(store, "s", "Something else", hour=1)
    assert [one.title for one in (await store.read(session_lists.list_page, **MINE)).sessions] == [title]
    await store.write(conversations.rename_session, **MINE, session_id="s", title="**as** written")
    assert [one.title for one in (await store.read(session_lists.list_page, **MINE)).sessions] == ["**as** written"]
