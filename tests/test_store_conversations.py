"""Sessions and messages, on both databases: said, listed, read part by part, and what they were said with."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import Connection, update

from flowground.core.events import ComponentFinished, InnerRun
from flowground.core.messages import Usage
from flowground.core.values import PastMessage
from flowground.store import Store, tables
from flowground.store.runs import conversations, erasing, transcripts, turns
from flowground.store.runs.records import VALUE_MOST
from tests.store_jobs import losing_the_commit, write_together
from tests.stored import list_messages, list_runs, make_journal
from tests.stored_chats import START, find_sessions, here, list_texts, ran, said, say, take_turn

pytestmark = pytest.mark.anyio


def inner(text: str, *runs: InnerRun, error: str | None = None) -> InnerRun:
    step = ComponentFinished("Step", "Prompt", 0.25, text, Usage(1, 2), "m", "failed", 0.5, runs, len(runs))
    return InnerRun("child", "Child", 0.25, 0.5, (step,), error)


async def test_a_turn_comes_back_as_it_was_stored(store: Store) -> None:
    trace = (
        ComponentFinished("Model", "LanguageModel", 0.2, "ünï 👋", Usage(3, 4), "tiny", at=0.001),
        ComponentFinished("Sub", "Run", 0.1, "x", at=0.2, inner=(inner("x", inner("y", error="No.")),), inner_count=9),
        ComponentFinished("Out", "ChatOutput", 0, ""),
    )
    question = said("What is\nup? 👋")
    run = ran(usage=Usage(1, 2), error_code="model_busy", streamed=True)
    more: dict[str, Any] = {"value": [{"text": "ünï", "n": [1, None]}], "kind": "records"}
    answer = said("All.", "assistant", run_id=run.id, model="tiny", usage=Usage(3, 4), seconds=0.5, trace=trace, **more)
    broken = said("All but", "assistant", run_id=run.id, state="failed", error="The connection\nbroke 👋.")
    await store.write(turns.begin_turn, **here(), message=question, run=replace(run, status="running"))
    journal = make_journal(answer, question)
    await store.write(turns.finish_turn, **here(), answers=[answer, broken], run=run, journal=journal)
    assert await store.read(list_messages, **here()) == [question, answer, broken]
    assert await store.read(list_runs, flow_id="echo") == [run]


async def test_a_trace_and_a_very_large_value_are_cut(store: Store) -> None:
    await take_turn(store, said("q"), said("a", "assistant", trace=(ComponentFinished("A", "T", 0, "x" * 5000),)))
    [_, answer] = await store.read(list_messages, **here())
    assert answer.trace[0].text == "x" * 2000
    sub = ComponentFinished("Sub", "RunFlow", 0.1, "", inner=(inner("x" * 2_000),), inner_count=1)
    steps = tuple(structs.replace(sub, component_id=f"{number}", text=f"{number:04}" * 500) for number in range(20))
    large: dict[str, Any] = {"value": [{"text": "y" * VALUE_MOST}], "kind": "records"}
    await take_turn(store, said("q"), said("a", "assistant", trace=steps, **large))
    *_, kept = await store.read(list_messages, **here())
    assert (kept.value, kept.kind) == (None, "text")
    assert [step.component_id for step in kept.trace] == [step.component_id for step in steps]
    assert sum(len(step.text) for step in kept.trace) == 32_000
    assert sum(len(step.inner[0].steps[0].text) for step in kept.trace) == 16_000


async def test_history_is_what_came_before_without_what_failed(store: Store) -> None:
    first, second = said("one"), said("two")
    await take_turn(store, first, said("1", "assistant", state="stopped"), said("broken", "assistant", state="failed"))
    await take_turn(store, second, said("", "assistant", state="stopped"), said("2", "assistant"))
    before = [PastMessage("user", "one"), PastMessage("assistant", "1")]
    last = [PastMessage("user", "two"), PastMessage("assistant", "2")]
    for key, limit, found in ((second.id, 10, before), (second.id, 1, before[1:]), (first.id, 10, []), (None, 2, last)):
        assert await store.read(conversations.read_history, **here(), before=key, limit=limit) == found


async def test_a_history_is_read_in_pages_and_ends_where_no_prompt_could_hold_more(store: Store) -> None:
    for number in range(105):
        await take_turn(store, said(f"q{number}"), said(f"a{number}", "assistant"))
    found = await store.read(conversations.read_history, **here(), before=None, limit=1000)
    assert [message.text for message in found] == [f"{kind}{number}" for number in range(105) for kind in "qa"]
    found = await store.read(conversations.read_history, **here(), before=None, limit=150)
    assert [message.text for message in found[:2]] == ["q30", "a30"]
    for _ in range(55):
        await take_turn(store, said("x" * 50_000), said("y" * 50_000, "assistant"))
    found = await store.read(conversations.read_history, **here(), before=None, limit=1000)
    assert len(found) == 100
    assert sum(len(message.text) for message in found) > conversations.MOST_HISTORY


def put_aside(connection: Connection, *, message: str) -> None:
    connection.execute(update(tables.messages).where(tables.messages.c.id == message).values(aside="later"))


async def test_an_answer_without_a_run_is_of_the_question_before_it_also_once_that_is_put_aside(store: Store) -> None:
    asked, answer = said("two"), said("2", "assistant")
    await take_turn(store, said("one"), said("1", "assistant"))
    await take_turn(store, asked, answer)
    for message in (asked, answer):
        await store.write(put_aside, message=message.id)
    found = await store.read(conversations.find_question, **here(), message_id=answer.id)
    assert found
    assert found.text == "two"


async def test_a_page_begins_with_its_first_question_if_it_has_one(store: Store) -> None:
    for turn in ("1ab", "2cde"):
        await take_turn(store, said(turn[0]), *(said(answer, "assistant") for answer in turn[1:]))
    second = (await store.read(list_messages, **here()))[3].id
    for most, chars, before, shown in (
        *((7, 99, None, "1ab2cde"), (6, 99, None, "2cde"), (5, 99, None, "2cde"), (4, 99, None, "2cde")),
        *((3, 99, None, "cde"), (2, 99, None, "de"), (9, 6, None, "1ab2cde"), (9, 5, None, "2cde")),
        *((9, 2, None, "cde"), (9, 1, None, "de"), (9, 99, second, "1ab"), (2, 99, second, "ab")),
    ):
        which: dict[str, Any] = {"most": most, "most_chars": chars, "before": before}
        found, has_earlier = await store.read(conversations.list_page, **here(), **which)
        assert ("".join(one.text for one in found), has_earlier) == (shown, "1" not in shown), which


async def test_messages_come_in_the_order_they_were_written_and_the_last_one_is_the_sessions_use(store: Store) -> None:
    """Whatever the clock said of the others."""
    await take_turn(store, said("  Why\n is it " + "so very " * 20 + "blue?"), said("second", "assistant", hours=-1))
    await take_turn(store, said("third", hours=-2), said("x", "assistant", hours=1), said("y", "assistant", hours=2))
    assert (await list_texts(store))[1:] == ["second", "third", "x", "y"]
    [session] = await find_sessions(store)
    assert (session.messages, session.created_at, session.updated_at) == (5, START, START + timedelta(hours=2))
    assert session.title == f"Why is it {'so very ' * 8}so ve…"


async def test_a_session_can_be_renamed_and_deleted_by_its_owner_only(store: Store) -> None:
    await take_turn(store, said("hello"))
    stranger = here(owner="member:bob")
    assert not await store.write(conversations.rename_session, **stranger, title="x")
    await store.erase(erasing.erase_conversation, **stranger)
    assert await store.write(conversations.rename_session, **here(), title="Mine")
    await take_turn(store, said("again"))
    assert [session.title for session in await find_sessions(store)] == ["Mine"]
    await store.erase(erasing.erase_conversation, **here())
    assert (await list_texts(store), await find_sessions(store)) == ([], [])


async def test_what_no_database_takes_is_replaced_and_fails_nothing(store: Store) -> None:
    odd = "a\x00b\ud800c"
    answer = said(odd, "assistant", trace=(ComponentFinished("A", "T", 0, odd),))
    await take_turn(store, said(odd), answer, session_id=odd)
    [question, answer] = await store.read(list_messages, **here(odd))
    assert question.text == answer.text == answer.trace[0].text == "a\ufffdb\ufffdc"


@pytest.mark.parametrize("lands", [True, False])
async def test_a_turn_whose_commits_are_lost_is_neither_lost_nor_doubled(store: Store, lands: bool) -> None:
    answers, run = (said("a", "assistant"),), ran()
    for job in (
        store.write(turns.begin_turn, **here("empty"), message=None),
        store.write(turns.begin_turn, **here(), message=said("other")),
        store.write(turns.begin_turn, **here(), message=said("q")),
        store.write(turns.finish_turn, **here(), answers=answers, run=run),
        store.write(turns.finish_turn, **here("empty"), answers=(), run=ran("empty")),
    ):
        outcomes = await write_together(store, job, store.write(losing_the_commit(lands=lands)))
        assert outcomes == [None, "unknown_outcome"]
    assert await list_texts(store) == ["other", "q", "a"]
    assert [session.messages for session in await find_sessions(store)] == [3]
    assert {run.session_id for run in await store.read(list_runs, flow_id="echo")} == {"s", "empty"}


# Overrides that a message was said with

VALUES: dict[str, dict[str, Any]] = {"Model": {"temperature": 0.4, "seed": None}, "P": {"t": "👋 \x00 ''"}}


async def said_with(store: Store, message_id: str, tweaks: Any = None) -> None:
    request = json.dumps({"tweaks": tweaks}) if tweaks else None
    message = said("Hi", id=message_id, run_id=f"run {message_id}")
    run = replace(ran(status="running"), id=f"run {message_id}")
    await store.write(turns.begin_turn, **here(), message=message, run=run, request=request)


async def find_overrides(store: Store, message_id: str, **place: str) -> dict[str, dict[str, Any]]:
    return await store.read(conversations.find_overrides, **here(**place), message_id=message_id)


async def test_overrides_are_told_to_the_sessions_owner_and_go_with_it(store: Store) -> None:
    await said_with(store, "1", VALUES)
    assert await find_overrides(store, "1") == VALUES
    await said_with(store, "2")
    for message_id, place in (("2", {}), ("1", {"owner": "member:bob"}), ("1", {"session_id": "other"})):
        assert await find_overrides(store, message_id, **place) == {}
    await store.write(transcripts.hand_over, old="member:ada", new="member:bob", by="x")
    assert await find_overrides(store, "1", owner="member:bob") == VALUES
    await store.erase(erasing.erase_conversation, **here(owner="member:bob"))
    assert await find_overrides(store, "1", owner="member:bob") == {}


# A conversation read from its beginning to its end, part by part


async def read_parts(store: Store) -> list[list[str]]:
    parts: list[list[str]] = []
    after: int | None = 0
    while after is not None:
        part, after = await store.read(transcripts.read_part, **here(), after=after)
        parts.append([message.text for message in part])
    return parts


@pytest.mark.parametrize(("count", "chars"), [(0, 1), (1, 1), (12, 5), (450, 10), (30, 100_000)])
async def test_parts_follow_each_other_and_none_is_large(store: Store, count: int, chars: int) -> None:
    await say(store, "another's", owner="member:bob")
    await say(store, "elsewhere", flow_id="talk")
    texts = [f"{number} ".ljust(chars, "x") for number in range(count)]
    for text in texts:
        await say(store, text)
    parts = await read_parts(store)
    assert [text for part in parts for text in part] == texts
    for part in parts:
        assert len(part) <= transcripts.PART_MESSAGES + 12
        assert sum(map(len, part)) <= transcripts.PART_CHARS + 12 * chars
