"""The matrix's pages (tests/access_matrix.py) asked of a running server: what a raw websocket is really sent."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed

from flowground.settings import Settings
from flowground.sign_in import SignIn
from flowground.store import Store, tables
from flowground.store.flows import publications
from flowground.store.people import groups, members, tokens
from flowground.store.runs import shared_chats
from tests.access_matrix import STATES, cells
from tests.chat_socket import ChatSocket, open_chat
from tests.page_socket import Browser, PageSocket, open_page
from tests.servers import AppServer
from tests.test_access_matrix import FLOWS, OWNERS, PEOPLE, sharings
from tests.tickets import open_browser

SEEN = {
    b"Sign in to": "sign in",
    b"Nothing here for you": "nothing",
    b"This flow is not shared with you any more": "nothing",
    b"Message Talk": "opens",
}
TALK = "/public_flow/talk"


@dataclass
class House:
    """Everybody's browser, and the pages that the people among them had open while the flow was everyone's."""

    server: AppServer
    group: str
    browsers: Mapping[str, Browser]
    open_before: Mapping[str, PageSocket]
    chats_before: Mapping[str, ChatSocket]


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


async def _people(store: Store, sign_in: SignIn) -> tuple[str, dict[str, str]]:
    for who, role in PEOPLE.items():
        await sign_in.roster.add(who.replace(" ", "-"), role=role, by="tests")
    group = await store.write(groups.add, name="Group", by="tests")
    await store.write(groups.change_members, group_id=group.id, added=["group-member", "deactivated"], by="tests")
    await store.write(publications.change, flow_id="talk", sharing=sharings(group.id)["organization"], by="tests")
    made = {
        who: await store.write(
            tokens.create,
            name="t",
            owner=owner,
            flows=("other",) if who == "foreign token" else None,
            expires_at=None,
            by="tests",
        )
        for who, owner in OWNERS.items()
    }
    return group.id, {who: secret for who, (_, secret) in made.items()}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    config = {"sharing": {"allow_public": True}}
    with AppServer(tmp_path_factory.mktemp("sockets"), config=config, flows=FLOWS) as server, ExitStack() as pages:
        group, secrets = beside(server, _people)
        browsers = {"signed out": Browser(server.url)}
        browsers |= {who: open_browser(server, who.replace(" ", "-")) for who in PEOPLE}
        for who, secret in secrets.items():
            browsers[who] = Browser(server.url)
            browsers[who].session.cookies.set("flowground", secret)
        before = {who: pages.enter_context(open_page(browsers[who], base=TALK)) for who in PEOPLE}
        assert {seen(page.visit()) for page in before.values()} == {"opens"}
        chats = {who: pages.enter_context(open_chat(browsers[who], "talk")) for who in PEOPLE}
        assert {chat.show("own")["type"] for chat in chats.values()} == {"conversation"}
        assert {chat.ask("said before") for chat in chats.values()} == {"You said: said before"}
        beside(
            server, lambda store, _: store.write(members.set_active, member="deactivated", is_active=False, by="tests")
        )
        yield House(server, group, browsers, before, chats)


def seen(sent: bytes) -> str:
    found = [word for mark, word in SEEN.items() if mark in sent]
    assert len(found) == 1, found
    assert (found == ["opens"]) == (b"Talk" in sent)
    return "visitor" if b"Not signed in" in sent else found[0]


@pytest.mark.parametrize("state", STATES)
def test_every_page_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    expected = cells("page", state)
    found = {}
    for who, browser in house.browsers.items():
        with open_page(
            browser, base=TALK, headers={"X-Api-Key": browser.session.cookies.get("flowground") or ""}
        ) as page:
            found[who] = seen(page.visit())
    assert found == expected
    # A page keeps being its person's, and visitors are let in at the shareable playground only.
    as_person = {who: expected[who].replace("visitor", "sign in") for who in PEOPLE}
    assert {who: seen(page.visit()) for who, page in house.open_before.items()} == as_person
    for who in PEOPLE:
        with open_page(house.browsers[who]) as page:
            assert seen(page.visit("playground", "flow=talk")) == as_person[who]


def seen_at_shared_chat(browser: Browser, key: str) -> str:
    """What its page shows, of which the address alone says nothing."""
    address = f"{browser.url}/shared_chat"
    shells = [browser.session.get(address, params={"id": name}, timeout=10) for name in (key, "unknown")]
    assert shells[0].content == shells[1].content
    with open_page(browser) as page:
        sent = page.visit("shared_chat", f"id={key}")
    is_read = b"said before" in sent
    assert is_read == (b"Continue as my copy" in sent) == (b"Shared by" in sent)
    return "reads" if is_read else "sign in" if b"Sign in to" in sent else {True: "nothing"}[b"Nothing here" in sent]


def seen_at_usage(browser: Browser) -> str:
    with open_page(browser) as page:
        sent = page.visit("usage", "flow=talk")
    if b"Last 30 days" in sent:
        return "reads"
    assert b"Runs a day" not in sent
    return "sign in" if b"Sign in to" in sent else {True: "nothing"}[b"Nothing here" in sent]


@pytest.mark.parametrize("state", ["off", "organization", "public"])
def test_every_usage_page_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    found = {who: seen_at_usage(browser) for who, browser in house.browsers.items()}
    assert found == cells("feedback", state)


def seen_at_inside(browser: Browser) -> str:
    with open_page(browser) as page:
        sent = [page.visit("inside", query) for query in ("flow=talk", "file=talk.yaml")]
    reads = {b"flowchart TB" in one for one in sent}
    assert reads == {b"type: LanguageModel" in one for one in sent}
    if reads == {True}:
        return "reads"
    assert reads == {False}
    return "sign in" if b"Sign in to" in sent[0] else {True: "nothing"}[b"Nothing here" in sent[0]]


@pytest.mark.parametrize("state", ["off", "organization", "public"])
def test_every_inside_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    found = {who: seen_at_inside(browser) for who, browser in house.browsers.items()}
    assert found == cells("inside", state)


@contextmanager
def share_own(house: House) -> Iterator[str]:
    """The key of a link to what the flow's owner said before, revoked again: a chat has ten at most."""
    place = {"flow_id": "talk", "owner": "member:owner", "session_id": "own"}
    key = beside(house.server, lambda store, _: store.write(shared_chats.share, **place, expires_at=None)).id
    yield key
    beside(house.server, lambda store, _: store.write(shared_chats.revoke, owner=place["owner"], key=key))


