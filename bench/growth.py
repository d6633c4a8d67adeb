"""`python -m bench.growth`: pages of an app with much in it; prints the page and writes docs/growth.md.

Flows, members and chats are put straight into the folder and the database. Each page is opened in Debian's chromium
whose cache is warm, and the best of three counts.
"""

import argparse
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page
from sqlalchemy import Table, insert

from bench.report import describe_machine
from bench.rows import Conversation, fill
from bench.screen import chromium
from flowground.store import tables
from flowground.store.database.connections import Database
from flowground.store.runs.conversations import make_session_key
from tests.acme import enter_as
from tests.house import SHARED, House
from tests.open_page import choose, flow_text, go, open_menu, still
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
    parser.add_argument("--groups", type=int, default=500)
    parser.add_argument("--tokens", type=int, default=5_000, help="and as many sign-ins, access requests, shared chats")
    parser.add_argument("--chats", type=int, default=9_000, help="of one person with one flow, 20 messages each")
    given = parser.parse_args()
    lines: list[tuple[str, float]] = []
    for flows in given.flows:
        lines += _measure_home(flows)
    lines += _measure_people(given.members)
    lines += _measure_groups(given.members, given.groups) + _measure_lists(given.tokens)
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
        _add_members(server, count)
        taken = []
        for _ in range(_TIMES):
            go(page, f"{server.url}/playground?flow=talk")
            menu = open_menu(page.get_by_role("button", name="Publish"))
            began = time.perf_counter()
            menu.get_by_role("button", name="Who can open it").click()
            page.get_by_role("dialog").get_by_text(re.compile("(person|people) can open it")).wait_for()
            still(page)
            taken.append(time.perf_counter() - began)
        people = _time(lambda: _visit(page, f"{server.url}/organization", f"of {count + 4:,}"))
        return [
            (f"*Who can open it* with {count:,} members", min(taken)),
            (f"the organization's page with {count:,} members", people),
        ]


def _measure_groups(people: int, count: int) -> list[tuple[str, float]]:
    """Everybody is in the first group, and in three others each."""
    with _open(House(flows={"talk": flow_text("scripted:echo", "Talk")})) as (server, page):
        _add_members(server, people)
        groups = [{"id": f"g{n:03}", "name": f"Group {n:03}", "folded": f"group {n:03}"} for n in range(count)]
        within = [{"group_id": "g000", "member": f"p{n:05}"} for n in range(people)]
        within += [
            {"group_id": f"g{1 + (n + k) % (count - 1):03}", "member": f"p{n:05}"}
            for n in range(people)
            for k in range(3)
        ]
        _insert(server, {tables.member_groups: groups, tables.group_members: within})

        def open_list() -> None:
            go(page, f"{server.url}/organization").get_by_role("tab", name="Groups").click()
            page.get_by_text(f"of {count:,}").wait_for()
            still(page)

        def edit() -> float:
            open_list()
            began = time.perf_counter()
            page.locator(".st-key-groups-row-g000").get_by_role("button", name="Edit").click()
            page.get_by_role("dialog").get_by_text(f"of {people:,}").wait_for()
            still(page)
            return time.perf_counter() - began

        def choose_groups() -> float:
            go(page, f"{server.url}/organization")
            began = time.perf_counter()
            choose(page.locator(".st-key-people-row-p00000").get_by_role("button", name="More"), "Groups")
            page.get_by_role("dialog").get_by_text("In these groups").wait_for()
            still(page)
            return time.perf_counter() - began

        what = f"{count:,} groups and {people:,} members"
        return [
            (f"the list of groups, {what}", _time(open_list)),
            (f"*Edit* of a group of all, {what}", min(edit() for _ in range(_TIMES))),
            (f"*Groups* of a person, {what}", min(choose_groups() for _ in range(_TIMES))),
        ]


def _measure_lists(count: int) -> list[tuple[str, float]]:
    """So many application tokens, sign-ins and shared chats of one person, and so many who ask for access."""
    with _open(House(flows={"talk": flow_text("scripted:echo", "Talk")})) as (server, page):
        _add_members(server, count)
        now = time.time()
        fill(_find_database(server), [Conversation(f"member:{_ADA}", "talk", "s", now - 60.0, 10)])
        mine, until = {"owner": f"member:{_ADA}", "flow_id": "talk"}, now + _YEAR
        shared = {
            "contents": "[]",
            "messages": 0,
            "is_cut": False,
            "session": make_session_key("talk", mine["owner"], "s"),
        }
        _insert(
            server,
            {
                tables.tokens: [
                    {"id": f"t{n}", "name": f"token {n:04}", "prefix": "fg_12345", "hash": f"{n}", "owner": _ADA,
                     "created_at": float(n), "uses": 0}
                    for n in range(count)
                ],
                tables.sign_ins: [
                    {"id": f"s{n}", "member": _ADA, "created_at": float(n), "expires_at": until, "agent": "Firefox/99"}
                    for n in range(count)
                ],
                tables.shared_chats: [
                    {"id": f"c{n}", "title": f"chat {n:04}", "created_at": float(n), **mine, **shared}
                    for n in range(count)
                ],
                tables.access_requests: [
                    {"id": f"r{n}", "flow_id": "talk", "member": f"p{n:05}", "note": "", "state": "open",
                     "created_at": float(n)}
                    for n in range(count)
                ],
            },
        )  # fmt: skip

        def open_tokens() -> None:
            go(page, f"{server.url}/organization").get_by_role("tab", name="Tokens").click()
            page.get_by_text("token ").first.wait_for()
            still(page)

        return [
            (
                f"one's account with {count:,} tokens, sign-ins and shared chats",
                _time(lambda: _visit(page, f"{server.url}/account", f"of {count:,}")),
            ),
            (f"the organization's page with {count:,} access requests, its tokens opened", _time(open_tokens)),
            (f"home with {count:,} access requests", _time(lambda: _visit(page, server.url, f"of {count:,}"))),
        ]


def _add_members(server: AppServer, count: int) -> None:
    rows = [
        {"id": f"p{n:05}", "display_name": f"Person {n:05}", "role": "member", "active": True, "created_at": 1.0}
        for n in range(count)
    ]
    _insert(server, {tables.members: rows})


def _insert(server: AppServer, rows: Mapping[Table, Sequence[Mapping[str, object]]]) -> None:
    engine = Database.make(_find_database(server)).writer
    with engine.begin() as connection:
        for table, its in rows.items():
            connection.execute(insert(table), its)
    engine.dispose()


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
            page.get_by_text("Searched back to").or_(page.get_by_text("has these words")).wait_for()

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
