"""Processes that stand still under load, one beside another or all of a computer that sleeps, and go on."""

import itertools
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.faults.found import Found
from bench.faults.kills import FLOWS
from bench.faults.load import Clients, Listeners
from bench.faults.stored import check_whole, count_runs, list_running, look
from tests.servers import AppServer

_SECONDS = 30.0
_NIGHT = 8 * 3600
"""Seconds that the wall clock goes ahead while a computer sleeps."""
_LEAST_LOOKED = 0.5
"""Seconds for which the second process is asked, once it has started anew."""
_UNDER_WAY = 3.0
"""Seconds after which something of each answer is kept."""


def stop_one(
    folder: Path, database: str, *, rounds: int = 1, seconds: float = _SECONDS, limits: Mapping[str, Any] | None = None
) -> Found:
    """SIGSTOP for 30 s under load, beside a second process.

    That one starts anew meanwhile, and is asked for the first one's runs all the time.
    """
    with _open_two(folder, database, limits or {}) as (first, second):
        token, seen, wrong = first.token("faults"), Counter[str](stops=rounds), Counter[str]()
        clients = Clients(first, token)
        for _ in range(rounds):
            listeners = Listeners(first, token)
            with _loaded(clients, [listeners]), _stopped([first]):
                _let_go(first, database)
                held, end = list_running(database), time.monotonic() + seconds
                second.kill()
                second.start()
                end = max(end, time.monotonic() + _LEAST_LOOKED)
                for run in itertools.cycle(held):
                    told = _ask(second, token, run)
                    seen["looks at a run of the stopped process"] += 1
                    wrong["runs called dead"] += told != "running"
                    if time.monotonic() > end:
                        break
                    time.sleep(0.02)
            _count(listeners, seen, wrong)
        return _sum_up(database, clients, seen, wrong)


def stop_both(
    folder: Path, database: str, *, rounds: int = 2, seconds: float = _SECONDS, limits: Mapping[str, Any] | None = None
) -> Found:
    """Both processes stand still for 30 s, and the wall clock goes eight hours ahead or back."""
    with (
        _Clock.open(folder / "clock") as clock,
        _open_two(folder, database, limits or {}, clock.environment) as servers,
    ):
        token, seen, wrong = servers[0].token("faults"), Counter[str](sleeps=rounds), Counter[str]()
        clients = Clients(servers[0], token)
        for number in range(rounds):
            listeners = [Listeners(server, token) for server in servers]
            with _loaded(clients, listeners), _stopped(servers):
                time.sleep(seconds)
                clock.move(_NIGHT if number % 2 == 0 else -_NIGHT)
            for each in listeners:
                _count(each, seen, wrong)
        seen["hours that the clock moved"] = clock.moved * _NIGHT // 3600
        return _sum_up(database, clients, seen, wrong)


@contextmanager
def _open_two(
    folder: Path, database: str, limits: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[list[AppServer]]:
    (folder / "data").mkdir(exist_ok=True)
    config = {"database": database, "limits": dict(limits)}
    with ExitStack() as stack:
        yield [
            stack.enter_context(AppServer(folder / name, flows=FLOWS, config=config, environment=environment))
            for name in ("first", "second")
        ]


@contextmanager
def _loaded(clients: Clients, listeners: list[Listeners]) -> Iterator[None]:
    """Load that has gone on for a while when the block begins, and has its ends after it."""
    for each in listeners:
        each.start()
    clients.start()
    time.sleep(_UNDER_WAY)
    yield
    for each in listeners:
        each.wait()
    clients.stop()


@contextmanager
def _stopped(servers: list[AppServer]) -> Iterator[None]:
    for server in servers:
        os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for server in servers:
            os.kill(server.pid, signal.SIGCONT)


def _let_go(server: AppServer, database: str) -> None:
    """Stops the process at another moment where it was stopped in the middle of a write, or while it emptied the log:
    SQLite lets one process do so at a time, and nobody could start then."""
    while database.startswith("sqlite:///") and _is_locked(Path(database.removeprefix("sqlite:///"))):
        os.kill(server.pid, signal.SIGCONT)
        time.sleep(0.01)
        os.kill(server.pid, signal.SIGSTOP)


def _is_locked(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0.2)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
            is_busy, *_ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.OperationalError:
            return True
        return bool(is_busy)


def _ask(server: AppServer, token: str, run: str) -> str:
    """A run's status, as the server tells it."""
    answer = requests.get(f"{server.url}/api/v1/runs/{run}", headers={"x-api-key": token}, timeout=60)
    return str(answer.json().get("status", answer.status_code))


def _count(listeners: Listeners, seen: Counter[str], wrong: Counter[str]) -> None:
    seen["answers under way"] += len(listeners.heard)
    for answer, heard in listeners.heard.items():
        is_whole = heard.count(before=time.monotonic()) == 200 and listeners.ended.get(answer) == "end"
        wrong["answers that did not come whole"] += not is_whole


def _sum_up(database: str, clients: Clients, seen: Counter[str], wrong: Counter[str]) -> Found:
    runs = count_runs(database)
    wrong["runs called dead"] += runs.pop("interrupted", 0)
    wrong["runs that failed"] += sum(runs.values()) - runs.pop("complete", 0)
    wrong["requests that failed"] += len(clients.failed)
    wrong["mistakes in the database"] += check_whole(database)
    seen["runs acknowledged"] = len(clients.acknowledged)
    return Found(seen, {**wrong, **look(database, clients.acknowledged)})


@dataclass
class _Clock:
    """A wall clock that can be moved under processes with this environment; without a C compiler it stays."""

    environment: Mapping[str, str]
    _file: Path
    moved: int = 0
    """How often."""

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> "Iterator[_Clock]":
        folder.mkdir()
        file, library = folder / "ahead", folder / "clock.so"
        file.write_bytes(struct.pack("l", 0))
        if shutil.which("cc") is None:
            yield cls({}, file)
            return
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        yield cls({"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(file)}, file)

    def move(self, seconds: int) -> None:
        """Ahead or back."""
        if self.environment:
            with self._file.open("r+b") as opened:
                ahead = struct.unpack("l", opened.read())[0] + seconds
                opened.seek(0)
                opened.write(struct.pack("l", ahead))
            self.moved += 1