@pytest.mark.parametrize("state", STATES)
def test_every_shared_chat_of_the_matrix(house: House, state: str) -> None:
    """The flow's owner, who may always open it, shares what they said before."""
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    with share_own(house) as key:
        found = {who: seen_at_shared_chat(browser, key) for who, browser in house.browsers.items()}
    assert found == cells("shared chat", state)


async def _count_chats(store: Store, _: SignIn) -> Counter[str]:
    """Of each owner."""
    return Counter(await store.read(lambda connection: connection.scalars(select(tables.sessions.c.owner)).all()))


@pytest.mark.parametrize("state", STATES)
def test_every_copy_of_the_matrix(house: House, state: str) -> None:
    """Everybody presses the button that readers are shown: on a page that was open while the flow was everyone's, and
    on a new one. Who reads has two copies then, and nobody else has one."""
    sharing = sharings(house.group)
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing["organization"], by="tests"),
    )
    with share_own(house) as key, ExitStack() as pages:
        before = [pages.enter_context(open_page(browser)) for browser in house.browsers.values()]
        for page in before:
            page.visit("shared_chat", f"id={key}")
        [button] = {name for page in before for name in page.widgets.get("button", []) if "reading:copy:" in name}
        beside(
            house.server,
            lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing[state], by="tests"),
        )
        chats = beside(house.server, _count_chats)
        for page in before:
            page.press(button)
        for browser in house.browsers.values():
            with open_page(browser) as page:
                page.visit("shared_chat", f"id={key}")
                page.press(button)
    readers = [who for who, cell in cells("shared chat", state).items() if cell == "reads"]
    assert beside(house.server, _count_chats) - chats == {f"member:{who.replace(' ', '-')}": 2 for who in readers}


TOLD: Mapping[str, str] = {"conversation": "opens", "signed_out": "sign in", "not_found": "nothing"}


def told_at(browser: Browser, flow: str = "talk", *, is_public: bool = False) -> str:
    """What a new socket is told. One that is refused is closed at once, with the reason: what it says meanwhile may
    cut it before its frame is read."""
    with open_chat(browser, flow, is_public=is_public) as chat:
        with suppress(ConnectionClosed):
            chat.send("open", session="s")
            first = chat.read()
            return TOLD[str(first.get("reason", first["type"]))]
        return TOLD[chat.closed()[1]]


def seen_at_socket(browser: Browser) -> str:
    found, public = told_at(browser), told_at(browser, is_public=True)
    assert told_at(browser, "unknown") in ("nothing", "sign in")
    if public == "opens" and found == "sign in":
        return "visitor"
    assert found == public
    return found


