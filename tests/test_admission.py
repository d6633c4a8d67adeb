"""A process takes so many runs at once, lets as many wait in line, and tells the rest when to come back."""

import asyncio
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
import requests

from flowground.core.errors import ServerBusy
from flowground.runs.admission import Admission
from tests.raw_client import RawClient, reset
from tests.running import chat_flow
from tests.servers import AppServer, shipped_flow
from tests.waiting import eventually

FLOWS = {"echo": shipped_flow("echo"), "silent": chat_flow("scripted:silent"), "slow": chat_flow("scripted:slow")}


class Crowd:
    """Clients of one server that takes few runs."""

    def __init__(self, server: AppServer) -> None:
        self.server, self.raw = server, RawClient(server)
        self._pool = ThreadPoolExecutor(40)

    @contextmanager
    def fill(self, places: int, query: str = "") -> Iterator[None]:
        """So many runs that never end by themselves; they have begun."""
        with ExitStack() as clients:
            for _ in range(places):
                clients.enter_context(self.raw.sent(self.raw.request("silent", query)))
            eventually(lambda: self.count("running") == places)
            yield

    def count(self, status: str) -> int:
        with closing(sqlite3.connect(self.server.folder / "data" / "flowground.db")) as database:
            found = database.execute("SELECT count(*) FROM runs WHERE status = ?", (status,)).fetchone()
            return int(found[0])

    def run(self, flow: str = "echo", query: str = "", *, timeout: float = 60) -> requests.Response:
        headers = {"x-api-key": self.raw.key}
        url = f"{self.server.url}/api/v1/run/{flow}{query}"
        return requests.post(url, json={"input_value": "hi"}, headers=headers, timeout=timeout)

    def wait_in_line(self) -> "Future[requests.Response]":
        """A run that waits where there is room for one that does."""
        asked = [self.run_beside()]

        def is_waiting() -> bool:
            if asked[-1].done():  # `is_full` had taken the room
                asked.append(self.run_beside())
            return self.is_full() and not asked[-1].done()

        eventually(is_waiting)
        return asked[-1]

    def is_full(self, query: str = "") -> bool:
        """Whether one more is refused; one that is not leaves the line again."""
        try:
            return self.run("echo", query, timeout=1).status_code == 503
        except requests.Timeout:
            return False

    def run_beside(self, flow: str = "echo", query: str = "") -> "Future[requests.Response]":
        return self._pool.submit(self.run, flow, query)


def serve(folder: Path, **limits: float) -> AppServer:
    return AppServer(folder, flows=FLOWS, config={"limits": {"resume_seconds": 0.2} | limits})


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
def test_who_finds_places_and_line_full_is_told_when_to_come_back_and_all_others_get_answers(
    tmp_path: Path, query: str
) -> None:
    with serve(tmp_path, runs_at_once=2) as server:
        crowd = Crowd(server)
        with crowd.fill(2):
            asked = [crowd.run_beside(query=query) for _ in range(5)]
            eventually(lambda: sum(answer.done() for answer in asked) == 3)
            refused = [answer.result() for answer in asked if answer.done()]
            assert [answer.status_code for answer in refused] == [503] * 3
            for answer in refused:
                assert answer.json()["code"] == "server_busy"
                assert int(answer.headers["retry-after"]) >= 1
                assert answer.json()["hint"] == f"Try again in {answer.headers['retry-after']} s."
            assert crowd.count("complete") == 0
        answers = [answer.result() for answer in asked]
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503, 503]
        assert [b"hi" in answer.content for answer in answers if answer.ok] == [True, True]
        assert crowd.count("complete") == 2
        # What was held is given back: as many as before are taken again.
        with crowd.fill(2):
            assert crowd.count("running") == 2


