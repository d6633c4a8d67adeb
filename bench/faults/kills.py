"""kill -9 at random moments, while runs of every kind go on."""

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.faults.found import Found
from bench.faults.load import Clients, Listeners
from bench.faults.pages import Pages
from bench.faults.stored import check_whole, look, read_answers, sqlite_of, wait_for_ends
from tests.running import chat_flow
from tests.servers import AppServer, shipped_flow
from tests.store_databases import empty_database

FLOWS = {"echo": shipped_flow("echo"), "slow": chat_flow("scripted:long", "Slow")}
_KEPT_SECONDS = 3.0
"""What was heard so long before the kill must be there: texts are kept every two seconds, and are written then."""


def kill_on_sqlite(rounds: int) -> Found:
    """kill -9 at random moments under plain, streamed and page runs, on SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        return _kill(Path(folder), sqlite_of(Path(folder)), rounds)


def kill_on_postgresql(rounds: int) -> Found:
    """The same on PostgreSQL."""
    with tempfile.TemporaryDirectory() as folder, empty_database("postgresql", Path(folder)) as url:
        return _kill(Path(folder), url, rounds)


def _kill(folder: Path, database: str, rounds: int) -> Found:
    server = AppServer(folder, flows=FLOWS, config={"database": database})
    token = server.token("faults")
    chance, clients = random.Random(), Clients(server, token)
    seen, wrong = Counter[str](moments=rounds), Counter[str]()
    for _ in range(rounds):
        server.start()
        listeners, pages = Listeners(server, token), Pages(server)
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
