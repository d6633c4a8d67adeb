"""`python -m bench.volume`: how an app starts and answers whose database holds a million messages.

With `--before CHECKOUT` that release makes the tables, so that the first start brings its database up to date.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests
import uvloop

from bench.api import first_run
from bench.faults.stored import find_token
from bench.load import percentile
from bench.processes import app, process
from bench.rows import LONG, fill, plan_conversations
from tests.page_socket import Browser, open_browser, open_page
from tests.servers import ROOT, AppServer
from tests.store_databases import SERVER, empty_database

_MEMBER = "ada"
_TIMES = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.volume", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="half of them answers (default: 1,000,000)")
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="an older release, set up alike")
    parser.add_argument("--postgresql", action="store_true", help="on the server that TEST_DATABASE_URL names")
    given = parser.parse_args()
    if given.postgresql and not SERVER:
        parser.error("TEST_DATABASE_URL names no PostgreSQL")
    kind = "postgresql" if given.postgresql else "sqlite"
    with (
        process("bench.stub") as (stub, _),
        tempfile.TemporaryDirectory() as folder,
        empty_database(kind, Path(folder)) as database,
    ):
        server = app(Path(folder), stub=stub, database=database, checkout=(given.before or ROOT).resolve())
        try:
            measure(server, database, messages=given.messages)
        finally:
            server.stop()


def measure(server: AppServer, database: str, *, messages: int) -> None:
    """Fills the database and prints one line a figure."""
    token = server.token("bench")
    server.member(_MEMBER, "correct horse battery", role="admin")
    began = time.monotonic()
    planned = plan_conversations(
        "bench", member=_MEMBER, token=find_token(database, "bench"), messages=messages, now=time.time()
    )
    count = fill(database, planned)
    print(f"{count:,} messages, {len(planned):,} conversations: filled in {time.monotonic() - began:.0f} s", flush=True)
    server.checkout = ROOT
    _say("first start to first answered run", uvloop.run(first_run(server, token)))
    for how in (server.stop, server.kill):
        starts = []
        for _ in range(_TIMES):
            how()
            starts.append(uvloop.run(first_run(server, token)))
        _say(f"start to first answered run, after {how.__name__}", percentile(starts, 50))
    _measure_doors(server, token)


def _measure_doors(server: AppServer, token: str) -> None:
    browser = open_browser(server, _MEMBER)
    client = requests.Session()
    client.headers["x-api-key"] = token

    def get(path: str) -> None:
        client.get(f"{server.url}{path}", timeout=300).raise_for_status()

    def run() -> None:
        body = {"input_value": "Tell me about something interesting."}
        client.post(f"{server.url}/api/v1/run/bench", json=body, timeout=300).raise_for_status()

    monitor = "/api/v1/monitor/messages"
    _time("a run", run)
    _time("a chat is opened, with the list of chats", lambda: _visit(browser, "flow=bench"))
    _time("the longest chat is opened", lambda: _visit(browser, f"flow=bench&session={LONG}"))
    _time("home", lambda: _visit(browser, "", page=""))
    _time("My data", lambda: browser.session.get(f"{server.url}/session/my-data", timeout=300).raise_for_status())
    _time("monitor: oldest 1,000 messages", lambda: get(monitor))
    _time("monitor: newest 100 messages", lambda: get(f"{monitor}?order=DESC&limit=100"))
    _time("monitor: 100 messages of a session", lambda: get(f"{monitor}?session_id={LONG}&limit=100"))
    _time("monitor: sessions", lambda: get(f"{monitor}/sessions"))
    address = f"{server.url}{monitor}/session/{LONG}"
    _time(
        "the longest conversation is deleted", lambda: client.delete(address, timeout=300).raise_for_status(), times=1
    )


def _visit(browser: Browser, query: str, *, page: str = "playground") -> None:
    with open_page(browser) as opened:
        opened.visit(page, query)


def _time(what: str, do: Callable[[], object], *, times: int = _TIMES) -> None:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        do()
        took.append(time.perf_counter() - began)
    _say(what, percentile(took, 50))


def _say(what: str, seconds: float) -> None:
    print(f"{what}: {seconds * 1000:,.0f} ms", flush=True)


if __name__ == "__main__":
    main()
