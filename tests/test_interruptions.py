"""Runs whose process died get their end from whoever meets them; runs of processes that live never do."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Connection, select

from flowground.errors import StoreUnavailable
from flowground.interruptions import Interruptions
from flowground.running import RunningRuns
from flowground.store import Store, tables
from flowground.store.database import process_locks
from flowground.store.database.jobs import Job
from flowground.store.runs import conversations, progress, turns
from flowground.store.runs.progress import TextsSoFar
from flowground.store.runs.records import RunRecord, StoredMessage, TraceStep
from tests.database_line import DatabaseLine
from tests.store_databases import SERVER, empty_database
from tests.stored import list_runs

pytestmark = pytest.mark.anyio
HERE: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada", "session_id": "s"}


def now() -> datetime:
    return datetime.now(UTC)


async def begin(store: Store, run_id: str, *, holder: str) -> RunRecord:
    """A run that has said nothing yet."""
    run = RunRecord(run_id, "echo", "v", "member:ada", "s", "running", now(), 0, holder=holder)
    question = StoredMessage(f"{run_id} question", "user", "Hi", "complete", now(), run_id)
    await store.write(turns.begin_turn, **HERE, message=question, run=run)
    return run


async def keep(store: Store, run_id: str, answers: dict[str, str]) -> None:
    await store.write(progress.keep_texts, texts=[TextsSoFar(run_id, **HERE, answers=answers)])


async def said(store: Store) -> list[tuple[str, str, str]]:
    """Of all messages id, text and state."""
    return [(m.id, m.text, m.state) for m in await store.read(conversations.list_messages, **HERE)]


async def statuses(store: Store) -> dict[str, tuple[str, str | None]]:
    return {run.id: (run.status, run.error_code) for run in await store.read(list_runs, flow_id="echo")}


@contextmanager
def process_that_holds(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process with its lock, and what it is called."""
    code = (
        "import sys, time; from flowground.store import Store; store = Store.open(sys.argv[1]);"
        "store.process.take(); print(store.process.id, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def eventually(look: Callable[[], Awaitable[object]]) -> None:
    """Returns when `look` gives something true."""
    for _ in range(600):
        if await look():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


async def find_dead(store: Store, holder: str) -> list[str]:
    return await asyncio.to_thread(store.process.find_dead, [holder])


async def test_only_runs_of_dead_processes_are_ended(store: Store, url: str) -> None:
    with process_that_holds(url) as (dies, dead), process_that_holds(url) as (stays, alive):
        interruptions = Interruptions(store)
        await interruptions.start()
        for run_id, holder in (("dead", dead), ("alive", alive), ("mine", store.process.id)):
            await begin(store, run_id, holder=holder)
        await keep(store, "dead", {"dead answer": "So far"})
        os.kill(stays.pid, signal.SIGSTOP)  # a stopped process still holds its lock
        assert await interruptions.end_left_runs() == 0
        dies.kill()
        dies.wait()
        await eventually(interruptions.end_left_runs)  # PostgreSQL notices a little later
        await interruptions.close()
    running = ("running", None)
    assert await statuses(store) == {"dead": ("interrupted", "interrupted"), "alive": running, "mine": running}
    assert ("dead answer", "So far", "interrupted") in await said(store)


async def test_a_start_ends_what_the_process_before_left(store: Store) -> None:
    run = await begin(store, "r", holder="a process of before")
    interruptions = Interruptions(store)
    await interruptions.start()
    await eventually(lambda: has_status(store, "interrupted"))
    await interruptions.close()
    assert await statuses(store) == {run.id: ("interrupted", "interrupted")}


async def test_a_process_that_was_closed_holds_nothing(store: Store, url: str) -> None:
    other = Store.open(url)
    other.process.take()
    assert store.process.find_dead([other.process.id]) == []
    other.close()
    await eventually(lambda: find_dead(store, other.process.id))


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


async def test_what_was_said_so_far_stays_as_the_answer(store: Store) -> None:
    await begin(store, "r", holder="gone")
    await keep(store, "r", {"r first": "", "r second": "Hello \x00 👋"})
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 1
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 0
    assert [row[3] for row in await store.read(contents)] == [None]
    assert await said(store) == [("r question", "Hi", "complete"), ("r second", "Hello � 👋", "interrupted")]
    [session] = await store.read(conversations.list_sessions, flow_id="echo", owner="member:ada")
    assert session.messages == 2


async def test_two_processes_that_find_the_same_dead_one_end_its_runs_once(store: Store, url: str) -> None:
    for number in range(30):
        await begin(store, f"r{number}", holder="gone")
        await keep(store, f"r{number}", {f"r{number} answer": "So far"})
    other = Store.open(url)
    ended = await asyncio.gather(*(each.write(progress.interrupt_runs, holders=["gone"]) for each in (store, other)))
    await asyncio.to_thread(other.close)
    assert max(ended) == 30
    assert [state for _, _, state in await said(store)].count("interrupted") == 30


async def test_a_run_that_said_nothing_leaves_its_question_alone(store: Store) -> None:
    for run_id in ("nothing kept", "empty"):
        await begin(store, run_id, holder="gone")
    await keep(store, "empty", {"answer": ""})
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 2
    assert [text for _, text, _ in await said(store)] == ["Hi", "Hi"]


async def test_what_an_interrupted_answer_said_is_shown_to_the_model(store: Store) -> None:
    await begin(store, "r", holder="gone")
    await keep(store, "r", {"answer": "So far"})
    await store.write(progress.interrupt_runs, holders=["gone"])
    history = await store.read(conversations.read_history, **HERE, before=None, limit=10)
    assert [message.content for message in history] == ["Hi", "So far"]


async def test_a_deleted_conversation_stays_deleted(store: Store) -> None:
    await begin(store, "r", holder="gone")
    await keep(store, "r", {"r first": "secret"})
    assert "secret" in str(await store.read(contents))
    await store.write(conversations.delete_session, **HERE)
    assert await store.read(contents) == []
    await keep(store, "r", {"r first": "secret"})
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 1
    assert await said(store) == []
    assert await store.read(contents) == []


def list_steps(connection: Connection) -> list[str]:
    steps = tables.messages.c.steps
    return [found for found in connection.scalars(select(steps).where(steps.is_not(None))) if found]


def contents(connection: Connection) -> list[Any]:
    return [tuple(row) for row in connection.execute(select(tables.run_contents))]


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
    [_, kept] = await store.read(conversations.list_messages, **HERE)
    assert (kept.model, kept.trace) == ("m", trace)
    assert await statuses(store) == {"r": ("interrupted", "finished_late")}
    [session] = await store.read(conversations.list_sessions, flow_id="echo", owner="member:ada")
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
    [*_, kept] = await store.read(conversations.list_messages, **HERE)
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
    part = await store.read(conversations.list_messages, **HERE, limit=9)
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
    [*_, kept] = await store.read(conversations.list_messages, **HERE)
    assert [step.component_id for step in kept.trace] == [str(number) for number in range(100, 140)]
    assert sum(len(step.text) for step in kept.trace) == 32_000


@dataclass
class Speaking:
    """A run that says what it is told to."""

    text: str = ""
    address: Any = field(default_factory=lambda: HERE)

    @property
    def said_chars(self) -> int:
        return len(self.text)

    def read_texts(self) -> dict[str, str]:
        return {"r answer": self.text}


async def test_the_text_of_a_run_is_kept_while_it_runs(store: Store) -> None:
    await begin(store, "r", holder="h")
    running, speaking = RunningRuns(store, seconds=0.05), Speaking()
    running.add("r", speaking)

    async def is_kept() -> bool:
        return await store.read(progress.read_texts, run_id="r") == {"r answer": speaking.text}

    assert not running.was_kept("r")
    for text in ("One", "One two"):
        speaking.text = text
        await eventually(is_kept)
    assert running.was_kept("r")
    running.discard("r")
    await running.close()


async def test_an_end_that_could_not_be_stored_is_tried_again(store: Store) -> None:
    run = await begin(store, "r", holder=store.process.id)
    running, tries = RunningRuns(store, seconds=0.02), 0

    async def write_end() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable
        await store.write(turns.end_run, run=replace(run, status="failed", error_code="store_busy"))

    running.write_later(write_end)
    await eventually(lambda: has_status(store, "failed"))
    assert (tries, await statuses(store)) == (3, {"r": ("failed", "store_busy")})
    await running.close()


async def has_status(store: Store, status: str) -> bool:
    return (await statuses(store))["r"][0] == status


def find_sessions(connection: Connection, *, process: str) -> list[int]:
    """Those of PostgreSQL that hold the process's lock."""
    key = process_locks._make_key(process) % 2**64
    wanted = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = :high AND objid = :low"
    return list(connection.scalars(sqlalchemy.text(wanted), {"high": key >> 32, "low": key % 2**32}))


@pytest.mark.skipif(not SERVER, reason="TEST_DATABASE_URL names no PostgreSQL")
async def test_a_lock_that_was_lost_is_taken_again(tmp_path: Path) -> None:
    with empty_database("postgresql", tmp_path) as url, DatabaseLine(url) as line:
        here, other = Store.open(line.url), Store.open(url)
        interruptions = Interruptions(here)
        await interruptions.start()
        for _ in range(2):
            before = await other.read(find_sessions, process=here.process.id)
            assert len(before) == 1
            line.cut()

            async def is_taken_anew(before: list[int] = before) -> bool:
                now_held = await other.read(find_sessions, process=here.process.id)
                return len(now_held) == 1 and now_held != before

            await eventually(is_taken_anew)
        await interruptions.close()
        for store in (here, other):
            await asyncio.to_thread(store.close)
