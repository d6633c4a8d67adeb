"""`python -m bench.growth`: pages of an app with much in it; prints the page and writes docs/growth.md.

Flows, members and chats are put straight into the folder and the database. Each page is opened in Debian's chromium
whose cache is warm, and the best of three counts.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page
from sqlalchemy import insert

from bench.report import describe_machine
from bench.rows import Conversation, fill
from bench.screen import chromium
from flowground.store import tables
from flowground.store.database.connections import Database
from tests.acme import enter_as
from tests.house import SHARED, House
from tests.open_page import flow_text, go, open_menu, still
from tests.servers import ROOT, AppServer

_TIMES = 3
_ADA = "augusta"
_FEW = 2
_YEAR = 365 * 86_400.0
_HEAD = """\
# Pages with much in them

Written by `python -m bench.growth`; nothing here is edited by hand. Milliseconds until a page stands still, in Debian's
chromium with a warm cache, the best of three, on SQLite.

Machine: {machine}. {date:%Y-%m-%d}.

| what | ms |
| --- | --- |
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--flows", type=int, nargs="+", default=[24, 1_000, 3_000])
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--chats", type=int, default=9_000, help="of one person with one flow, 20 messages each")
    given = parser.parse_args()
    lines: list[tuple[str, float]] = []
    for flows in given.flows:
        lines += _measure_home(flows)
    lines += _measure_people(given.members)
    lines += _measure_chats(_FEW) + _measure_chats(given.chats)
    head = _HEAD.format(machine=describe_machine(), date=datetime.now(UTC))
    text = head + "".join(f"| {what} | {seconds * 1000:,.0f} |\n" for what, seconds in lines)
    print(text)
    (ROOT / "docs" / "growth.md").write_text(text, encoding="utf-8")


def _measure_home(count: int) -> list[tuple[str, float]]:
    flows = {f"flow-{number:04}": flow_text("scripted:echo", f"Flow {number:04}") for number in range(count)}
    with _open(House(flows=flows)) as (server, page):

        def search() -> None:
            go(page, server.url)
            page.get_by_role("searchbox", name="Search flows").fill(f"{count - 1:04}")
            page.get_by_text("1 flow", exact=True).wait_for()

        home = _time(lambda: _visit(page, server.url, f"{count:,} flow"))
        return [(f"home with {count:,} flows", home), (f"home and a search in it, {count:,} flows", _time(search))]


def _measure_people(count: int) -> list[tuple[str, float]]:
    with _open(House(flows={"talk": flow_text("scripted:echo", "Talk")}, shared={"talk": SHARED})) as (server, page):
        rows = [
            {"id": f"p{n:05}", "display_name": f"Person {n:05}", "role": "member", "active": True, "created_at": 1.0}
            for n in range(count)
        ]
        with Database.make(_find_database(server)).writer.begin() as connection:
            connection.execute(insert(tables.members), rows)
        taken = []
        for _ in range(_TIMES):
            go(page, f"{server.url}/playground?flow=talk")
            menu = open_menu(page.get_by_role("button", name="Publish"))
            began = time.perf_counter()
            menu.get_by_role("button", name="Who can open it").click()
            page.get_by_text("can open it, once saved").wait_for()
            still(page)
            taken.append(time.perf_counter() - began)
        people = _time(lambda: _visit(page, f"{server.url}/organization", f"of {count + 4:,}"))
        return [
            (f"*Who can open it* with {count:,} members", min(taken)),
            (f"the organization's page with {count:,} members", people),
        ]


def _measure_chats(count: int) -> list[tuple[str, float]]:
    with _open(House(flows={"talk": flow_text("scripted:echo", "Talk")})) as (server, page):
        now = time.time()
        fill(
            _find_database(server),
            [
                Conversation(f"member:{_ADA}", "talk", f"s{n}", now - _YEAR * (n + 1) / (count + 1), 10)
                for n in range(count)
            ],
        )
        address = f"{server.url}/playground?flow=talk"

        def search() -> None:
            go(page, address)
            page.get_by_role("searchbox", name="Search chats").fill("nowhere")
            page.get_by_text("Searched back to").or_(page.get_by_text("No chat has these words")).wait_for()

        _visit(page, address, "Your chats")
        opened = _time(lambda: _visit(page, address, "Your chats"))
        if count <= _FEW:
            return [(f"a flow's page with {count} chats", opened)]
        return [
            (f"a flow's page with {count:,} chats", opened),
            ("that page, and one step of a search for a word that is nowhere", _time(search)),
        ]


@contextmanager
def _open(house: House) -> Iterator[tuple[AppServer, Page]]:
    """The house's app and a page in its admin's browser."""
    with tempfile.TemporaryDirectory() as folder, house.open(Path(folder)) as server, chromium() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
        page.set_default_timeout(60_000)
        go(enter_as(page, server, _ADA), server.url)
        yield server, page


def _visit(page: Page, url: str, words: str) -> None:
    go(page, url).get_by_text(words).first.wait_for()
    still(page)


def _time(do: Callable[[], object]) -> float:
    taken = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        do()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _find_database(server: AppServer) -> str:
    return f"sqlite:///{server.folder}/data/flowground.db"


if __name__ == "__main__":
    main()
