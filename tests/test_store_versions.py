"""Versions of a question: one is shown, the others wait with all that followed. On both databases."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from sqlalchemy import Connection, select

from flowground.core.errors import InvalidRequest
from flowground.store import Store, tables
from flowground.store.runs import conversations, erasing, session_lists, transcripts, turns, versions
from flowground.store.runs.records import StoredMessage
from flowground.store.runs.versions import ConversationChanged
from tests.stored import export_conversations
from tests.stored_chats import find_sessions, here, list_texts, ran, said

pytestmark = pytest.mark.anyio
PAGE: dict[str, Any] = {"most": 50, "most_chars": 500_000}


async def ask(store: Store, text: str, *, version_of: str | None = None, **place: Any) -> str:
    """A whole turn, whose answer is "re: TEXT"; the question's id."""
    run = ran()
    begun: dict[str, Any] = {"message": said(text, run_id=run.id), "run": replace(run, status="running")}
    answer = said(f"re: {text}", "assistant", run_id=run.id)
    if version_of is None:
        await store.write(turns.begin_turn, **here(**place), **begun)
    else:
        await store.write(versions.begin_version, **here(**place), version_of=version_of, **begun)
    await store.write(turns.finish_turn, **here(**place), answers=[answer], run=run)
    return str(begun["message"].id)


async def read_texts(store: Store) -> list[str]:
    page = await read_page(store)
    assert [message.text for message in page] == await list_texts(store)
    return [message.text for message in page if message.role == "user"]


async def read_page(store: Store) -> list[StoredMessage]:
    page, _ = await store.read(conversations.list_page, **here(), **PAGE)
    return page


async def read_history(store: Store, before: str | None = None) -> list[str]:
    history = await store.read(conversations.read_history, **here(), before=before, limit=9)
    return [message.text for message in history]


async def choose(store: Store, message_id: str, **place: Any) -> None:
    await store.write(versions.choose, **here(**place), message_id=message_id)


async def test_a_history_holds_nothing_that_the_turn_puts_aside(store: Store) -> None:
    await ask(store, "one")
    second = await ask(store, "two")
    edited = await ask(store, "two!", version_of=second)
    assert await read_history(store) == ["one", "re: one", "two!", "re: two!"]
    assert await read_history(store, edited) == ["one", "re: one"]
    await choose(store, second)
    assert await read_history(store) == ["one", "re: one", "two", "re: two"]
    assert [session.messages for session in await find_sessions(store)] == [6]


async def test_nobody_reaches_what_is_not_shown_or_not_theirs(store: Store) -> None:
    top, below = await ask(store, "top"), await ask(store, "below")
    hidden = await ask(store, "below!", version_of=below)
    await ask(store, "other", version_of=top)
    foreign = await ask(store, "mine", owner="member:bob")
    before = await read_page(store)
    for message_id in (below, hidden, foreign, "nothing", before[-1].id):
        for job in (choose(store, message_id), ask(store, "x", version_of=message_id)):
            with pytest.raises(ConversationChanged, match=r"^This message is not part of the conversation any more\.$"):
                await job
    assert await read_page(store) == before
    with pytest.raises(ConversationChanged):
        await choose(store, top, owner="member:bob")


async def test_a_question_has_fifty_versions_at_most(store: Store) -> None:
    key = await ask(store, "0")
    for number in range(1, versions.MOST_VERSIONS):
        key = await ask(store, str(number), version_of=key)
    with pytest.raises(InvalidRequest, match="There are 50 versions of this message already"):
        await ask(store, "more", version_of=key)
    assert await read_texts(store) == ["49"]


async def test_an_answer_that_comes_late_goes_where_its_question_waits(store: Store) -> None:
    lost = ran()
    first = said("one", run_id=lost.id)
    await store.write(turns.begin_turn, **here(), message=first, run=replace(lost, status="interrupted"))
    again = await ask(store, "one", version_of=first.id)
    await store.write(turns.finish_turn, **here(), answers=[said("late", "assistant", run_id=lost.id)], run=lost)
    for chosen, answer in ((again, "re: one"), (first.id, "late"), (again, "re: one")):
        await choose(store, chosen)
        assert [m.text for m in await read_page(store)] == ["one", answer]


