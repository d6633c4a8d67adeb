"""A database that hangs in the middle of a run's beginning or end, and comes back: its caller is told that the outcome
is not known and which run it is about, and afterwards the run's row tells the truth."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.app.live_turns import StreamTurns
from flowground.store.runs import progress
from tests.api.api_flows import FLOWS as API_FLOWS
from tests.api.calls import Api
from tests.api.serving import serving
from tests.database_line import DatabaseLine
from tests.run_rows import eventually
from tests.running import chat_flow
from tests.stored import list_runs
from tests.test_outage_process import line as line

FLOWS = {"echo": chat_flow("scripted:echo"), "slow": chat_flow("scripted:slow"), "parrot": API_FLOWS["echo"]}
QUICK = {"store_seconds": 1}
SAID = " ".join("abcdefghij")


@pytest.fixture
async def api(line: DatabaseLine, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, config={"database": line.url, "limits": QUICK}, flows=FLOWS) as opened:
        assert (await opened.run("echo", {"input_value": "x"})).status_code == 200
        yield opened
        line.go_on()


async def ask(api: Api, flow: str, query: str = "", *, key: str | None = "k") -> httpx2.Response:
    headers = {"idempotency-key": key} if key else {}
    return await api.client.post(f"/api/v1/run/{flow}{query}", json={"input_value": SAID}, headers=headers)


async def find_end(api: Api, run_id: str) -> dict[str, Any]:
    """The run once it has its end, as its caller is told."""
    for _ in range(400):
        told = await api.client.get(f"/api/v1/runs/{run_id}")
        if told.status_code == 200 and told.json()["status"] != "running":
            found: dict[str, Any] = told.json()
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(told.text)


async def wait_for_run(api: Api) -> bool:
    return bool(api.runtime.running.runs)


async def hang_at_end(api: Api, line: DatabaseLine, *, is_stored: bool, key: str | None = "k") -> httpx2.Response:
    """The answer to a run at whose end the database hangs."""
    asking = asyncio.create_task(ask(api, "slow", key=key))
    await eventually(lambda: wait_for_run(api))
    line.hang_at_commit_of(SAID, is_stored=is_stored)
    return await asking


def read_run_id(told: httpx2.Response) -> str:
    assert (told.status_code, told.json()["code"]) == (503, "unknown_outcome")
    return str(told.json()["run_id"])


@pytest.mark.parametrize("key", ["k", None])
@pytest.mark.parametrize("is_stored", [True, False])
async def test_a_beginning_that_is_not_known_ends_as_failed(
    api: Api, line: DatabaseLine, is_stored: bool, key: str | None
) -> None:
    """It was stored, and nobody drives it; or it is stored after it was given up."""
    line.hang_at_commit_of(SAID, is_stored=is_stored)
    run_id = read_run_id(await ask(api, "echo", key=key))
    line.go_on()
    told = await find_end(api, run_id)
    assert (told["status"], told["error_code"], told["answers"]) == ("failed", "unknown_outcome", [])
    again = await ask(api, "echo", key=key)  # nothing of it was done: its key is free
    assert again.status_code == 200
    assert "idempotency-replayed" not in again.headers
    assert await api.runtime.store.read(progress.list_holders) == []


@pytest.mark.parametrize("query", ["?stream=true", "?stream=sse"])
async def test_a_stream_names_the_run_whose_beginning_is_not_known(api: Api, line: DatabaseLine, query: str) -> None:
    line.hang_at_commit_of(SAID, is_stored=True)
    told = await ask(api, "echo", query, key=None)
    line.go_on()
    assert told.status_code == (503 if "sse" in query else 200)
    assert "unknown_outcome" in told.text
    run_id = told.headers["flowground-run-id"]
    assert f'"{run_id}"' in told.text
    assert (await find_end(api, run_id))["status"] == "failed"


async def test_an_end_that_was_stored_though_nobody_said_so_is_the_answer(api: Api, line: DatabaseLine) -> None:
    run_id = read_run_id(await hang_at_end(api, line, is_stored=True))
    line.go_on()
    told = await find_end(api, run_id)
    assert (told["status"], told["error_code"]) == ("complete", None)
    assert told["answers"][0]["text"] == f"You said: {SAID}"
    api.runtime._stream_turns = StreamTurns()
    again = await ask(api, "slow", "?shape=simple")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    assert again.json()["text"] == f"You said: {SAID}"


async def test_an_end_that_was_not_stored_is_a_failure_with_what_was_said(api: Api, line: DatabaseLine) -> None:
    run_id = read_run_id(await hang_at_end(api, line, is_stored=False))
    line.cut()
    line.go_on()
    told = await find_end(api, run_id)
    assert told["answers"][0]["text"] == f"You said: {SAID}"
    if told["status"] == "complete":  # the cut came after the late COMMIT had passed
        return
    assert (told["status"], told["error_code"], told["answers"][0]["state"]) == ("failed", "unknown_outcome", "failed")
    api.runtime._stream_turns = StreamTurns()
    again = await ask(api, "slow")
    assert (again.status_code, again.json()["code"], again.json()["run_id"]) == (503, "unknown_outcome", run_id)
    assert len(await api.runtime.store.read(list_runs, flow_id="slow")) == 1


async def test_a_page_or_program_asks_for_a_run_that_was_never_stored(api: Api, line: DatabaseLine) -> None:
    """Nothing of it reached the database: it is there as one that failed, or not at all, and its key is free."""
    line.hang()
    told = await ask(api, "echo")
    line.cut()
    line.go_on()
    assert told.status_code == 503
    for _ in range(400):
        again = await ask(api, "echo")
        if again.status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert again.status_code == 200
    assert "idempotency-replayed" not in again.headers
    if run_id := told.json().get("run_id"):
        assert (await find_end(api, run_id))["error_code"] == "unknown_outcome"


@pytest.mark.parametrize("flow", ["slow", "parrot"])
async def test_a_locked_file_at_the_end_leaves_a_failure_that_is_told_again(tmp_path: Path, flow: str) -> None:
    async with serving(tmp_path, config={"limits": QUICK}, flows=FLOWS) as api:
        assert (await api.run("echo", {"input_value": "x"})).status_code == 200
        other = sqlite3.connect(tmp_path / "data" / "flowground.db", isolation_level=None)
        write = api.runtime.store.write

        async def lock_then_write(job: Callable[..., Any], **given: Any) -> Any:
            if "finish" in job.__name__ and not other.in_transaction:
                other.execute("BEGIN IMMEDIATE")
            return await write(job, **given)

        api.runtime.store.write = lock_then_write  # type: ignore[method-assign,assignment]  # the test puts its own in its place
        told = await ask(api, flow)
        assert told.status_code == 503
        run_id = told.json()["run_id"]
        api.runtime.store.write = write  # type: ignore[method-assign]  # and back
        other.execute("ROLLBACK")
        other.close()
        end = await find_end(api, run_id)
        assert end["answers"][0]["text"].endswith(SAID)
        api.runtime._stream_turns = StreamTurns()
        again = await ask(api, flow)
        if end["status"] == "complete":  # it waited in the queue, and was stored once the lock was given back
            assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        elif flow == "slow":
            assert (again.status_code, again.content) == (told.status_code, told.content)
        else:  # no model was asked: it runs
            assert (again.status_code, "idempotency-replayed" in again.headers) == (200, False)
