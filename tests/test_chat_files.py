"""Conversations and one's own data as files, over HTTP: whole, of the cookie's person alone, with nothing of a flow's
inside for who may not."""

import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import requests
from sqlalchemy import select

from flowground.core.messages import Usage
from flowground.settings import Settings
from flowground.store import tables
from flowground.store.connections import Database
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from flowground.web import sent_files
from tests.chat_socket import open_chat
from tests.heartbeat import stays_responsive
from tests.open_page import flow_text
from tests.page_socket import Browser, open_browser, open_page
from tests.servers import PUBLIC, AppServer, House
from tests.waiting import eventually

TAKES = """
chat: {accepts: [text/plain]}
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In.files}"}
"""
HOUSE = House(
    flows={
        "talk": flow_text("scripted:echo", "Talk *to* me", title="Talk Shop"),
        "other": flow_text("scripted:echo"),
        "takes": TAKES,
    },
    config={"sharing": {"allow_public": True}, "trusted_proxies": ["127.0.0.1"]},
    shared={"talk": PUBLIC},
)
AT = datetime(2026, 1, 2, 23, 4, 5, tzinfo=UTC)
VERBATIM = "# No heading\n\n```\ncode\n```\n<b>ü</b> | 東京"
CODE = "~~~ sh\ncd a\n```\nls\n~~~~\n- 1. ```py\n  a\n  b\n  ```\n"
LINES = f"Dear Ms Berg,\nthank you.\n\n> one\n> two\n\n{CODE}```so``` it\nis\n\nYours\\\nTom\nBerg"
SHOWN_LINES = f"Dear Ms Berg,  \nthank you.\n\n> one  \n> two\n\n{CODE}```so``` it  \nis\n\nYours\\\nTom  \nBerg"
MANY = 2_500


def _say(number: int, role: Any, text: str, **more: Any) -> StoredMessage:
    state = more.pop("state", "complete")
    at = AT + timedelta(seconds=number)
    return StoredMessage(f"m{number}", role, text, state, at, f"r{number // 2}", **more)


@pytest.fixture(scope="module", autouse=True)
def _said(house: AppServer) -> None:
    """What bob and the admin said: short, of every state; and long."""
    answer = {"model": "scripted:echo", "usage": Usage(3, 4)}
    short = [
        _say(0, "user", VERBATIM),
        _say(1, "assistant", f"You said: {VERBATIM}", **answer),
        _say(2, "user", "More"),
        _say(3, "assistant", "Half of", state="interrupted", **answer),
        _say(4, "user", "And"),
        _say(5, "assistant", "", state="failed", error="inside: the key of the model is wrong", **answer),
        _say(6, "user", "Again"),
        _say(7, "assistant", "Well", state="stopped", **answer),
    ]
    long = [_say(1_000 + n, ("user", "assistant")[n % 2], f"number {n} " + "x" * (n % 900)) for n in range(MANY)]
    store(house, "member:bob", "lines", [_say(0, "user", LINES), _say(1, "assistant", LINES), _say(3, "assistant", "")])
    for owner in ("member:bob", "member:augusta"):
        store(house, owner, "short", short)
        store(house, owner, "long", long)


def store(house: AppServer, owner: str, session: str, said: Iterable[StoredMessage]) -> None:
    engine = Database.open(Settings.load(house.config_file).database).writer
    place: dict[str, Any] = {"flow_id": "talk", "owner": owner, "session_id": session}
    with engine.begin() as connection:
        for one in said:
            turns.begin_turn(connection, **place, message=replace(one, id=f"{owner} {session} {one.id}"))
    engine.dispose()


def ask(browser: Browser, **asked: str) -> requests.Response:
    query = {"flow": "talk", "session": "short", "as": "markdown"} | asked
    return browser.session.get(f"{browser.url}/export/chat", params=query, timeout=20)


@pytest.fixture
def bob(house: AppServer) -> Browser:
    return open_browser(house, "bob")


def test_markdown_has_each_text_as_it_was_said(bob: Browser) -> None:
    answer = ask(bob)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/markdown; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    said = answer.content.decode()
    assert said.startswith("# No heading code ")
    assert "\n\nTalk *to* me, 2 January 2026\n" in said
    assert f"\n## You\n\n{VERBATIM}\n\n## Talk *to* me\n\nYou said: {VERBATIM}\n" in said
    assert "\n## Talk *to* me\n\nHalf of\n\n*Interrupted: the server stopped while it wrote this.*\n" in said
    assert "\n## Talk *to* me\n\n*The flow could not answer.*\n" in said
    assert said.endswith("\n## Talk *to* me\n\nWell\n\n*Stopped.*\n")
    assert "inside" not in said


