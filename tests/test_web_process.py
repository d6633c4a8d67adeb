"""The process from start to end: what the terminal says, what logs never say, that it really ends, and how little a
stranger may make it keep before it knows what is asked."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import pytest
import requests

from tests.open_page import Browser as Chromium
from tests.open_page import answers, flow_text, go, say, visitor
from tests.page_socket import Browser, open_page
from tests.running import chat_flow
from tests.servers import ROOT, AppServer, clean_environment, write_folder

SILENT = chat_flow("scripted:silent")
Command = Literal["streamlit", "uvicorn"]
COMMANDS: list[Command] = ["streamlit", "uvicorn"]


@pytest.mark.parametrize("by", COMMANDS)
def test_no_secret_of_an_address_is_logged(tmp_path: Path, by: Command) -> None:
    with AppServer(tmp_path, by=by) as server:
        for query in ("x-api-key=SECRET-1", "a=1&x%2dapi%2Dkey=SECRET-2", "X-API-KEY=SECRET-3", "code=SECRET-4&b=2"):
            requests.get(f"{server.url}/api/v1/nothing?{query}", timeout=10)
            requests.get(f"{server.url}/?{query}", timeout=10)
        with open_page(Browser(server.url), base="/public_flow/echo"):
            pass
        key = server.token("test")
        answer = requests.post(f"{server.url}/api/v1/run/echo?x-api-key={key}", json={"input_value": "hi"}, timeout=10)
        assert answer.status_code == 200
        log = server.log
    assert key not in log
    assert "SECRET" not in log
    if by == "uvicorn":
        assert 'GET /api/v1/nothing?a=1 HTTP/1.1" 404' in log
        assert "/?b=2" in log


def test_garbage_is_looked_for_once_the_process_stands(tmp_path: Path) -> None:
    script = """
import asyncio, gc
from app import web

async def look():
    before = gc.isenabled()
    async with web.lifespan(None):
        print(before, gc.isenabled(), gc.get_freeze_count() > 10_000)

