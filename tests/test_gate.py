"""Nothing of a page reaches a visitor who may not have it: seen on the wire, in fresh processes."""

import json
import re
import socket
from unittest.mock import Mock

import pytest
import requests
from websockets.exceptions import InvalidStatus

from flowground.api.app import create_api
from flowground.web.app import Web
from tests.chat_socket import open_chat
from tests.page_socket import Browser, open_page
from tests.servers import ROOT, AppServer, House

PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
SECRETS = [
    b"Basic Prompting",
    b"Memory Chatbot",
    b"memory-chatbot",
    b"GenAI expert",
    b"my private question",
    b"augusta",
]
IDENTITY = {"kind": "member", "name": "augusta", "role": "admin", "is_proven": True, "sign_in_id": None}
LOCAL_OWNER = {"kind": "local", "name": "owner", "role": "admin", "is_proven": True, "sign_in_id": None}


HOUSE = House()
"""The tests of this file visit it in order: the first is its very first visitor."""


def assert_only_the_form(sent: bytes) -> None:
    assert b"Sign in" in sent
    assert [secret for secret in SECRETS if secret in sent] == []


def test_the_first_visitors_of_a_fresh_process_meet_the_form_on_every_file_of_pages(house: AppServer) -> None:
    assert {"home", "playground", "public_flow", "api_access", "router"} <= set(PAGES)
    for page in PAGES:
        with open_page(Browser(house.url)) as socket:
            assert_only_the_form(socket.visit(page))


def test_every_address_is_the_form_for_strangers(house: AppServer) -> None:
    said = {"input_value": "my private question"}
    key = {"x-api-key": house.token("test")}
    assert requests.post(f"{house.url}/api/v1/run/echo", json=said, headers=key, timeout=10).status_code == 200
    with open_page(Browser(house.url)) as socket:
        for page in ["", *PAGES, "nonsense"]:
            sent = socket.visit(page, "flow=memory-chatbot")
            if page == "join":  # leads to the flow of its address, be there one or not
                assert_only_the_form(socket.visit(page, "flow=nonsense"))
                sent = sent.replace(b'href="/public_flow/memory-chatbot"', b"")
            assert_only_the_form(sent)
    for base in ["/public_flow/memory-chatbot", "/public_flow/nonsense", "/public_flow"]:
        with open_page(Browser(house.url), base=base) as socket:
            for page in ["", *PAGES]:
                assert_only_the_form(socket.visit(page))


def test_a_client_cannot_say_who_it_is(house: AppServer) -> None:
    for identity in (IDENTITY, LOCAL_OWNER):
        for name in ("X-Flowground-Caller", "x-flowground-caller", "X-FLOWGROUND-CALLER"):
            claims = {name: json.dumps(identity), "X-Flowground-Flow": "echo"}
            with open_page(Browser(house.url), headers=claims) as socket:
                assert_only_the_form(socket.visit())


PATHS = [
    "/", "/home", "/playground?flow=memory-chatbot", "/public_flow/memory-chatbot", "/api/openapi.json", "/api/v1/me",
    "/api/v1/run/memory-chatbot", "/api/v1/flows", "/app/static/../router.py", "/app/static/%2e%2e/home.py",
    "/static/../../config.yaml", "/media/../data/flowground.db", "/_stcore/metrics", "/_stcore/script-health-check",
    "/_stcore/agent/mcp", "/auth/login", "/flows/memory-chatbot.yaml",
]  # fmt: skip


def test_http_tells_strangers_nothing(house: AppServer) -> None:
    for path in PATHS:
        request = requests.Request("GET", f"{house.url}/").prepare()
        request.url = house.url + path  # as it stands: requests would tidy the dots away
        answer = requests.Session().send(request, timeout=10)
        assert [secret for secret in SECRETS[:-1] if secret in answer.content] == [], path
        assert b"st.navigation" not in answer.content, path


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:1"])
def test_a_conversation_from_elsewhere_is_refused(house: AppServer, server: AppServer, origin: str) -> None:
    """And a page."""
    for running in (house, server):
        browser, headers = Browser(running.url), {"Origin": origin}
        with pytest.raises(InvalidStatus, match="403"), open_page(browser, headers=headers):
            pass
        with pytest.raises(InvalidStatus, match="403"), open_chat(browser, "echo", headers=headers):
            pass


def test_strangers_are_told_nothing_by_a_conversation(house: AppServer) -> None:
    """Whatever they call the flow, themselves, or the page that they have."""
    spoofed = {"X-Flowground-Caller": json.dumps(IDENTITY), "X-Flowground-Flow": "echo"}
    for flow in ("memory-chatbot", "nonsense", "", "..%2Fecho"):
        for is_public in (False, True):
            with open_chat(Browser(house.url), flow, is_public=is_public, headers=spoofed) as chat:
                told = chat.read()
                assert (told["type"], told["reason"], told["text"]) == ("closed", "signed_out", "Sign in first.")
                assert chat.closed() == (4401, "signed_out")
    assert requests.get(f"{house.url}/chat?flow=echo", timeout=10).status_code == 404


