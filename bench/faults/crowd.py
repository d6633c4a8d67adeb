"""More clients than a process takes runs at once."""

import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import requests

from bench.faults.found import Found
from bench.faults.load import Threads
from bench.faults.stored import count_runs, look, sqlite_of
from tests.running import chat_flow
from tests.servers import AppServer

_CLIENTS = 128
_LIMITS = {"runs_at_once": 16}
_PAUSE = 0.2
"""Seconds until a client that was sent away asks again: sooner than it was told."""


def crowd(rounds: int) -> Found:
    """128 clients ask a process that takes 16 runs at once and lets 16 wait."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flows = {"slow": chat_flow("scripted:slow", "Slow")}
        with AppServer(folder, flows=flows, config={"limits": _LIMITS}) as server:
            asking = _Crowd(server, server.token("faults"), seconds=rounds)
            asking.start()
            asking.wait()
        runs, stored = count_runs(sqlite_of(folder)), look(sqlite_of(folder), asking.acknowledged)
    accepted = sum(runs.values())
    asking.wrong["accepted runs that failed"] = accepted - runs.get("complete", 0)
    asking.wrong["runs that nobody was told of"] = accepted - len(asking.acknowledged)
    asking.seen["runs acknowledged"] = len(asking.acknowledged)
    return Found(asking.seen, {**asking.wrong, **stored})


@dataclass
class _Crowd(Threads):
    number: int = _CLIENTS
    seconds: float = 0
    acknowledged: set[str] = field(default_factory=set)
    """Sessions."""
    seen: Counter[str] = field(default_factory=lambda: Counter(clients=_CLIENTS))
    wrong: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def do(self, number: int) -> None:
        turn, end = 0, time.monotonic() + self.seconds
        while time.monotonic() < end:
            turn += 1
            session = f"{number}-{turn}"
            answer = requests.post(
                f"{self.server.url}/api/v1/run/slow",
                json={"input_value": "one two three", "session_id": session},
                headers={"x-api-key": self.token},
                timeout=60,
            )
            self._note(session, answer)
            if answer.status_code == 503:
                time.sleep(_PAUSE)

    def _note(self, session: str, answer: requests.Response) -> None:
        with self._lock:
            if answer.status_code == 200:
                self.acknowledged.add(session)
            elif answer.status_code == 503 and int(answer.headers.get("Retry-After", 0)) >= 1:
                self.seen["503 with Retry-After"] += 1
            else:
                self.wrong[f"answered {answer.status_code}"] += 1
