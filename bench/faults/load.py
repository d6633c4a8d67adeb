"""Clients that ask until they are told to stop, and what must be true of what they were told."""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from sqlalchemy import Engine, NullPool, create_engine, make_url, text

from tests.servers import AppServer

_STORED = text(
    "SELECT sessions.session_id, messages.role, messages.text, messages.state FROM messages "
    "JOIN sessions ON sessions.id = messages.session"
)
_ANSWERS = text("SELECT run_id, text FROM messages WHERE role = 'assistant'")
_RUNNING = text("SELECT count(*) FROM runs WHERE status = 'running'")
_COUNTED_WRONG = text(
    "SELECT count(*) FROM sessions "
    "WHERE messages <> (SELECT count(*) FROM messages AS here WHERE here.session = sessions.id)"
)


@dataclass
class Clients:
    """`number` clients, each run in a session of its own; every second one streams."""

    server: AppServer
    token: str
    number: int = 8
    acknowledged: set[str] = field(default_factory=set)
    """Sessions whose whole answer came back."""
    failed: list[str] = field(default_factory=list)
    """What came back instead: status and code."""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._stopped.clear()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(self.number)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Lets every client end its present call."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        with requests.Session() as client:
            client.headers["x-api-key"] = self.token
            turn, start = 0, self.server.pid
            while not self._stopped.wait(0.01):
                turn += 1
                self._call(client, f"{start}-{number}-{turn}", streams=turn % 2 == 0)

    def _call(self, client: requests.Session, session: str, *, streams: bool) -> None:
        address = f"{self.server.url}/api/v1/run/echo?stream={'sse' if streams else 'false'}"
        body = {"input_value": session, "session_id": session}
        try:
            response = client.post(address, json=body, timeout=60)
            said = response.text
        except requests.RequestException:
            return  # the process was killed: nothing was acknowledged
        if response.status_code == 200 and (not streams or "event: end" in said):
            self.acknowledged.add(session)
        else:
            self.failed.append(f"{response.status_code} {said[-200:]}")


@dataclass
class Listeners:
    """`number` clients that listen to answers of ten seconds; what each had heard of a run, and when."""

    server: AppServer
    token: str
    number: int = 4
    heard: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    """Run -> (monotonic, all its text until then), as it came."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._listen) for _ in range(self.number)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Returns when the server hung up on all of them."""
        for thread in self._threads:
            thread.join()

    def list_lost(self, stored: Mapping[str, str], *, killed: float) -> list[str]:
        """Runs whose stored text lacks what was heard three seconds before the process was killed."""
        lost = []
        for run, pieces in self.heard.items():
            text = "".join([text for at, text in pieces if at < killed - 3][-1:])
            if not stored.get(run, "").startswith(text):
                lost.append(run)
        return lost

    def _listen(self) -> None:
        address = f"{self.server.url}/api/v1/run/slow?stream=sse&shape=simple"
        text, run = "", ""
        with suppress(requests.RequestException):
            call = requests.post(address, json={}, headers={"x-api-key": self.token}, stream=True, timeout=60)
            for line in call.iter_lines(chunk_size=1):
                if line.startswith(b"id: "):
                    run = line[4:].decode().partition("/")[0]
                elif line.startswith(b"data: "):
                    text += json.loads(line[6:]).get("text", "")
                    self.heard.setdefault(run, []).append((time.monotonic(), text))


def read_texts(database: str) -> dict[str, str]:
    """Run -> the text of its answers, of all that are stored."""
    with _open(database).connect() as connection:
        return {row.run_id: row.text for row in connection.execute(_ANSWERS)}


def count_running(database: str) -> int:
    with _open(database).connect() as connection:
        return int(connection.execute(_RUNNING).scalar_one())


def _open(database: str) -> Engine:
    url = make_url(database)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return create_engine(url, poolclass=NullPool)


def look(database: str, clients: Clients) -> Mapping[str, int]:
    """Counts of what must not be; all of them are to be 0."""
    with _open(database).connect() as connection:
        rows = connection.execute(_STORED).all()
        wrong = connection.execute(_COUNTED_WRONG).scalar_one()
    answers = [row.session_id for row in rows if row.role == "assistant" and row.state == "complete"]
    return {
        "acknowledged and lost": len(clients.acknowledged - set(answers)),
        "stored twice": len(answers) - len(set(answers)),
        "session counters wrong": wrong,
    }


def sqlite_of(folder: Path) -> str:
    return f"sqlite:///{folder}/data/flowground.db"