def test_a_reader_of_markdown_shows_each_line_break(bob: Browser) -> None:
    """Two spaces at a line's end are one, everywhere; nothing is added to code."""
    said = ask(bob, session="lines").text
    assert said.endswith(
        f"\n## You\n\n{SHOWN_LINES}\n\n## Talk *to* me\n\n{SHOWN_LINES}\n\n## Talk *to* me\n\n*The answer is empty.*\n"
    )


async def test_line_ends_are_found_in_time_that_grows_with_the_text() -> None:
    for text in ("`" * 200_000, "~~~\n" + "~" * 200_000 + "x", "- " * 100_000, "> " * 100_000):

        async def find(text: str = text) -> None:
            assert sent_files._LINE_END.sub("", text) is not None

        await stays_responsive(find)


def test_json_has_the_documented_shape(house: AppServer, bob: Browser) -> None:
    answer = ask(bob, **{"as": "json"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    found = answer.json()
    assert list(found) == ["version", "flow", "session", "title", "exported_at", "messages"]
    assert (found["version"], found["flow"], found["session"]) == (1, {"id": "talk", "name": "Talk *to* me"}, "short")
    later = (AT + timedelta(seconds=1)).isoformat()
    assert found["messages"][:2] == [
        {"role": "user", "text": VERBATIM, "state": "complete", "at": AT.isoformat()},
        {"role": "assistant", "text": f"You said: {VERBATIM}", "state": "complete", "at": later},
    ]
    assert "inside" not in answer.text
    seen = ask(open_browser(house, "augusta"), **{"as": "json"}).json()["messages"]
    assert seen[0] == found["messages"][0]
    assert seen[1] == found["messages"][1] | {"model": "scripted:echo", "tokens": {"input": 3, "output": 4}}
    found = ask(open_browser(house, "augusta"), **{"as": "json", "at": "public"}).json()
    assert found["flow"]["name"] == "Talk Shop"
    assert [message for message in found["messages"] if "model" in message] == []


@pytest.mark.parametrize("how", ["markdown", "json"])
def test_a_long_conversation_is_whole(bob: Browser, how: str) -> None:
    answer = ask(bob, session="long", **{"as": how})
    assert "content-length" not in answer.headers
    assert re.findall(r"\bnumber (\d+) ", answer.content.decode()) == [*map(str, range(MANY))]
    if how == "json":
        assert len(answer.json()["messages"]) == MANY


def test_files_are_named_after_the_conversation_and_nothing_else(bob: Browser) -> None:
    named = ask(bob).headers["content-disposition"]
    plain, _, spelt = named.removeprefix('attachment; filename="').partition("\"; filename*=UTF-8''")
    assert (plain, unquote(spelt)) == ("No-heading-code-b-b.md", "No-heading-code-b-ü-b-東京.md")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("session", value) for value in ("unknown", "", "short\x00", "s" * 5_000)),
        *(("flow", value) for value in ("other", "unknown", "")),
        *(("as", value) for value in ("html", "")),
    ],
)
def test_everything_else_is_the_same_404(house: AppServer, bob: Browser, name: str, value: str) -> None:
    unknown = ask(bob, session="never was")
    for answer in (ask(bob, **{name: value}), ask(open_browser(house, "zoe"))):
        assert (answer.status_code, answer.content) == (404, unknown.content)


FILES = ("/export/chat?flow=talk&session=short&as=json", "/session/my-data")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
@pytest.mark.parametrize("file", FILES)
def test_other_sites_cannot_start_it(house: AppServer, site: str, file: str) -> None:
    browser = open_browser(house, "augusta")
    answer = browser.session.get(house.url + file, headers={"Sec-Fetch-Site": site}, timeout=10)
    assert (answer.status_code, answer.json()["detail"] == "Sign in first.") == (403, False)
    assert browser.session.get(house.url + file, timeout=10).status_code == 200


@pytest.mark.parametrize("file", FILES)
def test_whoever_is_not_signed_in_gets_nothing(house: AppServer, file: str) -> None:
    browser = open_browser(house, "bob")
    signed_out = dict(browser.session.cookies)
    assert browser.post("/session/end").status_code == 200
    key = {"x-api-key": house.token("files")}  # a token is no sign-in
    for cookies, headers in (({}, {}), ({"flowground": "x"}, {}), (signed_out, {}), ({}, key)):
        answer = requests.get(house.url + file, cookies=cookies, headers=headers, timeout=10)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Sign in first."})


