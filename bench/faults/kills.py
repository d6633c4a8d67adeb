"""kill -9 at random moments, while runs of every kind go on, and pages on which a question waits for its answer."""

import random
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from websockets.exceptions import WebSocketException

from bench.faults.found import Found
from bench.faults.load import Clients, Heard, Listeners, Threads
from bench.faults.stored import check_whole, find_session, look, read_answers, wait_for_ends
from tests.browser import Browser
from tests.chat_socket import open_chat
from tests.running import chat_flow
from tests.servers import AppServer, shipped_flow

FLOWS = {"echo": shipped_flow("echo"), "slow": chat_flow("scripted:long", "Slow")}
_KEPT_SECONDS = 3.0
"""What was heard so long before the kill must be there: texts are kept every two seconds, and are written then."""
_WORD = re.compile(rb"word(\d+)")


def kill(folder: Path, database: str, *, rounds: int) -> Found:
    """kill -9 at random moments under plain, streamed and page runs."""
    server = AppServer(folder, flows=FLOWS, config={"database": database})
    token = server.token("faults")
    chance, clients = random.Random(), Clients(server, token)
    seen, wrong = Counter[str](moments=rounds), Counter[str]()
    for _ in range(rounds):
        server.start()
        listeners, pages = Listeners(server, token), Pages(server, token)
        for load in (listeners, pages, clients):
            load.start()
        time.sleep(chance.uniform(0.3, 9))
        killed = time.monotonic()
        server.kill()
        clients.stop()
        for load in (listeners, pages):
            load.wait()
        with server:
            wrong["runs without an end"] += wait_for_ends(database)
            told = pages.count_wrong(database, lost_at=killed)
        answers = read_answers(database)
        seen["answers cut while streamed"] += len(listeners.heard)
        seen["answers cut on pages"] += told["pages"]
        for answer, heard in listeners.heard.items():
            word = heard.count(before=killed - _KEPT_SECONDS)
            wrong["streamed texts lost"] += bool(word) and f"word{word} " not in answers.get(answer, "")
        wrong.update({what: count for what, count in told.items() if what != "pages"})
        wrong["mistakes in the database"] += check_whole(database)
    seen["runs acknowledged"] = len(clients.acknowledged)
    return Found(seen, {**wrong, **look(database, clients.acknowledged)})


@dataclass
class Pages(Threads):
    """`number` pages of a person's, each with a question to the flow `slow`, whose answer takes ten seconds."""

    number: int = 3
    heard: dict[str, Heard] = field(default_factory=dict)
    """By the question."""

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
            found["pages without what they showed"] += heard.count(before=lost_at - _KEPT_SECONDS) > max(
                words, default=0
            )
            found["pages that wait or offer nothing"] += bool(shown["running"]) or last["state"] != "interrupted"
        return found

    def do(self, number: int) -> None:
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