asyncio.run(look())
"""
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=["echo"])
    environment = clean_environment(FLOWGROUND_CONFIG=str(config), PYTHONPATH=str(ROOT))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False True True\n", done.stderr


def test_the_terminal_says_what_there_is_and_what_is_wrong(tmp_path: Path) -> None:
    flows = {"good": SILENT, "bad": "components:\n  A: {type: ChatInputt}\n"}
    with AppServer(tmp_path, flows=flows) as server:
        log = server.log
    assert "Flowground: 1 flow, 1 with mistakes" in log
    assert re.search(r"bad\.yaml:2:\d+: .*ChatInputt", log)
    assert f"Open {server.url}\n" in log
    assert re.search(rf"Or open {server.url}/\?code=[\w-]{{14}}\n", log)


@pytest.mark.parametrize("by", COMMANDS)
def test_a_wrong_config_is_said_in_its_own_words(tmp_path: Path, by: Command) -> None:
    server = AppServer(tmp_path, by=by)
    write_folder(tmp_path, config={"organisation": {"name": "x"}}, flows=[])
    with pytest.raises(RuntimeError, match="ended with 1"):
        server.start()
    said = "Flowground cannot start:\n  config.yaml:1: organisation: unknown setting (did you mean organization?)"
    assert said in server.log
    assert "Traceback" not in server.log


def run(server: AppServer, key: str, of: Any = requests, **more: Any) -> Any:
    """An answer that never comes."""
    url = f"{server.url}/api/v1/run/silent?stream=true"
    return of.post(url, json={"input_value": "hi"}, headers={"x-api-key": key}, timeout=30, **more)


def tell_to_end(server: AppServer, how: signal.Signals = signal.SIGTERM) -> Any:
    assert server.process is not None
    server.process.send_signal(how)
    return server.process


@pytest.mark.parametrize("by", COMMANDS)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_open_stream_does_not_keep_the_process(tmp_path: Path, by: Command, how: signal.Signals) -> None:
    config = {"limits": {"shutdown_seconds": 0.5}}
    with AppServer(tmp_path, config=config, flows={"silent": SILENT}, by=by) as server:
        with run(server, server.token("test"), stream=True) as answer, open_page(Browser(server.url)) as page:
            assert answer.status_code == 200
            page.visit()
            began = time.monotonic()
            tell_to_end(server, how).wait(20)
        assert 0.4 < time.monotonic() - began < 9.5  # unless told otherwise it waits ten
        assert "Traceback" not in server.log


def test_during_the_grace_nobody_new_is_let_in_and_a_second_signal_ends_it(tmp_path: Path) -> None:
    config = {"limits": {"shutdown_seconds": 60}}
    with AppServer(tmp_path, config=config, flows={"silent": SILENT}) as server, requests.Session() as before:
        key = server.token("test")
        with run(server, key, stream=True):
            assert before.get(f"{server.url}/health", timeout=10).status_code == 200
            process = tell_to_end(server)
            assert is_closed_to_newcomers(server, within=30)
            answer = run(server, key, before)
            assert (answer.status_code, answer.json()["detail"]["code"]) == (503, "shutting_down")
            assert process.poll() is None
            tell_to_end(server).wait(40)  # the grace is a minute


def is_closed_to_newcomers(server: AppServer, *, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            requests.get(f"{server.url}/health", timeout=10)
        except requests.ConnectionError:
            return True
    return False


def test_an_open_page_sees_its_answer_end_while_the_process_ends(tmp_path: Path, browser: Chromium) -> None:
    words = [f"word{number}" for number in range(120)]
    with AppServer(tmp_path, flows={"slow": flow_text("scripted:slow")}) as server, visitor(browser) as page:
        go(page, f"{server.url}/playground?flow=slow")
        say(page, " ".join(words))
        answers(page).get_by_text("word3").wait_for()
        assert "word119" not in answers(page).inner_text()
        process = tell_to_end(server)
        answers(page).get_by_text("word119").wait_for()
        process.wait(20)


def test_the_api_answers_json_where_nothing_is(server: AppServer) -> None:
    known = ("/api", "/api/v1/nothing", "/v1/x", "/lf/x", "/mcp", "/health/x", "/api/v1/run/a/b")
    asked_by_clients = ("/logs", "/logs-stream", "/docs", "/redoc")
    for path in (*known, *asked_by_clients, "//api", "//api/v1/version", "/API", "/Api/v1/version"):
        answer = requests.get(server.url + path, timeout=10)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json"), path
    document = requests.get(f"{server.url}/openapi.json", timeout=10)
    assert document.url == f"{server.url}/api/openapi.json"
    assert "/api/v1/run/{flow_id}" in document.json()["paths"]
    assert requests.get(f"{server.url}/api/v1/run/echo", timeout=10).status_code == 405


@pytest.mark.parametrize("path", ["/", "/health", "/api/v1/nothing", "/playground", "/public_flow/echo"])
def test_answers_carry_security_headers(server: AppServer, path: str) -> None:
    """No other site frames a page, and pages ask the browser for less."""
    headers = requests.get(server.url + path, timeout=10).headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "same-origin")
    frames = "'none'" if path in ("/health", "/api/v1/nothing") else "'self'"
    assert f"frame-ancestors {frames}" in headers["content-security-policy"]
    if path == "/":
        assert "img-src 'self' data: blob:" in headers["content-security-policy"]
        assert (headers["cross-origin-opener-policy"], headers["x-dns-prefetch-control"]) == ("same-origin", "off")
        assert {"camera=()", "microphone=()", "geolocation=()"} < set(headers["permissions-policy"].split(", "))


PIECE = b"a" * 100_000
PIECES = 200
"""20 MB: more than any socket's buffers take in while the server does not read."""


HOST = b" HTTP/1.1\r\nHost: 127.0.0.1\r\n"
BEGUN = {
    "address": b"GET /",
    "header": b"GET /health" + HOST + b"x-long: ",
    "second request": b"GET /health" + HOST + b"\r\nGET /health HTTP/1.1\r\nx-long: ",
    "trailer": b"POST /session/start" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-long: ",
}


@pytest.mark.parametrize("where", BEGUN)
def test_a_head_without_an_end_is_hung_up_on(server: AppServer, where: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(BEGUN[where])
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            client.sendall(PIECE * PIECES)


def test_half_a_ticket_is_given_up(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"], config={"limits": {"request_seconds": 0.5}}) as server:
        head = (
            f"POST /session/start HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nOrigin: {server.url}\r\n"
            f"Cookie: {Browser(server.url).cookies}\r\nContent-Length: 100\r\n\r\n{{"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as slow:
            slow.sendall(head.encode())
            answer = b""
            while piece := slow.recv(65_536):
                answer += piece
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as leaving:
            leaving.sendall(head.encode())
        assert requests.get(f"{server.url}/health", timeout=30).status_code == 200
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert "Traceback" not in server.log