@pytest.mark.parametrize("state", STATES)
def test_every_conversation_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    expected = cells("conversation", state)
    assert {who: seen_at_socket(browser) for who, browser in house.browsers.items()} == expected


def exported(browser: Browser, *, session: str = "own", **more: str) -> str:
    """What the route of files says."""
    asked = {"flow": "talk", "session": session, "as": "markdown"} | more
    answer = browser.session.get(f"{browser.url}/export/chat", params=asked, timeout=10)
    if answer.status_code != 200:
        assert b"said before" not in answer.content
        return str(answer.status_code)
    assert "said before" in answer.text
    return "own"


def seen_at_export(browser: Browser) -> str:
    found, public = exported(browser), exported(browser, at="public")
    assert exported(browser, session="another's") in ("403", "404")
    assert exported(browser, flow="unknown") == exported(browser, session="another's")
    if (found, public) == ("403", "404"):  # let in as a visitor, who said nothing yet
        with open_chat(browser, "talk", is_public=True) as chat:
            chat.show("own")
            chat.ask("said before")
        return {"own": "visitor"}[exported(browser, at="public")]
    assert found == public
    return found


@pytest.mark.parametrize("state", STATES)
def test_every_export_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    assert {who: seen_at_export(browser) for who, browser in house.browsers.items()} == cells("export", state)


def add_file(browser: Browser, flow: str = "talk", **more: str) -> requests.Response:
    asked = {"flow": flow, "name": "a.txt"} | more
    headers = {"Origin": browser.url}
    return browser.session.post(f"{browser.url}/file/upload", params=asked, data=b"mine", headers=headers, timeout=10)


def seen_at_files(browser: Browser, others: list[str]) -> str:
    """Adds a file, and asks for it and for all that others added."""
    answer, public = add_file(browser), {}
    unknown = add_file(browser, "unknown")
    if answer.status_code == 403:
        public = {"at": "public", "flow": "talk"}
        answer = add_file(browser, **public) if add_file(browser, at="public").status_code == 201 else answer

    def ask(what: str, key: str) -> requests.Response:
        url, asked = f"{browser.url}/file/{what}", {"id": key, **public}
        if what == "delete":
            return browser.session.post(url, params=asked, headers={"Origin": browser.url}, timeout=10)
        return browser.session.get(url, params=asked, timeout=10)

    for what in ("download", "image", "delete"):
        nothing = ask(what, "nothing")
        assert nothing.status_code in (403, 404)
        assert {(got.status_code, got.content) for key in others if (got := ask(what, key))} <= {
            (nothing.status_code, nothing.content)
        }
    if answer.status_code != 201:
        assert (answer.status_code, answer.content) == (unknown.status_code, unknown.content)
        return str(answer.status_code)
    others.append(answer.json()["id"])
    assert ask("download", others[-1]).content == b"mine"
    return "visitor" if public else "adds"


@pytest.mark.parametrize("state", STATES)
def test_every_file_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    added: list[str] = []
    assert {who: seen_at_files(browser, added) for who, browser in house.browsers.items()} == cells("page file", state)


def seen_at_feedback(browser: Browser) -> str:
    answer, unknown = (
        browser.session.get(f"{browser.url}/export/feedback", params={"flow": flow}, timeout=10)
        for flow in ("talk", "unknown")
    )
    if answer.status_code == 200:
        assert answer.content.startswith(b'\xef\xbb\xbf"time","rating"')
        return "file"
    assert (answer.status_code, answer.content) == (unknown.status_code, unknown.content)
    return str(answer.status_code)


@pytest.mark.parametrize("state", STATES)
def test_every_feedback_file_of_the_matrix(house: House, state: str) -> None:
    sharing = sharings(house.group)[state]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    found = {who: seen_at_feedback(browser) for who, browser in house.browsers.items()}
    assert found == cells("feedback csv", state)


def test_what_was_open_is_told_at_its_next_message(house: House) -> None:
    """Those from before the flow was unshared, and somebody deactivated."""
    sharing = sharings(house.group)["off"]
    beside(
        house.server,
        lambda store, _: store.write(publications.change, flow_id="talk", sharing=sharing, by="tests"),
    )
    found = {}
    for who, chat in house.chats_before.items():
        with suppress(ConnectionClosed):  # it may have been told by itself
            chat.send("open", session="s")
        first = chat.read()
        found[who] = TOLD[str(first.get("reason", first["type"]))]
        if found[who] != "opens":
            assert chat.closed()[1] == first["reason"]
    expected = {who: cell.replace("visitor", "sign in") for who, cell in cells("conversation", "off").items()}
    assert found == {who: expected[who] for who in PEOPLE}
