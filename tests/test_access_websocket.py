"""Every cell of the access matrix (tests/access_matrix.py) asked of a running server: what a raw websocket is really
sent, and what its routes for files answer."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosed

from flowground.access.sign_in import SignIn
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import members, tokens
from flowground.store.runs import shared_chats
from tests.access_matrix import FLOWS, PEOPLE, STATES, add_people, cells, sharings
from tests.chat_socket import ChatSocket, open_chat
from tests.page_socket import Browser, PageSocket, open_browser, open_page
from tests.servers import AppServer, share

SEEN = {
    b"Sign in to": "nobody",
    b"You don't have access to this page": "no",
    b"This flow is not shared with you any more": "no",
    b"Message Talk": "yes",
}
TOLD = {"conversation": "yes", "signed_out": "nobody", "not_found": "no"}
CODES = {200: "yes", 201: "yes", 403: "nobody", 404: "no"}
TALK = "/public_flow/talk"


@dataclass
class House:
    """Everybody's browser, and what the people among them had open while the flow was everyone's."""

    server: AppServer
    group: str
    browsers: Mapping[str, Browser]
    pages_before: Mapping[str, PageSocket]
    chats_before: Mapping[str, ChatSocket]
    files: list[str] = field(default_factory=list)
    """Ids of those that somebody added by a page."""

    def change(self, state: str) -> None:
        share(self.server, "talk", sharings(self.group)[state])


def beside(server: AppServer, work: Callable[[Store, SignIn], Any]) -> Any:
    """Runs a coroutine on the running server's database."""

    async def run() -> Any:
        settings = Settings.load(server.config_file)
        store = Store.open(settings.database)
        sign_in = SignIn(settings, store)
        try:
            await sign_in.roster.start()
            return await work(store, sign_in)
        finally:
            sign_in.close()
            store.close()

    return asyncio.run(run())


async def _people(store: Store, sign_in: SignIn) -> tuple[str, str]:
    """The group, and a token of the organization."""
    made = await store.write(tokens.create, name="t", owner=None, flows=None, expires_at=None, by="tests")
    return await add_people(store, sign_in), made[1]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    config = {"sharing": {"allow_public": True}}
    with AppServer(tmp_path_factory.mktemp("sockets"), config=config, flows=FLOWS) as server, ExitStack() as pages:
        group, secret = beside(server, _people)
        share(server, "talk", sharings(group)["organization"])
        browsers = {who: open_browser(server, who.replace(" ", "-")) for who in PEOPLE}
        before = {who: pages.enter_context(open_page(browsers[who], base=TALK)) for who in PEOPLE}
        assert {seen(page.visit()) for page in before.values()} == {"yes"}
        chats = {who: pages.enter_context(open_chat(browsers[who], "talk")) for who in PEOPLE}
        assert {chat.show("own")["type"] for chat in chats.values()} == {"conversation"}
        assert {chat.ask("said before") for chat in chats.values()} == {"You said: said before"}
        browsers |= {"signed out": Browser(server.url), "token": Browser(server.url)}
        browsers["token"].session.cookies.set("flowground", secret)
        beside(server, lambda store, _: store.write(members.set_active, member="deactivated", is_active=False, by="x"))
        yield House(server, group, browsers, before, chats)


def seen(sent: bytes) -> str:
    found = [word for mark, word in SEEN.items() if mark in sent]
    assert len(found) == 1, found
    assert (found == ["yes"]) == (b"Talk" in sent)
    return "visitor" if b"Not signed in" in sent else found[0]


def is_read(sent: bytes, mark: bytes) -> str:
    """Of a page whose readers see this mark."""
    if mark in sent or b"Sign in to" in sent:
        return "yes" if mark in sent else "nobody"
    return {True: "no"}[b"You don't have access" in sent]


def look(browser: Browser, page: str, query: str, mark: bytes) -> str:
    with open_page(browser) as socket:
        return is_read(socket.visit(page, query), mark)


def see_public_page(house: House, browser: Browser) -> str:
    token = browser.session.cookies.get("flowground") or ""
    with open_page(browser, base=TALK, headers={"X-Api-Key": token}) as page:
        return seen(page.visit())


def see_playground(house: House, browser: Browser) -> str:
    with open_page(browser) as page:
        return seen(page.visit("playground", "flow=talk"))


def see_inside(house: House, browser: Browser) -> str:
    (found,) = {look(browser, "inside", query, b"type: LanguageModel") for query in ("flow=talk", "file=talk.yaml")}
    return found


def see_usage(house: House, browser: Browser) -> str:
    return look(browser, "usage", "flow=talk", b"Last 30 days")


def get(browser: Browser, path: str, **asked: str) -> requests.Response:
    return browser.session.get(f"{browser.url}{path}", params=asked, timeout=10)


def here_and_as_visitor(ask: Callable[..., str]) -> str:
    """The same at the playground and at the shareable one, unless it is a visitor's."""
    found, public = ask(), ask(at="public")
    if found == "nobody" and public != "nobody":
        return "visitor"
    assert found == public
    return found


