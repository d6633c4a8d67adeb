"""Runs whose process died get their end from whoever meets them; runs of processes that live never do."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Connection

from flowground import store as process_locks
from flowground.core.errors import StoreUnavailable
from flowground.runs.running import Interruptions
from flowground.store import Store
from flowground.store.runs import conversations, erasing, progress, requests
from tests.database_line import DatabaseLine
from tests.run_rows import HERE, begin, contents, eventually, has_status, keep, said, statuses
from tests.store_databases import SERVER, empty_database
from tests.stored import list_sessions

pytestmark = pytest.mark.anyio


@contextmanager
def process_that_holds(url: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process with its lock, and what it is called."""
    code = (
        "import sys, time; from flowground.store import Store; store = Store.open(sys.argv[1]);"
        "store.process.acquire(); print(store.process.id, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


async def find_dead(store: Store, holder: str) -> list[str]:
    return await store.read(store.process.find_dead, holders=[holder])


async def test_only_runs_of_dead_processes_are_ended(store: Store, url: str) -> None:
    with process_that_holds(url) as (dies, dead), process_that_holds(url) as (stays, alive):
        interruptions = Interruptions(store)
        await interruptions.start()
        for run_id, holder in (("dead", dead), ("alive", alive), ("mine", store.process.id)):
            await begin(store, run_id, holder=holder)
        await keep(store, "dead", {"dead answer": "So far"})
        os.kill(stays.pid, signal.SIGSTOP)  # a stopped process still holds its lock
        await interruptions.end_left_runs()
        running = ("running", None)
        assert await statuses(store) == dict.fromkeys(("dead", "alive", "mine"), running)
        dies.kill()
        dies.wait()
        expected = {"dead": ("interrupted", "interrupted"), "alive": running, "mine": running}

        async def is_ended() -> bool:
            return await statuses(store) == expected

        await eventually(is_ended)  # nobody asked for it
        await interruptions.close()
    assert await statuses(store) == expected
    assert ("dead answer", "So far", "interrupted") in await said(store)


async def test_who_comes_right_after_a_start_finds_no_run_of_a_dead_process(store: Store, url: str) -> None:
    with process_that_holds(url) as (dies, dead):
        await begin(store, "left", holder=dead)
        dies.kill()
        dies.wait()
    interruptions = Interruptions(store)
    await interruptions.start()
    found = await statuses(store)
    await interruptions.close()
    assert found == {"left": ("running", None) if store.process.confirm_seconds else ("interrupted", "interrupted")}


async def test_on_postgresql_processes_are_told_what_is_asked_and_written(store: Store) -> None:
    interruptions, told = Interruptions(store), list[str]()
    interruptions.on_notice = told.append
    await interruptions.start()
    await begin(store, "r", holder="h")
    assert await store.write(requests.ask_stop, run_id="r", kind="own", by="")
    await keep(store, "r", {"r answer": "So"})
    await store.write(requests.follow, runs=["r", "s"])
    if store.process.find_descriptor() is not None:

        async def has_all() -> bool:
            return told.count("asked h") == 2 and "began " in told

        await eventually(has_all)
    await interruptions.close()
    assert bool(told) == (store.process.find_descriptor() is not None)


async def test_a_start_ends_what_the_process_before_left(store: Store) -> None:
    run = await begin(store, "r", holder="a process of before")
    interruptions = Interruptions(store)
    await interruptions.start()
    await eventually(lambda: has_status(store, "interrupted"))
    await interruptions.close()
    assert await statuses(store) == {run.id: ("interrupted", "interrupted")}


async def test_a_look_that_failed_is_made_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no process came or went meanwhile."""
    await begin(store, "r", holder="a process of before")
    interrupt, tries = progress.interrupt_runs, 0

    def fail_once(connection: Connection, **given: Any) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise StoreUnavailable
        return interrupt(connection, **given)

    monkeypatch.setattr(progress, "interrupt_runs", fail_once)
    interruptions = Interruptions(store)
    await interruptions.start()
    await eventually(lambda: has_status(store, "interrupted"))
    await interruptions.close()
    assert tries > 1


async def test_processes_may_ask_the_same_at_once(store: Store, url: str) -> None:
    await begin(store, "r", holder="h")
    other = Store.open(url)
    for _ in range(20):
        await asyncio.gather(*(each.write(requests.follow, runs=["r"]) for each in (store, other)))
        stops = (each.write(requests.ask_stop, run_id="r", kind="own", by="") for each in (store, other))
        assert all(await asyncio.gather(*stops))
    await asyncio.to_thread(other.close)


async def test_each_decision_has_its_own_outcome(store: Store) -> None:
    await begin(store, "r", holder="h")
    first, second = (requests.PassedDecision("r", 1, "digest", decision) for decision in ("once", "refuse"))
    for passed in (first, second):  # the second comes while the first is taken
        await store.write(requests.pass_on, passed=passed)
    await store.write(requests.note_outcomes, outcomes={first: "taken"})
    assert await store.read(requests.read_outcome, passed=second) is None
    assert (await store.read(requests.read_orders, holder="h")).decisions == [second]


async def test_what_was_said_so_far_stays_as_the_answer(store: Store) -> None:
    await begin(store, "r", holder="gone")
    await keep(store, "r", {"r first": "", "r second": "Hello \x00 👋"})
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 1
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 0
    assert await store.read(contents) == []
    assert await said(store) == [("r question", "Hi", "complete"), ("r second", "Hello � 👋", "interrupted")]
    [session] = await store.read(list_sessions, flow_id="echo", owner="member:ada")
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


async def test_what_an_interrupted_answer_said_is_shown_to_the_model(store: Store) -> None:
    await begin(store, "r", holder="gone")
    await keep(store, "r", {"answer": "So far"})
    await store.write(progress.interrupt_runs, holders=["gone"])
    history = await store.read(conversations.read_history, **HERE, before=None, limit=10)
    assert [message.text for message in history] == ["Hi", "So far"]


async def test_a_deleted_conversation_stays_deleted(store: Store) -> None:
    await begin(store, "r", holder="gone")
    await keep(store, "r", {"r first": "secret"})
    assert "secret" in str(await store.read(contents))
    await store.erase(erasing.erase_conversation, **HERE)
    assert await store.read(contents) == []
    await keep(store, "r", {"r first": "secret"})
    assert await store.write(progress.interrupt_runs, holders=["gone"]) == 1
    assert await said(store) == []
    assert await store.read(contents) == []


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
