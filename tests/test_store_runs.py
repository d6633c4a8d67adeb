"""A run's row and what is kept with it, on both databases: its one end, its trace; how runs are counted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.core.events import ComponentFinished
from flowground.core.messages import Usage
from flowground.store import Store
from flowground.store.runs import conversations, progress, turns, usage
from flowground.store.runs.records import RunRecord
from flowground.store.runs.usage import FailureCount, FlowUsage, RunNumbers, UsedDay
from flowground.store.writer import Job
from tests.run_rows import HERE, begin, contents, keep, list_journals, said, statuses
from tests.stored import list_messages, make_journal
from tests.stored_chats import find_sessions, here, ran
from tests.stored_chats import said as make_message

pytestmark = pytest.mark.anyio


async def end(store: Store, run: RunRecord, text: str = "", *trace: ComponentFinished, **more: Any) -> None:
    """The run is complete, and answered this."""
    answer = make_message(text, "assistant", id=f"{run.id} answer", run_id=run.id, model="m", trace=trace)
    question = make_message("Hi", id=f"{run.id} question", run_id=run.id)
    ended = replace(run, status="complete", seconds=3.5)
    more |= {"answers": [answer], "journal": make_journal(answer, question)} if text else {"answers": []}
    await store.write(turns.finish_turn, **HERE, run=ended, **more)


async def test_an_answer_that_comes_late_is_stored_once_and_called_late(store: Store) -> None:
    run = await begin(store, "r", holder="thought dead")
    await keep(store, "r", {"r answer": "So"})
    await store.write(progress.interrupt_runs, holders=["thought dead"])
    trace = ComponentFinished("Model", "LanguageModel", 0.5, "So it is.", None, "m")
    for text in ("So it is.", "Something else."):
        await end(store, run, text, trace)
    assert (await said(store))[1:] == [("r answer", "So it is.", "complete")]
    [_, kept] = await store.read(list_messages, **HERE)
    assert (kept.model, kept.trace) == ("m", (trace,))
    assert await statuses(store) == {"r": ("interrupted", "finished_late")}
    assert [session.messages for session in await find_sessions(store)] == [2]


async def test_an_end_is_known_to_be_stored_once_it_is(store: Store) -> None:
    """So that one whose commit was lost with its connection is written again, and no other."""
    landed = Job(turns.finish_turn, (), {}, future=None).kind.landed
    assert landed is not None
    run = await begin(store, "r", holder="gone")
    ended = replace(run, status="complete")
    assert not await store.read(landed, run=ended)
    await store.write(progress.interrupt_runs, holders=["gone"])
    assert not await store.read(landed, run=ended)  # its answer may still come
    await end(store, run)
    assert await store.read(landed, run=ended)


async def test_a_run_has_one_end(store: Store) -> None:
    run = await begin(store, "r", holder="h")
    await end(store, run, "Yes")
    failed = make_message("No", "assistant", id="r answer", run_id="r", state="failed")
    for late in (failed, replace(failed, id="another answer")):
        await store.write(turns.finish_turn, **HERE, answers=[late], run=replace(run, status="failed"))
    await keep(store, "r", {"r answer": "too late"})
    assert (await said(store))[1:] == [("r answer", "Yes", "complete")]
    assert await statuses(store) == {"r": ("complete", None)}
    assert await store.read(contents) == []
    assert [session.messages for session in await find_sessions(store)] == [2]


async def test_what_was_kept_of_an_answer_goes_when_it_is_whole(store: Store) -> None:
    run = await begin(store, "r", holder="h")
    await keep(store, "r", {"r answer": "half"})
    await end(store, run, "whole", was_kept=True)
    assert await store.read(contents) == []


async def test_a_trace_holds_each_text_once(store: Store) -> None:
    texts = ("Hi", "Be brief", "Yes, it is", "Yes, it is", "Be brief")
    trace = tuple(ComponentFinished(f"Step{number}", "Prompt", 0.1, text) for number, text in enumerate(texts))
    await end(store, await begin(store, "r", holder="h"), "Yes, it is", *trace)
    [*_, kept] = await store.read(list_messages, **HERE)
    assert kept.trace == trace
    [steps] = await store.read(list_journals)
    assert [steps.count(text) for text in ("Hi", "Be brief", "Yes, it is")] == [0, 1, 0]
    alone = await store.read(conversations.find_message, **HERE, message_id="r answer")
    assert (alone and alone.trace) == trace


# The numbers beside an endpoint, and how a flow was used

NOW = datetime.now(UTC).replace(microsecond=0)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


async def add(store: Store, at: datetime, seconds: float = 1, **facts: Any) -> None:
    """A run that began then and has ended."""
    given: dict[str, Any] = {"flow_id": "f", "usage": Usage(10, 1), "seconds": seconds, "started_at": at} | facts
    run = replace(ran(), **given)
    await store.write(turns.finish_turn, **here(flow_id=run.flow_id, owner=run.owner), answers=[], run=run)


async def of_the_day(store: Store) -> RunNumbers:
    return await store.read(usage.sum_up, flow_id="f", since=NOW - DAY)


async def test_the_runs_of_the_day_are_counted_and_measured(store: Store) -> None:
    for hundredth in range(1, 101):
        await add(store, NOW, hundredth / 100)
    await add(store, NOW - 2 * HOUR, 60, status="failed", error_code="model_busy")
    await add(store, NOW - HOUR, 50, status="failed", error_code="model_timeout")
    await add(store, NOW, 99, status="stopped")
    await add(store, NOW - 2 * DAY, 77)
    await add(store, NOW, 77, flow_id="other")
    assert await of_the_day(store) == RunNumbers(103, 2 / 103, 0.5, 0.95, "model_timeout", NOW - HOUR)


async def test_people_are_counted_once_and_besides_the_one_who_asks(store: Store) -> None:
    for at, seconds in ((NOW, 1), (NOW, 2), (NOW - 2 * DAY, 3)):
        await add(store, at, seconds)
    for asks, count in (("member:ben", 1), ("member:ada", 0)):
        assert await store.read(usage.count_people, flow_id="f", since=NOW - DAY, besides=asks) == count


async def sum_usage(store: Store, **more: Any) -> FlowUsage:
    return await store.read(usage.sum_usage, flow_id="f", since=BEGIN, days=3, **more)


async def test_runs_are_summed_by_day_person_and_failure(store: Store) -> None:
    assert await sum_usage(store) == FlowUsage(days=(UsedDay(), UsedDay(), UsedDay()))
    await add(store, BEGIN + HOUR, usage=None)
    await add(store, BEGIN + 2 * HOUR, owner="visitor:1", status="failed", error_code="model_busy")
    await add(store, BEGIN + 2 * DAY, owner="member:bob", token="t1")
    await add(store, BEGIN + 2 * DAY + HOUR, owner="member:bob", status="failed", error_code="model_busy")
    await add(store, BEGIN + 3 * DAY - timedelta(seconds=1), status="interrupted", error_code="server_stopped")
    await add(store, BEGIN + 2 * DAY, status="running")
    await add(store, BEGIN - HOUR)
    await add(store, BEGIN + 3 * DAY)
    await add(store, BEGIN, flow_id="other")
    busy = FailureCount("model_busy", 2, BEGIN + 2 * DAY + HOUR)
    stopped = FailureCount("server_stopped", 1, BEGIN + 3 * DAY - timedelta(seconds=1))
    found = await sum_usage(store)
    assert (found.runs, found.failed, found.people, found.visitors, found.by_programs) == (5, 3, 2, 1, 1)
    assert (found.input_tokens, found.output_tokens, found.is_cut) == (40, 4, False)
    assert (found.days, found.failures) == ((UsedDay(2, 1), UsedDay(), UsedDay(3, 2)), (busy, stopped))


async def test_of_many_the_newest_are_counted_and_that_is_said(store: Store) -> None:
    for hour in range(4):
        await add(store, BEGIN + hour * DAY / 2)
    found = await sum_usage(store, most=2)
    assert (found.is_cut, found.runs, found.days) == (True, 2, (UsedDay(), UsedDay(2), UsedDay()))


async def test_a_person_is_one_with_chats_tokens_and_tries(store: Store) -> None:
    member, token = Caller("member", "ada", "member"), Caller("token", "t1", "member", person="ada")
    tries = [caller.try_api("answers", "opened") for caller in (LOCAL_OWNER, member)]
    for number, caller in enumerate([LOCAL_OWNER, member, token, Caller("token", "t2", "admin"), *tries]):
        await add(store, BEGIN + number * HOUR, owner=str(caller.owner))
    found = await sum_usage(store)
    assert (found.runs, found.people) == (6, 2)