def test_a_member_gets_their_own_data_and_no_cache_keeps_it(house: AppServer, bob: Browser) -> None:
    address = f"{house.url}/session/my-data"
    answer = bob.session.get(f"{address}?name=augusta&member=augusta", timeout=10)
    assert (answer.status_code, answer.json()["name"], answer.json()["role"]) == (200, "bob", "member")
    assert answer.headers["content-disposition"] == 'attachment; filename="flowground-my-data.json"'
    assert (answer.headers["cache-control"], answer.headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert [bob.session.request(method, address, timeout=10).status_code for method in ("POST", "DELETE")] == [405] * 2


def test_the_local_owner_takes_theirs(server: AppServer) -> None:
    browser = Browser(server.url)
    with open_chat(browser, "echo") as chat:
        chat.show()
        chat.ask("Mine alone")
    assert "Mine alone" in ask(browser, flow="echo", session=chat.session).text
    assert ask(browser, flow="echo", session="never was").status_code == 404
    assert browser.session.get(f"{server.url}/session/my-data", timeout=10).status_code == 403  # there is no account
    foreign = browser.session.get(f"{server.url}/export/chat?flow=echo", headers={"Via": "1.1 proxy"}, timeout=10)
    assert (foreign.status_code, foreign.json()["code"]) == (403, "local_mode")


HUGE = [StoredMessage(f"m{n}", "user", "\U0001f600" * 190_000, "complete", AT, f"r{n}") for n in range(40)]
"""More than a connection's buffers take."""


def begin(who: Browser, session: str, *, at: str = "", address: str = "203.0.113.9") -> requests.Response:
    """The head of the file; nothing of it is read."""
    asked = {"flow": "talk", "session": session, "as": "json", "at": at}
    headers = {"Cookie": who.cookies, "X-Forwarded-For": address}
    return requests.get(f"{who.url}/export/chat", params=asked, headers=headers, timeout=20, stream=True)


def test_files_that_nobody_reads_are_few(house: AppServer) -> None:
    """Of one person three are sent at once; of somebody else they keep nobody."""
    house.member("greedy", "correct horse battery")
    browser = open_browser(house, "greedy")
    store(house, "member:greedy", "huge", HUGE)
    held = [begin(browser, "huge") for _ in range(3)]
    assert [answer.status_code for answer in held] == [200] * 3
    assert begin(browser, "huge").status_code == 429
    assert begin(open_browser(house, "bob"), "long").status_code == 200
    for answer in held:
        answer.close()
    eventually(lambda: begin(browser, "huge").status_code == 200)


def test_stored_files_that_nobody_reads_are_bounded(house: AppServer) -> None:
    """Of one person fifty are sent at once, as downloads and as images."""
    house.member("hoarder", "correct horse battery", role="author")
    browser, asked = open_browser(house, "hoarder"), {"flow": "takes", "name": "a.txt"}
    said = {"Origin": house.url}
    kept = browser.session.post(f"{house.url}/file/upload", b"x" * 12_000_000, params=asked, headers=said, timeout=30)
    path = f"/file/download?id={kept.json()['id']}"
    with ExitStack() as held:

        def ask() -> bytes:
            connection = held.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect(("127.0.0.1", house.port))
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nCookie: {browser.cookies}\r\n\r\n".encode())
            return connection.recv(12)

        assert {ask() for _ in range(50)} == {b"HTTP/1.1 200"}
        assert ask() == b"HTTP/1.1 429"
    eventually(lambda: browser.session.head(house.url + path, timeout=20).status_code == 200)


def test_visitors_of_one_address_keep_no_others(house: AppServer) -> None:
    """Three files are sent to an address at once, whatever browsers ask there."""
    browsers = [Browser(house.url) for _ in range(3)]
    sessions = []
    for browser in browsers:
        with open_page(browser, base="/public_flow/talk") as page:
            page.visit()
            page.say("Hi")
            sessions.append(page.chat.session)
    engine = Database.open(Settings.load(house.config_file).database).reader
    with engine.connect() as connection:
        column = tables.sessions.c
        find = select(column.session_id, column.owner).where(column.session_id.in_(sessions))
        found = connection.execute(find).all()
    for session, owner in found:
        store(house, owner, session, HUGE)

    def ask(number: int, address: str) -> requests.Response:
        return begin(browsers[number], sessions[number], at="public", address=address)

    held = [ask(number, "203.0.113.1") for number in (0, 0, 1)]
    assert [answer.status_code for answer in held] == [200] * 3
    assert ask(1, "203.0.113.1").status_code == 429
    others = [ask(1, "203.0.113.2"), ask(2, "203.0.113.2"), begin(open_browser(house, "bob"), "long")]
    assert [answer.status_code for answer in others] == [200] * 3
    for answer in (*held, *others):
        answer.close()
