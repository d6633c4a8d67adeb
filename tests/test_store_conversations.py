"""Sessions, messages and runs, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from flowground.events import InnerRun
from flowground.messages import Usage
from flowground.store import Store
from flowground.store.runs import conversations, erasing, turns
from flowground.store.runs.records import VALUE_MOST, RunRecord, StoredMessage
from flowground.store.runs.traces import TIMELINE_MOST, TraceStep
from flowground.values import SaidMessage
from tests.store_jobs import losing_the_commit, write_together
from tests.stored import export_conversations, list_messages, list_runs, list_sessions

pytestmark = pytest.mark.anyio
START = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


def here(session_id: str = "s", *, owner: str = "member:ada", flow_id: str = "echo") -> dict[str, Any]:
    return {"flow_id": flow_id, "owner": owner, "session_id": session_id}


def said(text: str, role: Any = "user", **more: Any) -> StoredMessage:
    return StoredMessage(str(uuid4()), role, text, more.pop("state", "complete"), more.pop("at", START), **more)


def ran(session_id: str = "s", **more: Any) -> RunRecord:
    return RunRecord(str(uuid4()), "echo", "abc", "member:ada", session_id, "complete", START, 0.25, **more)


async def take_turn(store: Store, question: StoredMessage, *answers: StoredMessage, **place: Any) -> None:
    address = here(**place)
    await store.write(turns.begin_turn, **address, message=question)
    await store.write(turns.finish_turn, **address, answers=answers, run=ran(address["session_id"]))


def inner(text: str, *runs: InnerRun, error: str | None = None) -> InnerRun:
    step = TraceStep("Step", "Prompt", 0.25, text, Usage(1, 2), "m", "failed", 0.5, runs, len(runs))
    return InnerRun("child", "Child", 0.25, 0.5, (step,), error)


async def test_a_turn_comes_back_as_it_was_stored(store: Store) -> None:
    trace = (
        TraceStep("Model", "LanguageModel", 0.2, "ünï 👋", Usage(3, 4), "tiny", at=0.001),
        TraceStep("Sub", "RunFlow", 0.1, "x", at=0.2, inner=(inner("x", inner("y", error="No.")),), inner_count=9),
        TraceStep("Out", "ChatOutput", 0, ""),
    )
    question = said("What is\nup? 👋")
    run = ran()
    more = {"value": [{"text": "ünï", "n": [1, None]}], "kind": "records"}
    answer = said("All.", "assistant", run_id=run.id, model="tiny", usage=Usage(3, 4), seconds=0.5, trace=trace, **more)
    broken = said("All but", "assistant", run_id=run.id, state="failed", error="The connection\nbroke 👋.")
    await store.write(turns.begin_turn, **here(), message=question, run=replace(run, status="running"))
    await store.write(turns.finish_turn, **here(), answers=[answer, broken], run=run)
    assert await store.read(list_messages, **here()) == [question, answer, broken]


async def test_a_run_comes_back_as_it_was_stored(store: Store) -> None:
    run = ran(usage=Usage(1, 2), error_code="model_busy", streamed=True)
    await store.write(turns.finish_turn, **here(), answers=(), run=run)
    assert await store.read(list_runs, flow_id="echo") == [run]


@pytest.mark.parametrize("count", [-1, 2**31, 2**63, 10**30])
async def test_a_count_of_tokens_that_no_column_holds_costs_no_answer(store: Store, count: int) -> None:
    for usage in (Usage(count, 1), Usage(1, count)):
        answer = said("All.", "assistant", usage=usage, trace=(TraceStep("A", "T", 0, "x", usage),))
        await store.write(turns.begin_turn, **here(), message=said("q"))
        await store.write(turns.finish_turn, **here(), answers=[answer], run=ran(usage=usage))
        *_, kept = await store.read(list_messages, **here())
        assert (kept.text, kept.usage) == ("All.", None)
        assert (await store.read(list_runs, flow_id="echo"))[0].usage is None


@pytest.mark.parametrize("usage", [Usage(0, 0), Usage(2**31 - 1, 2**31 - 1)])
async def test_the_least_and_the_most_tokens_are_kept(store: Store, usage: Usage) -> None:
    run = ran(usage=usage)
    await store.write(turns.begin_turn, **here(), message=said("q"))
    await store.write(turns.finish_turn, **here(), answers=[said("a", "assistant", usage=usage)], run=run)
    *_, kept = await store.read(list_messages, **here())
    assert kept.usage == usage
    [stored] = await store.read(list_runs, flow_id="echo")
    assert (stored.usage, stored.streamed) == (usage, False)


async def test_a_trace_keeps_two_thousand_characters_of_each_text(store: Store) -> None:
    await take_turn(store, said("q"), said("a", "assistant", trace=(TraceStep("A", "T", 0, "x" * 5000),)))
    [_, answer] = await store.read(list_messages, **here())
    assert answer.trace[0].text == "x" * 2000


async def test_a_session_belongs_to_one_owner_and_one_flow(store: Store) -> None:
    await take_turn(store, said("mine"))
    await take_turn(store, said("theirs"), owner="member:bob")
    await take_turn(store, said("another flow"), flow_id="other")
    assert [m.text for m in await store.read(list_messages, **here())] == ["mine"]
    assert [s.title for s in await store.read(list_sessions, flow_id="echo", owner="member:bob")] == ["theirs"]


async def test_no_two_addresses_spell_the_same_key() -> None:
    assert conversations.make_session_key("a", "bc", "d") != conversations.make_session_key("ab", "c", "d")
    assert conversations.make_session_key("a", "b", "cd") != conversations.make_session_key("a", "bc", "d")


async def test_a_session_keeps_the_key_that_was_stored_for_it() -> None:
    assert conversations.make_session_key("echo", "member:ada", "s") == "47e7ec379084a1d58cb7fb56dfa56884"


async def test_history_is_what_came_before_without_what_failed(store: Store) -> None:
    first, second = said("one"), said("two")
    await take_turn(store, first, said("1", "assistant", state="stopped"), said("broken", "assistant", state="failed"))
    await take_turn(store, second, said("", "assistant", state="stopped"), said("2", "assistant"))

    async def before(message_id: str | None, limit: int) -> list[SaidMessage]:
        return await store.read(conversations.read_history, **here(), before=message_id, limit=limit)

    assert await before(second.id, 10) == [SaidMessage("user", "one"), SaidMessage("assistant", "1")]
    assert await before(second.id, 1) == [SaidMessage("assistant", "1")]
    assert await before(first.id, 10) == []
    assert await before(None, 2) == [SaidMessage("user", "two"), SaidMessage("assistant", "2")]


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


async def test_an_answer_stopped_before_its_first_word_takes_no_place_in_the_history(store: Store) -> None:
    for number in range(3):
        await take_turn(store, said(f"question {number}"), said("", "assistant", state="stopped"))
    found = await store.read(conversations.read_history, **here(), before=None, limit=3)
    assert found == [SaidMessage("user", f"question {number}") for number in range(3)]


async def test_messages_come_in_the_order_they_were_written_whatever_the_clock_said(store: Store) -> None:
    await take_turn(store, said("first", at=START), said("second", "assistant", at=START - timedelta(hours=1)))
    await take_turn(store, said("third", at=START - timedelta(hours=2)))
    assert [m.text for m in await store.read(list_messages, **here())] == ["first", "second", "third"]
    assert [m.text for m in await store.read(list_messages, **here(), limit=2)] == ["second", "third"]


async def test_sessions_are_listed_by_last_use_with_the_first_message_as_title(store: Store) -> None:
    await take_turn(store, said("  Why\n is the sky " + "so very " * 20 + "blue?"), session_id="a")
    await take_turn(
        store, said("b", at=START + timedelta(1)), said("x", "assistant", at=START + timedelta(2)), session_id="b"
    )
    await take_turn(store, said("more", at=START + timedelta(3)), session_id="a")
    [a, b] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert (a.session_id, a.messages, a.created_at, a.updated_at) == ("a", 2, START, START + timedelta(3))
    assert (b.session_id, b.messages, b.title) == ("b", 2, "b")
    assert a.title == f"Why is the sky {'so very ' * 8}…".replace(" …", "…")
    assert len(await store.read(list_sessions, flow_id="echo", owner="member:ada", limit=1)) == 1


async def test_a_session_can_be_renamed_and_deleted_by_its_owner_only(store: Store) -> None:
    await take_turn(store, said("hello"))
    stranger = here(owner="member:bob")
    assert not await store.write(conversations.rename_session, **stranger, title="x")
    await store.erase(erasing.erase_conversation, **stranger)
    assert await store.write(conversations.rename_session, **here(), title="Mine")
    await take_turn(store, said("again"))
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert session.title == "Mine"
    await store.erase(erasing.erase_conversation, **here())
    assert await store.read(list_messages, **here()) == []
    assert await store.read(list_sessions, flow_id="echo", owner="member:ada") == []


async def test_answers_to_a_session_deleted_meanwhile_are_dropped(store: Store) -> None:
    await store.write(turns.begin_turn, **here(), message=said("q"))
    await store.erase(erasing.erase_conversation, **here())
    run = ran()
    await store.write(turns.finish_turn, **here(), answers=[said("a", "assistant")], run=run)
    assert await store.read(list_messages, **here()) == []
    assert await store.read(list_runs, flow_id="echo") == [run]


async def test_a_run_without_a_message_still_has_a_session_for_its_answers(store: Store) -> None:
    await store.write(turns.begin_turn, **here(), message=None)
    assert await store.read(list_sessions, flow_id="echo", owner="member:ada") == []
    await store.write(turns.finish_turn, **here(), answers=[said("a", "assistant")], run=ran())
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert (session.title, session.messages) == ("", 1)


async def test_what_no_database_takes_is_replaced_and_fails_nothing(store: Store) -> None:
    odd = "a\x00b\ud800c"
    await take_turn(
        store, said(odd), replace(said(odd, "assistant"), trace=(TraceStep("A", "T", 0, odd),)), session_id=odd
    )
    [question, answer] = await store.read(list_messages, **here(odd))
    assert question.text == answer.text == answer.trace[0].text == "a\ufffdb\ufffdc"


async def test_a_person_takes_along_why_an_answer_failed(store: Store) -> None:
    await take_turn(store, said("q"), said("All but", "assistant", state="failed", error="It broke."))
    [session] = await store.read(export_conversations, owners=["member:ada"])
    assert [(item["text"], item.get("error")) for item in session["messages"]] == [
        ("q", None),
        ("All but", "It broke."),
    ]


async def test_a_run_that_has_its_end_keeps_it(store: Store) -> None:
    run, answer = ran(), said("good", "assistant")
    await store.write(turns.begin_turn, **here(), message=said("q"))
    for late in (answer, said("The database did not answer.", "assistant")):
        await store.write(turns.finish_turn, **here(), answers=[late], run=run)
    assert [message.text for message in await store.read(list_messages, **here())] == ["q", "good"]
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert session.messages == 2


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
        assert await write_together(store, job, store.write(losing_the_commit(lands=lands))) == [
            None,
            "unknown_outcome",
        ]
    assert [said.text for said in await store.read(list_messages, **here())] == ["other", "q", "a"]
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert session.messages == 3
    assert {run.session_id for run in await store.read(list_runs, flow_id="echo")} == {"s", "empty"}


async def test_a_session_was_used_when_its_last_answer_came(store: Store) -> None:
    earlier, later = (said(text, "assistant", at=START + timedelta(day)) for day, text in enumerate("ab", 1))
    await take_turn(store, said("q"), earlier, later)
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert session.updated_at == later.created_at


async def test_a_very_large_value_is_left_to_its_text_and_a_trace_of_inner_flows_is_cut(store: Store) -> None:
    steps = tuple(TraceStep("Sub", "RunFlow", 0.1, "", inner=(inner("x" * 2_000),), inner_count=1) for _ in range(20))
    large = {"value": [{"text": "y" * VALUE_MOST}], "kind": "records"}
    await store.write(turns.begin_turn, **here(), message=said("q"))
    answer = said("a", "assistant", trace=steps, **large)
    await store.write(turns.finish_turn, **here(), answers=[answer], run=ran())
    *_, kept = await store.read(list_messages, **here())
    assert (kept.value, kept.kind) == (None, "text")
    assert sum(len(step.inner[0].steps[0].text) for step in kept.trace) == TIMELINE_MOST
