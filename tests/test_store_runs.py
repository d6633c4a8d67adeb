"""A run's row and what is kept with it, on both databases: its one end, late answers, its trace."""

from dataclasses import replace

import pytest

from flowground.store import Store
from flowground.store.database.jobs import Job
from flowground.store.runs import progress, turns
from flowground.store.runs.records import RunRecord, StoredMessage
from flowground.store.runs.traces import TraceStep
from tests.run_rows import HERE, begin, contents, keep, list_steps, now, said, statuses
from tests.stored import list_messages, list_sessions

pytestmark = pytest.mark.anyio


async def test_the_run_that_answers_in_a_session_is_found_by_all_of_its_address(store: Store) -> None:
    await begin(store, "first", holder="h")
    last = await begin(store, "last", holder="h")
    found = await store.read(progress.find_running, **HERE)
    assert found is not None
    assert (found.id, found.status, found.holder) == (last.id, "running", "h")
    for other in ({"flow_id": "other"}, {"owner": "member:bob"}, {"session_id": "t"}):
        assert await store.read(progress.find_running, **(HERE | other)) is None
    for run_id in ("first", "last"):
        await store.write(turns.finish_turn, **HERE, answers=(), run=replace(last, id=run_id, status="complete"))
    assert await store.read(progress.find_running, **HERE) is None


@pytest.mark.parametrize("session_id", ["s", "nul \x00 and half \ud83d"])
async def test_the_answers_of_a_run_are_found_in_its_session(store: Store, session_id: str) -> None:
    place = HERE | {"session_id": session_id}
    run = RunRecord("r", "echo", "v", "member:ada", session_id, "running", now(), 0)
    question = StoredMessage("q", "user", "Hi", "complete", now(), "r")
    answers = [StoredMessage(name, "assistant", name, "complete", now(), "r") for name in ("one", "two")]
    await store.write(turns.begin_turn, **place, message=question, run=run)
    await store.write(turns.finish_turn, **place, answers=answers, run=replace(run, status="complete"))
    stored = await store.read(progress.find_run, run_id="r")
    assert stored is not None
    assert [message.id for message in await store.read(progress.list_answers, run=stored)] == ["one", "two"]


async def test_an_answer_that_comes_late_is_stored_once_and_called_late(store: Store) -> None:
    run = await begin(store, "r", holder="thought dead")
    await keep(store, "r", {"r answer": "So"})
    await store.write(progress.interrupt_runs, holders=["thought dead"])
    trace = (TraceStep("Model", "LanguageModel", 0.5, "So it is.", None, "m"),)
    whole = StoredMessage("r answer", "assistant", "So it is.", "complete", now(), "r", model="m", trace=trace)
    ended = replace(run, status="complete", seconds=3.5)
    for text in ("So it is.", "Something else."):
        await store.write(turns.finish_turn, **HERE, answers=[replace(whole, text=text)], run=ended)
    assert (await said(store))[1:] == [("r answer", "So it is.", "complete")]
    [_, kept] = await store.read(list_messages, **HERE)
    assert (kept.model, kept.trace) == ("m", trace)
    assert await statuses(store) == {"r": ("interrupted", "finished_late")}
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
    assert session.messages == 2


async def test_an_end_is_known_to_be_stored_once_it_is(store: Store) -> None:
    """So that one whose commit was lost with its connection is written again, and no other."""
    landed = Job(turns.finish_turn, (), {}, future=None).kind.landed
    assert landed is not None
    run = await begin(store, "r", holder="gone")
    ended = replace(run, status="complete")
    assert not await store.read(landed, run=ended)
    await store.write(progress.interrupt_runs, holders=["gone"])
    assert not await store.read(landed, run=ended)  # its answer may still come
    await store.write(turns.finish_turn, **HERE, answers=(), run=ended)
    assert await store.read(landed, run=ended)


async def test_a_run_has_one_end(store: Store) -> None:
    run = await begin(store, "r", holder="h")
    answer = StoredMessage("r answer", "assistant", "Yes", "complete", now(), "r")
    await store.write(turns.finish_turn, **HERE, answers=[answer], run=replace(run, status="complete"))
    failed = replace(answer, text="No", state="failed")
    await store.write(turns.finish_turn, **HERE, answers=[failed], run=replace(run, status="failed"))
    await keep(store, "r", {"r answer": "too late"})
    assert (await said(store))[1:] == [("r answer", "Yes", "complete")]
    assert await statuses(store) == {"r": ("complete", None)}
    assert await store.read(contents) == []


async def test_what_was_kept_of_an_answer_goes_when_it_is_whole(store: Store) -> None:
    run = await begin(store, "r", holder="h")
    await keep(store, "r", {"r answer": "half"})
    answer = StoredMessage("r answer", "assistant", "whole", "complete", now(), "r")
    ended = replace(run, status="complete")
    await store.write(turns.finish_turn, **HERE, answers=[answer], run=ended, was_kept=True)
    assert [row[3] for row in await store.read(contents)] == [None]


async def test_a_trace_holds_each_text_once(store: Store) -> None:
    run = await begin(store, "r", holder="h")
    trace = tuple(
        TraceStep(name, name, 0.1, text)
        for name, text in (("In", "Hi"), ("Prompt", "Be brief"), ("Model", "Yes, it is"), ("Out", "Yes, it is"))
    )
    again = TraceStep("Again", "Prompt", 0.1, "Be brief")
    answer = StoredMessage("r answer", "assistant", "Yes, it is", "complete", now(), "r", trace=(*trace, again))
    ended = replace(run, status="complete")
    await store.write(turns.finish_turn, **HERE, answers=[answer], run=ended, question="Hi")
    [*_, kept] = await store.read(list_messages, **HERE)
    assert kept.trace == (*trace, again)
    [steps] = await store.read(list_steps)
    assert [steps.count(text) for text in ("Hi", "Be brief", "Yes, it is")] == [0, 1, 0]


async def test_the_oldest_answer_of_a_part_knows_its_question(store: Store) -> None:
    for number in range(8):
        run = await begin(store, f"r{number}", holder="h")
        trace = (TraceStep("In", "ChatInput", 0.1, "Hi"),)
        answer = StoredMessage(f"a{number}", "assistant", "Yes", "complete", now(), run.id, trace=trace)
        ended = replace(run, status="complete")
        await store.write(turns.finish_turn, **HERE, answers=[answer], run=ended, question="Hi")
    part = await store.read(list_messages, **HERE, limit=9)
    assert [message.id for message in part] == [
        "a3",
        *(name for n in range(4, 8) for name in (f"r{n} question", f"a{n}")),
    ]
    assert [step.text for step in part[0].trace] == ["Hi"]


async def test_a_long_trace_is_cut(store: Store) -> None:
    run = await begin(store, "r", holder="h")
    trace = tuple(TraceStep(str(number), "Prompt", 0.1, f"{number} " * 1000) for number in range(100, 140))
    answer = StoredMessage("r answer", "assistant", "Yes", "complete", now(), "r", trace=trace)
    await store.write(turns.finish_turn, **HERE, answers=[answer], run=replace(run, status="complete"))
    [*_, kept] = await store.read(list_messages, **HERE)
    assert [step.component_id for step in kept.trace] == [str(number) for number in range(100, 140)]
    assert sum(len(step.text) for step in kept.trace) == 32_000