def open_conversation(house: House, browser: Browser) -> str:
    """One that is refused is closed at once, with the reason: what it says meanwhile may cut it before its frame is
    read."""

    def ask(flow: str = "talk", *, at: str = "") -> str:
        with open_chat(browser, flow, is_public=at == "public") as chat:
            with suppress(ConnectionClosed):
                chat.send("open", session="s")
                first = chat.read()
                return TOLD[str(first.get("reason", first["type"]))]
            return TOLD[chat.closed()[1]]

    assert ask("unknown") in ("no", "nobody")
    return here_and_as_visitor(ask)


def export_chat(house: House, browser: Browser) -> str:
    def ask(**more: str) -> str:
        answer = get(browser, "/export/chat", **({"flow": "talk", "session": "own", "as": "markdown"} | more))
        assert (answer.status_code == 200) == (b"said before" in answer.content)
        return CODES[answer.status_code]

    assert ask(session="another's") == ask(flow="unknown") != "yes"
    found = here_and_as_visitor(ask)
    if found == "visitor":  # who has said nothing yet
        with open_chat(browser, "talk", is_public=True) as chat:
            chat.show("own")
            chat.ask("said before")
        assert ask(at="public") == "yes"
    return found


def add_file(house: House, browser: Browser) -> str:
    """Adds a file, and asks for it and for all that others added."""
    headers = {"Origin": browser.url}

    def ask(what: str, **asked: str) -> requests.Response:
        if what in ("upload", "delete"):
            url = f"{browser.url}/file/{what}"
            return browser.session.post(url, params=asked, data=b"mine", headers=headers, timeout=10)
        return get(browser, f"/file/{what}", **asked)

    def add(**more: str) -> str:
        answer = ask("upload", **({"flow": "talk", "name": "a.txt"} | more))
        if answer.status_code == 201:
            added.append(answer.json()["id"])
        return CODES[answer.status_code]

    added: list[str] = []
    assert add(flow="unknown") in ("no", "nobody")
    found = here_and_as_visitor(add)
    place = {"at": "public", "flow": "talk"} if found == "visitor" else {}
    for what in ("download", "image", "delete"):
        nothing = ask(what, id="nothing", **place)
        answers = [ask(what, id=key, **place) for key in house.files]
        assert CODES[nothing.status_code] in ("no", "nobody")
        assert {(one.status_code, one.content) for one in answers} <= {(nothing.status_code, nothing.content)}
    for key in added:
        assert ask("download", id=key, **place).content == b"mine"
    house.files += added
    return found


FOR_VISITORS = (see_public_page, open_conversation, export_chat, add_file)
DOORS: Mapping[str, tuple[Callable[[House, Browser], str], ...]] = {
    "chat": (*FOR_VISITORS, see_playground),
    "inside": (see_inside,),
    "own": (see_usage,),
}


@pytest.mark.parametrize("state", STATES)
def test_every_cell_of_a_running_server(house: House, state: str) -> None:
    house.change(state)
    house.files.clear()
    found, expected = {}, {}
    for what in DOORS if state in ("off", "public") else ["chat"]:
        for door in DOORS[what]:
            nobody = "visitor" if state == "public" and door in FOR_VISITORS else "nobody"
            for who, browser in house.browsers.items():
                found[door.__name__, who] = door(house, browser)
                expected[door.__name__, who] = cells(what, state).get(who, nobody)
    for who, page in house.pages_before.items():  # a page keeps being its person's
        found["page from before", who] = seen(page.visit())
        expected["page from before", who] = cells("chat", state).get(who, "nobody")
    assert found == expected


def test_what_was_open_is_told_at_its_next_message(house: House) -> None:
    """Those from before the flow was unshared, and somebody deactivated."""
    house.change("off")
    found = {}
    for who, chat in house.chats_before.items():
        with suppress(ConnectionClosed):  # it may have been told by itself
            chat.send("open", session="s")
        first = chat.read()
        found[who] = TOLD[str(first.get("reason", first["type"]))]
        if found[who] != "yes":
            assert chat.closed()[1] == first["reason"]
    assert found == {who: cells("chat", "off").get(who, "nobody") for who in PEOPLE}


@pytest.mark.parametrize("state", ["off", "people", "public"])
def test_a_shared_chat_is_read_by_who_may_open_its_flow(house: House, state: str) -> None:
    """Nobody is a visitor there."""
    house.change(state)
    expected = {who: cells("chat", state).get(who, "nobody") for who in house.browsers}
    found = {}
    place = {"flow_id": "talk", "owner": "member:owner", "session_id": "own"}  # who may always open it
    key = beside(house.server, lambda store, _: store.write(shared_chats.share, **place, expires_at=None)).id
    for who, browser in house.browsers.items():
        shells = [get(browser, "/shared_chat", id=name).content for name in (key, "unknown")]
        assert shells[0] == shells[1]  # the address alone says nothing
        with open_page(browser) as page:
            sent = page.visit("shared_chat", f"id={key}")
        found[who] = is_read(sent, b"said before")
        assert (found[who] == "yes") == (b"Shared by" in sent)
    assert found == expected
