"""The process from start to end: what the terminal says, what logs never say, and that it really ends."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
import requests

from tests.open_page import answers, flow_text, go, say, visitor
from tests.page_socket import Browser, open_page
from tests.servers import ROOT, AppServer, clean_environment, write_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium

SILENT = """
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:silent", input_value: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
COMMANDS: list[Literal["streamlit", "uvicorn"]] = ["streamlit", "uvicorn"]


@pytest.mark.parametrize("by", COMMANDS)
def test_no_secret_of_an_address_is_logged(tmp_path: Path, by: Literal["streamlit", "uvicorn"]) -> None:
    with AppServer(tmp_path, by=by) as server:
        for query in ("x-api-key=SECRET-1", "a=1&x%2dapi%2Dkey=SECRET-2", "X-API-KEY=SECRET-3", "code=SECRET-4&b=2"):
            requests.get(f"{server.url}/api/v1/nothing?{query}", timeout=10)
            requests.get(f"{server.url}/?{query}", timeout=10)
        with open_page(Browser(server.url), base="/public_flow/echo"):
            pass
        log = server.log
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
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "False True True\n", done.stderr


def test_a_key_in_the_address_still_works(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"], by="uvicorn") as server:
        key = server.token("test")
        answer = requests.post(f"{server.url}/api/v1/run/echo?x-api-key={key}", json={"input_value": "hi"}, timeout=10)
        assert answer.status_code == 200
        assert key not in server.log


def test_the_terminal_says_what_there_is_and_what_is_wrong(tmp_path: Path) -> None:
    flows = {"good": SILENT, "bad": "components:\n  A: {type: ChatInputt}\n"}
    with AppServer(tmp_path, flows=flows) as server:
        log = server.log
    assert "Flowground: 1 flow, 1 with mistakes" in log
    assert re.search(r"bad\.yaml:2:\d+: .*ChatInputt", log)
    assert f"Open {server.url}\n" in log
    assert re.search(rf"Or open {server.url}/\?code=[\w-]{{14}}\n", log)


def test_the_code_is_not_printed_once_there_are_accounts(tmp_path: Path) -> None:
    with AppServer(tmp_path, config={"credentials": {"usernames": {"ada": {"roles": ["admin"]}}}}) as server:
        assert "owner code" not in server.log


@pytest.mark.parametrize("by", COMMANDS)
def test_a_wrong_config_is_said_in_its_own_words(tmp_path: Path, by: Literal["streamlit", "uvicorn"]) -> None:
    server = AppServer(tmp_path, by=by)
    write_folder(tmp_path, config={"organisation": {"name": "x"}}, flows=[])
    with pytest.raises(RuntimeError, match="ended with 1"):
        server.start()
    said = "Flowground cannot start:\n  config.yaml:1: organisation: unknown setting (did you mean organization?)"
    assert said in server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize("by", COMMANDS)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_open_stream_does_not_keep_the_process(
    tmp_path: Path, by: Literal["streamlit", "uvicorn"], how: signal.Signals
) -> None:
    config = {"limits": {"shutdown_seconds": 0.5}}
    with AppServer(tmp_path, config=config, flows={"silent": SILENT}, by=by) as server:
        with requests.post(
            f"{server.url}/api/v1/run/silent?stream=true",
            json={"input_value": "hi"},
            headers={"x-api-key": server.token("test")},
            stream=True,
            timeout=30,
        ) as stream:
            assert stream.status_code == 200
            with open_page(Browser(server.url)) as page:
                page.visit()
                assert server.process is not None
                server.process.send_signal(how)
                began = time.monotonic()
                server.process.wait(20)
        assert 0.4 < time.monotonic() - began < 9.5  # unless told otherwise it waits ten
        assert "Traceback" not in server.log


def test_a_second_signal_ends_the_grace(tmp_path: Path) -> None:
    with AppServer(tmp_path, config={"limits": {"shutdown_seconds": 60}}, flows={"silent": SILENT}) as server:
        key = server.token("test")
        url = f"{server.url}/api/v1/run/silent?stream=true"
        with requests.post(url, json={}, headers={"x-api-key": key}, stream=True, timeout=30):
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert is_closed_to_newcomers(server, within=30)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(40)  # the grace is a minute


def is_closed_to_newcomers(server: AppServer, *, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            requests.get(f"{server.url}/health", timeout=10)
        except requests.ConnectionError:
            return True
    return False


@pytest.mark.browser
def test_an_open_page_sees_its_answer_end_while_the_process_ends(tmp_path: Path, browser: "Chromium") -> None:
    words = [f"word{number}" for number in range(120)]
    with AppServer(tmp_path, flows={"slow": flow_text("scripted:slow")}) as server, visitor(browser) as page:
        go(page, f"{server.url}/playground?flow=slow")
        say(page, " ".join(words))
        answers(page).get_by_text("word3").wait_for()
        assert "word119" not in answers(page).inner_text()
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        answers(page).get_by_text("word119").wait_for()
        server.process.wait(20)


def test_during_the_grace_nobody_new_is_let_in(tmp_path: Path) -> None:
    config = {"limits": {"shutdown_seconds": 60}}
    with AppServer(tmp_path, config=config, flows={"silent": SILENT}) as server, requests.Session() as before:
        key = server.token("test")
        url, headers = f"{server.url}/api/v1/run/silent", {"x-api-key": key}
        assert before.get(f"{server.url}/health", timeout=10).status_code == 200
        with requests.post(f"{url}?stream=true", json={}, headers=headers, stream=True, timeout=30):
            assert server.process is not None
            server.process.send_signal(signal.SIGTERM)
            assert is_closed_to_newcomers(server, within=30)
            answer = before.post(url, json={}, headers=headers, timeout=10)
            assert (answer.status_code, answer.json()["detail"]["code"]) == (503, "shutting_down")
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(20)


def test_the_api_answers_json_where_nothing_is(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"]) as server:
        known = ("/api", "/api/v1/nothing", "/v1/x", "/lf/x", "/mcp", "/health/x", "/api/v1/run/a/b")
        asked_by_clients = ("/logs", "/logs-stream", "/docs", "/redoc")
        for path in (*known, *asked_by_clients, "//api", "//api/v1/version", "/API", "/Api/v1/version"):
            answer = requests.get(server.url + path, timeout=10)
            assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json"), path
        document = requests.get(f"{server.url}/openapi.json", timeout=10)
        assert document.url == f"{server.url}/api/openapi.json"
        assert "/api/v1/run/{flow_id}" in document.json()["paths"]
        assert requests.get(f"{server.url}/api/v1/run/echo", timeout=10).status_code == 405


def test_answers_carry_security_headers(server: AppServer) -> None:
    for path in ("/", "/health", "/api/v1/nothing", "/playground", "/public_flow/echo"):
        headers = requests.get(server.url + path, timeout=10).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors" in headers["content-security-policy"]
    assert "img-src 'self' data: blob:" in requests.get(server.url, timeout=10).headers["content-security-policy"]
