"""What a repeated request costs: a request of the minute, and no run."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from flowground.runtime import repeats
from flowground.store import tables
from tests.api.calls import Api
from tests.api.repeated_requests import KEPT, ask, forget_turns
from tests.api.serving import serving
from tests.api.test_runs import find_running
from tests.stored import list_runs

pytestmark = pytest.mark.anyio
SAID = " ".join(["word"] * 60)
"""What `slow` answers for three seconds: long enough for the requests beside it."""


@pytest.fixture
async def kept(tmp_path: Path, url: str) -> AsyncIterator[Api]:
    """The API on each of the two databases."""
    async with serving(tmp_path, config={"database": url}, flows=KEPT) as opened:
        yield opened


async def test_a_repeat_takes_no_place_and_its_run_does(tmp_path: Path) -> None:
    config = {"limits": {"runs_at_once": 1, "queue_seconds": 0}}
    async with serving(tmp_path, config=config, flows=KEPT) as full:
        first = asyncio.create_task(ask(full, "slow", "?stream=true", input_value=SAID))
        await find_running(full, "You said: ")
        refused = await ask(full, "echo", key="other")
        assert (refused.status_code, refused.json()["code"]) == (503, "server_busy")
        again = await ask(full, "slow", input_value=SAID)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert (await first).status_code == 200
        assert (await ask(full, "echo", key="other")).status_code == 200
        assert (await ask(full, "slow", input_value=SAID)).status_code == 200
        assert (await ask(full, "echo", key="third")).status_code == 200


async def test_a_repeat_counts_as_a_request_of_the_minute(tmp_path: Path) -> None:
    config = {"limits": {"runs_per_minute": 4}}
    async with serving(tmp_path, config=config, flows=KEPT) as limited:
        told = [await ask(limited, "echo", key=key) for key in ("k", "k", "k", "other", "k", "third")]
        assert [answer.status_code for answer in told] == [200, 200, 200, 200, 429, 429]
        assert [answer.headers.get("idempotency-replayed") for answer in told[:4]] == [None, "true", "true", None]
        left = [answer.headers["x-ratelimit-remaining"] for answer in told[:4]]
        assert left == ["3", "2", "1", "0"]


async def test_those_that_came_at_once_count_as_requests_too(tmp_path: Path) -> None:
    config = {"limits": {"runs_per_minute": 20}}
    async with serving(tmp_path, config=config, flows=KEPT) as limited:
        await asyncio.gather(*(ask(limited, "slow") for _ in range(20)))
        assert (await ask(limited, "echo")).status_code == 429


@pytest.mark.parametrize("limit", [{"runs_at_once": 1}, {"tokens_per_day": 1}])
@pytest.mark.parametrize("whose", ["person", "flow"])
async def test_a_repeat_is_no_run_at_once_and_none_of_the_day(
    tmp_path: Path, whose: str, limit: dict[str, int]
) -> None:
    async with serving(tmp_path, config={"limits": {whose: limit}}, flows=KEPT) as limited:
        first = asyncio.create_task(ask(limited, "slow", "?stream=sse", input_value=SAID))
        await find_running(limited, "You said: ")
        if "tokens_per_day" in limit:
            await first
        refused = await ask(limited, "slow", key="other")
        assert (refused.status_code, refused.json()["code"] in ("runs_at_once", "daily_limit_reached")) == (429, True)
        again = await ask(limited, "slow", input_value=SAID)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
        assert (await first).status_code == 200


async def test_few_repeats_of_one_person_wait_for_a_run_that_cannot_be_followed(
    kept: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repeats, "_MOST_WAITING", 2)
    _, theirs = await kept.token()
    first = asyncio.create_task(ask(kept, "long"))
    run = await find_running(kept, "")
    other = asyncio.create_task(ask(kept, "long", headers=theirs))
    await find_running(kept, "", besides=run)
    forget_turns(kept)
    waiting = [asyncio.create_task(ask(kept, "long")) for _ in range(4)]
    for _ in range(200):
        if sum(task.done() for task in waiting) == 2:
            break
        await asyncio.sleep(0.02)
    refused = [task.result() for task in waiting if task.done()]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "run_unfinished")] * 2
    theirs_again = asyncio.create_task(ask(kept, "long", headers=theirs))
    await asyncio.sleep(0.5)
    assert not theirs_again.done()
    for found in await kept.runtime.store.read(list_runs, flow_id="long"):
        await kept.runtime.running.stop(found.id)
    answers = await asyncio.gather(first, other, theirs_again, *waiting)
    assert sorted(answer.status_code for answer in answers) == [409] * 7
    assert sum(answer.json()["code"] == "run_stopped" for answer in answers) == 5


async def test_a_run_without_a_key_asks_the_store_nothing_more(kept: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await kept.run("spoken", {"input_value": "x"})).status_code == 200
    asked: list[str] = []
    read, write = kept.runtime.store.read, kept.runtime.store.write

    async def note(how: Any, job: Any, **given: Any) -> Any:
        asked.append(job.__name__)
        return await how(job, **given)

    monkeypatch.setattr(kept.runtime.store, "read", lambda job, **given: note(read, job, **given))
    monkeypatch.setattr(kept.runtime.store, "write", lambda job, **given: note(write, job, **given))
    assert (await kept.run("spoken", {"input_value": "x"})).status_code == 200
    assert asked == ["find", "begin_turn", "finish_turn"]


async def test_what_is_kept_for_a_repeat_is_small(kept: Api) -> None:
    """Texts stand once, in their messages; the lengths of pieces in two or three characters each."""
    said = "seven letter words " * 100
    assert (await ask(kept, "spoken", "?stream=sse", input_value=said)).status_code == 200

    def read(connection: Connection) -> str:
        return str(connection.scalar(tables.run_contents.select().with_only_columns(tables.run_contents.c.receipt)))

    receipt = await kept.runtime.store.read(read)
    assert "letter" not in receipt
    assert len(json.loads(receipt)["events"]) < 10
    assert len(receipt) < 1_000 + 2 * 303