def test_another_name_is_served_once_there_is_an_account(house: AppServer) -> None:
    host = f"flows.example.com:{house.port}"
    named = {"Host": host, "X-Forwarded-For": "203.0.113.9"}
    assert requests.get(house.url, headers=named, timeout=10).status_code == 200
    with open_page(Browser(house.url), headers=named | {"Origin": f"http://{host}"}) as socket:
        assert_only_the_form(socket.visit())


def test_nobody_fills_the_memory_with_files(house: AppServer, server: AppServer) -> None:
    """Streamlit takes them from whoever has a page open, and the sign-in page is one. No page of ours wants any."""
    for running, base in ((house, ""), (house, "/public_flow/echo"), (server, ""), (server, "/public_flow/echo")):
        browser = Browser(running.url)
        with open_page(browser, base=base) as page:
            page.visit()
            xsrf = {"X-Xsrftoken": browser.session.cookies["_streamlit_xsrf"]}
            url = f"{running.url}{base}/_stcore/upload_file/{page.session_id}/file"
            sent = browser.session.put(url, files={"file": ("a.txt", b"x")}, headers=xsrf, timeout=10)
            assert sent.status_code == 404
            told = requests.get(f"{running.url}{base}/_stcore/metrics", timeout=10)  # how many are here
            assert told.text == '{"detail":"Not Found"}'


def list_routes() -> list[tuple[str, str]]:
    """Every method and path that the app serves beside Streamlit's."""
    routes = [*create_api(Mock()).routes, *Web(ROOT).routes]
    each = [one for route in routes for one in getattr(getattr(route, "original_router", None), "routes", [route])]
    found = [(method, re.sub(r"\{\w+\}", "x", route.path)) for route in each for method in route.methods or ["POST"]]
    assert {("POST", "/api/v1/runs/x/decisions"), ("POST", "/file/upload"), ("POST", "/session/start")} <= set(found)
    return found


def test_no_route_waits_for_a_strangers_body(house: AppServer) -> None:
    """Half a body of 50 MB is sent, with everything that a stranger's browser has."""
    browser = Browser(house.url)
    for method, path in list_routes():
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nOrigin: {house.url}\r\n"
        head += f"Cookie: {browser.cookies}\r\nContent-Type: application/json\r\nContent-Length: 50000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", house.port), timeout=10) as connection:
            connection.sendall(head.encode() + b'{"a": "' + b"x" * 100_000)
            status = int(connection.recv(4_096).split()[1])
        is_open = path.startswith(
            ("/health", "/api/v1/version", "/api/openapi", "/openapi", "/session", "/public_flow")
        )
        assert status == 403 or (is_open and status in (200, 307, 400)), (method, path, status)


FOREIGN = [
    {"Host": "evil.example"}, {"Host": "localhost.evil.example"}, {"X-Forwarded-For": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"}, {"X-Real-IP": "127.0.0.1"}, {"Via": "1.1 proxy"}, {"Fly-Client-IP": "127.0.0.1"},
    {"X-Envoy-External-Address": "127.0.0.1"}, {"CDN-Loop": "a"}, {"X-Original-URL": "/"},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN)
def test_local_mode_serves_this_computer_only(server: AppServer, headers: dict[str, str]) -> None:
    """Neither routes, nor pages, nor conversations."""
    for path in ("/", "/health", "/api/v1/run/echo", "/_stcore/health", "/app/static/icon.svg"):
        assert requests.get(server.url + path, timeout=10).status_code in (200, 405)
        refused = requests.get(server.url + path, headers=headers, timeout=10)
        assert (refused.status_code, refused.json()["code"]) == (403, "local_mode")
    shown = requests.get(server.url, headers=headers | {"Accept": "text/html"}, timeout=10)
    assert (shown.status_code, "not open yet" in shown.text) == (403, True)
    browser = Browser(server.url)
    with open_chat(browser, "echo") as chat:
        assert chat.show()["messages"] == []
    headers = headers | {"Origin": f"http://{headers['Host']}" if "Host" in headers else server.url}
    with pytest.raises(InvalidStatus, match="403"), open_page(browser, headers=headers):
        pass
    with pytest.raises(InvalidStatus, match="403"), open_chat(browser, "echo", headers=headers):
        pass


def test_local_mode_shows_flows_at_once_but_gives_nothing_lasting(server: AppServer) -> None:
    spoofed = {"X-Flowground-Caller": json.dumps(LOCAL_OWNER)}
    with open_page(Browser(server.url), headers=spoofed) as socket:
        assert b"Memory Chatbot" in socket.visit()
        for query in ("", "code=", "code=2222-2222-2222"):
            sent = socket.visit("first_account", query)
            assert b"Owner code" in sent
            assert b"Create account" not in sent