def test_a_crowd_of_accepted_runs_completes(tmp_path: Path) -> None:
    with serve(tmp_path, runs_at_once=16) as server:
        crowd = Crowd(server)
        asked = [crowd.run_beside("slow", query) for query in ("", "?stream=true", "?stream=sse") for _ in range(10)]
        assert [answer.result().status_code for answer in asked] == [200] * 30
        assert (crowd.count("complete"), crowd.count("failed")) == (30, 0)


async def test_who_waited_as_long_as_they_may_is_told_too() -> None:
    admission = Admission(1, seconds=0.01)
    await admission.acquire()
    with pytest.raises(ServerBusy):
        await admission.acquire()
    admission.release()
    await admission.acquire()


@pytest.mark.parametrize("query", ["", "?stream=true", "?stream=sse"])
def test_who_leaves_the_line_frees_their_place_in_it(tmp_path: Path, query: str) -> None:
    with serve(tmp_path, runs_at_once=1) as server:
        crowd = Crowd(server)
        with crowd.fill(1):
            assert not crowd.is_full(query)  # that one waited in line, and left
            eventually(lambda: not crowd.is_full(query))
            waiting = crowd.wait_in_line()
        assert waiting.result().status_code == 200
        assert crowd.count("failed") == 0


def test_who_waits_when_the_process_ends_is_told_at_once(tmp_path: Path) -> None:
    with serve(tmp_path, runs_at_once=1, shutdown_seconds=0.2) as server:
        crowd = Crowd(server)
        with crowd.fill(1):
            waiting = crowd.wait_in_line()
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            answer = waiting.result()
            assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
            server.stop()
        assert crowd.count("running") == 0


def test_refused_requests_and_failed_runs_hold_no_place(tmp_path: Path) -> None:
    with serve(tmp_path, runs_at_once=1) as server:
        crowd = Crowd(server)
        headers = {"x-api-key": crowd.raw.key}
        for query in ("", "?stream=true", "?stream=sse"):
            for body in ({"tweaks": {"Nobody": {"x": 1}}}, {"output_component": "Nobody"}, {"input_type": "voice"}):
                requests.post(f"{server.url}/api/v1/run/slow{query}", json=body, headers=headers, timeout=20)
            with crowd.raw.sent(crowd.raw.request("slow", query)) as leaving:
                reset(leaving)
            assert eventually(lambda: crowd.run("echo", query).status_code == 200)  # noqa: B023 - called at once


async def test_a_place_goes_to_who_waited_longest() -> None:
    admission = Admission(1, seconds=60)
    await admission.acquire()
    came: list[str] = []

    async def wait(name: str) -> None:
        await admission.acquire()
        came.append(name)
        admission.release()

    first = asyncio.create_task(wait("first"))
    await asyncio.sleep(0)
    with pytest.raises(ServerBusy):
        await admission.acquire()
    first.cancel()
    await asyncio.wait([first])
    second = asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    admission.release()
    second.cancel()  # it has the place, and does not know yet
    await asyncio.wait([second])
    assert came == []
    await wait("third")
    assert came == ["third"]


async def test_nobody_takes_every_place_or_the_whole_line() -> None:
    admission = Admission(200, seconds=60)

    async def settle() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    async def crowd(whose: str, runs: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(admission.acquire(whose=whose)) for _ in range(runs)]
        await settle()
        return tasks

    def count(tasks: list[asyncio.Task[None]]) -> tuple[int, int]:
        """How many have a place, and how many were told to come back."""
        done = [task.exception() for task in tasks if task.done()]
        return done.count(None), sum(isinstance(error, ServerBusy) for error in done)

    eve = await crowd("eve", 500)
    assert count(eve) == (101, 298), "the other 101 of hers wait"
    mia = await crowd("mia", 60)
    assert (count(mia), count(await crowd("max", 1))) == ((50, 0), (1, 0))
    for _ in range(20):
        admission.release("eve")
    await settle()
    assert (count(eve), count(mia)) == ((101, 298), (60, 0)), "who has more than a share waits, also at the head"
    admission.close()
    await asyncio.gather(*eve, return_exceptions=True)
