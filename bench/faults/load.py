"""Clients that ask until they are told to stop, and clients that listen to long answers."""

import re
import threading
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass, field

import requests

from tests.servers import AppServer

_TOKEN = re.compile(rb'"chunk": "word(?P<word>\d+) ?", "id": "(?P<answer>[^"]+)"')
_END = re.compile(rb'^(?:{"event": "|event: )(end|error)')
_ENDS = {"false": "outputs", "true": '{"event": "end"', "sse": "event: end"}
"""What a whole answer has in it, by `?stream=`."""
_WAYS = tuple(_ENDS)


@dataclass
class Threads(ABC):
    """`number` of them do the same at once, each until it is over by itself."""

    server: AppServer
    token: str
    number: int
    _threads: list[threading.Thread] = field(default_factory=list, init=False)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self.do, args=(number,)) for number in range(self.number)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Returns when all are over."""
        for thread in self._threads:
            thread.join()

    @abstractmethod
    def do(self, number: int) -> None:
        """What one of them does."""


@dataclass
class Clients(Threads):
    """`number` clients, each run in a session of its own: plain, streamed in Langflow's framing, as server-sent events.

    `flow` answers at once.
    """

    number: int = 8
    flow: str = "echo"
    acknowledged: set[str] = field(default_factory=set)
    """Sessions whose whole answer came back."""
    failed: list[str] = field(default_factory=list)
    """What came back instead: status and code."""
    _starts: int = 0
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._stopped.clear()
        self._starts += 1
        super().start()

    def stop(self) -> None:
        """Lets every client end its present call."""
        self._stopped.set()
        self.wait()

    def do(self, number: int) -> None:
        with requests.Session() as client:
            client.headers["x-api-key"] = self.token
            turn, start = 0, self._starts
            while not self._stopped.wait(0.01):
                turn += 1
                self._call(client, f"{start}-{number}-{turn}", way=_WAYS[turn % len(_WAYS)])

    def _call(self, client: requests.Session, session: str, *, way: str) -> None:
        address = f"{self.server.url}/api/v1/run/{self.flow}?stream={way}"
        body = {"input_value": session, "session_id": session}
        try:
            response = client.post(address, json=body, timeout=60)
            said = response.text
        except requests.RequestException:
            return  # the process was killed: nothing was acknowledged
        if response.status_code == 200 and _ENDS[way] in said:
            self.acknowledged.add(session)
        else:
            self.failed.append(f"{response.status_code} {said[-200:]}")


@dataclass
class Heard:
    """What was heard of one answer, and when: (monotonic, words), counted from 1."""

    words: list[tuple[float, int]] = field(default_factory=list)

    def count(self, *, before: float) -> int:
        """Words that were heard before then."""
        return max((number for at, number in self.words if at < before), default=0)


@dataclass
class Listeners(Threads):
    """`number` clients that listen to answers of ten seconds, in both framings."""

    number: int = 4
    heard: dict[str, Heard] = field(default_factory=dict)
    """By the answer's id."""
    ended: dict[str, str] = field(default_factory=dict)
    """How each answer ended that came to its end: "end", or what came instead."""

    def do(self, number: int) -> None:
        address = f"{self.server.url}/api/v1/run/slow?stream={('sse', 'true')[number % 2]}"
        answer = ""
        with suppress(requests.RequestException):
            call = requests.post(address, json={}, headers={"x-api-key": self.token}, stream=True, timeout=90)
            for line in call.iter_lines(chunk_size=1):
                if piece := _TOKEN.search(line):
                    answer = piece["answer"].decode()
                    heard = self.heard.setdefault(answer, Heard())
                    heard.words.append((time.monotonic(), int(piece["word"])))
                elif end := _END.search(line):
                    self.ended[answer] = end[1].decode()
