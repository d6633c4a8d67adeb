"""Pages on which a question waits for its answer, and what they show of it once another process serves."""

import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import requests
from websockets.exceptions import WebSocketException

from bench.faults.load import Heard
from bench.faults.stored import find_session
from tests.browser import Browser
from tests.chat_socket import open_chat
from tests.servers import AppServer

_WORD = re.compile(rb"word(\d+)")


@dataclass
class Pages:
    """`number` pages of a person's, each with a question to the flow `slow`, whose answer takes ten seconds."""

    server: AppServer
    number: int = 3
    heard: dict[str, Heard] = field(default_factory=dict)
    """By the question."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._talk, args=(n,)) for n in range(self.number)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Returns when the server hung up on all of them, or each has its answer."""
        for thread in self._threads:
            thread.join()

    def count_wrong(self, database: str, *, lost_at: float) -> Mapping[str, int]:
        """What the pages of the server that runs now show wrongly; `lost_at` is when the one before was killed."""
        found = {"pages": 0, "pages without what they showed": 0, "pages that wait or offer nothing": 0}
        browser = Browser(self.server.url)
        for question, heard in self.heard.items():
            if (session := find_session(database, question)) is None:
                found["pages without what they showed"] += bool(heard.words)
                continue
            with open_chat(browser, "slow") as page:
                shown = page.show(session)
            found["pages"] += 1
            last = shown["messages"][-1]
            words = {int(number) for number in _WORD.findall(last["text"].encode())}
            found["pages without what they showed"] += heard.count(before=lost_at - 3) > max(words, default=0)
            found["pages that wait or offer nothing"] += bool(shown["running"]) or last["state"] != "interrupted"
        return found

    def _talk(self, number: int) -> None:
        with (
            suppress(OSError, WebSocketException, requests.RequestException),
            open_chat(Browser(self.server.url), "slow") as page,
        ):
            page.show()
            question = f"question {number} to {self.server.pid}"
            heard = self.heard[question] = Heard()
            page.say(question)
            while heard.count(before=time.monotonic()) < 200:
                page.read_until("text", "ended")
                words = [int(word) for word in _WORD.findall(page.spell(len(page.told)))]
                heard.words += [(time.monotonic(), max(words))] if words else []