async def test_a_page_goes_back_to_the_question_that_was_chosen(store: Store) -> None:
    async def read(through: str | None = None) -> tuple[list[str], bool]:
        page, has_earlier = await store.read(conversations.list_page, **here(), **PAGE | {"most": 20}, through=through)
        return [message.id for message in page], has_earlier

    first = await ask(store, "first")
    for number in range(40):
        await ask(store, str(number))
    page, has_earlier = await read()
    assert (len(page), has_earlier) == (20, True)
    whole, has_earlier = await read(first)
    assert (whole[0], len(whole), has_earlier) == (first, 82, False)
    page, has_earlier = await read(whole[4])
    assert (has_earlier, whole[4] in page) == (True, True)
    for strange in ("nothing", await ask(store, "x", owner="member:bob")):
        assert len((await read(strange))[0]) == 20


async def test_lists_exports_search_and_deletion(store: Store) -> None:
    first = await ask(store, "alpha")
    await ask(store, "beta", version_of=first)
    places = await store.read(transcripts.list_places, owners=["member:ada"])
    positions = [place.position for place in places]
    listed = await store.read(transcripts.read_messages, owners=["member:ada"], positions=positions)
    assert [found.message.text for found in listed] == ["beta", "re: beta"]
    [exported] = await store.read(export_conversations, owners=["member:ada"])
    told = [(m["text"], m.get("is_put_aside", False)) for m in exported["messages"]]
    assert told == [("alpha", True), ("re: alpha", True), ("beta", False), ("re: beta", False)]
    for word in ("alpha", "beta"):
        found = await store.read(session_lists.search, flow_id="echo", owner="member:ada", words=word)
        assert [row.session_id for row in found.sessions] == ["s"]
    await store.erase(erasing.erase_conversation, **here())
    assert await store.read(count_messages) == 0


def count_messages(connection: Connection) -> int:
    return len(connection.execute(select(tables.messages.c.id)).all())


# Any order of asking, asking anew, editing and choosing, against a tree


@dataclass(eq=False)
class Turn:
    """A question in a tree, and what was asked after its answer."""

    id: str
    text: str
    next: "Group | None" = None


@dataclass(eq=False)
class Group:
    """Versions of a question, in their order, and which is shown."""

    turns: list[Turn] = field(default_factory=list)
    shown: int = 0

    def list_alike(self) -> tuple[tuple[str, ...], ...]:
        alike: dict[str, list[str]] = {}
        for turn in self.turns:
            alike.setdefault(turn.text, []).append(turn.id)
        return tuple(map(tuple, alike.values())) if len(self.turns) > 1 else ()


def list_path(root: Group | None) -> list[tuple[Group, Turn]]:
    path = []
    while root:
        path.append((root, root.turns[root.shown]))
        root = root.turns[root.shown].next
    return path


def count_turns(group: Group | None) -> int:
    return 0 if group is None else sum(1 + count_turns(turn.next) for turn in group.turns)


@pytest.mark.parametrize("seed", range(4))
async def test_any_order_of_asking_and_choosing_keeps_all_and_shows_one_path(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    root: Group | None = None
    for _ in range(60):
        path = list_path(root)
        act = chance.choice(["say", "again", "edit", "choose", "choose", "choose hidden"])
        if act == "say" or root is None:
            text = chance.choice("abc")
            turn = Turn(await ask(store, text), text)
            if path:
                path[-1][1].next = Group([turn])
            else:
                root = Group([turn])
        elif act in ("again", "edit"):
            group, shown = chance.choice(path)
            text = shown.text if act == "again" else chance.choice("abc")
            group.turns.append(Turn(await ask(store, text, version_of=shown.id), text))
            group.shown = len(group.turns) - 1
        elif act == "choose":
            group, _ = chance.choice(path)
            if len(group.turns) > 1:
                group.shown = chance.randrange(len(group.turns))
                await choose(store, group.turns[group.shown].id)
        else:
            others = [turn.next for group, shown in path for turn in group.turns if turn is not shown]
            hidden = [turn.id for group in others if group for turn in group.turns]
            if hidden:
                with pytest.raises(ConversationChanged):
                    await choose(store, chance.choice(hidden))
        page, _ = await store.read(conversations.list_page, **here(), most=1000, most_chars=500_000)
        path = list_path(root)
        assert [m.id for m in page if m.role == "user"] == [turn.id for _, turn in path]
        assert [m.text for m in page] == [text for _, turn in path for text in (turn.text, f"re: {turn.text}")]
        assert [m.versions for m in page if m.role == "user"] == [group.list_alike() for group, _ in path]
        assert await store.read(count_messages) == 2 * count_turns(root)
    assert count_turns(root) > 20
