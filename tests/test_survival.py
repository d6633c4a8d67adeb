"""What was acknowledged survives `kill -9`: through the API, under load, ten times."""

import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest
import requests

from tests.open_page import flow_text
from tests.page_socket import Browser, open_page
from tests.servers import AppServer

LOADED_BY = 6


def _keep_asking(server: AppServer, token: str, number: int, answered: dict[str, str]) -> None:
    """Runs until the server is gone; notes what each 200 said, by session."""
    with requests.Session() as client:
        client.headers["x-api-key"] = token
        for turn in range(10_000):
            session = f"{number}-{turn}-{server.pid}"
            try:
                response = client.post(
                    f"{server.url}/api/v1/run/echo", json={"input_value": session, "session_id": session}, timeout=10
                )
            except requests.RequestException:
                return
            if response.status_code == 200:
                answered[session] = response.json()["outputs"][0]["outputs"][0]["artifacts"]["message"]


def _stored(folder: Path) -> set[tuple[str, str, str]]:
    with sqlite3.connect(folder / "data" / "flowground.db") as database:
        rows = database.execute(
            "SELECT session_id, role, text FROM messages JOIN sessions ON sessions.id = messages.session"
        )
        return set(rows)


def test_ten_kills_under_load_lose_nothing_that_was_answered(tmp_path: Path) -> None:
    server = AppServer(tmp_path, flows=["echo"])
    token = server.token("load")
    answered: dict[str, str] = {}
    for _ in range(10):
        server.start()
        before = len(answered)
        askers = [
            threading.Thread(target=_keep_asking, args=(server, token, number, answered)) for number in range(LOADED_BY)
        ]
        for asker in askers:
            asker.start()
        while len(answered) < before + 40 and any(asker.is_alive() for asker in askers):
            askers[0].join(0.01)
        server.kill()
        for asker in askers:
            asker.join()
        assert len(answered) >= before + 40
    stored = _stored(tmp_path)
    missing = [
        session
        for session, said in answered.items()
        if {(session, "user", session), (session, "assistant", said)} - stored
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("last_read", "left"),
    [
        (b"word3", [b"This was interrupted before an answer was kept."]),
        (b"word45", [b"word10", b"Interrupted: the server stopped while it wrote this."]),
    ],
    ids=["at once", "after some seconds"],
)
def test_a_page_offers_to_ask_again_what_kill_9_cut(tmp_path: Path, last_read: bytes, left: list[bytes]) -> None:
    server = AppServer(tmp_path, flows={"slow": flow_text("scripted:long", "Slow")}).start()
    with open_page(Browser(server.url)) as page:
        page.visit("playground", "flow=slow")
        page.send(page.message("cut in the middle"))
        end = time.monotonic() + 20
        while last_read not in page.received(within=0.2):
            assert time.monotonic() < end
        server.kill()
    with sqlite3.connect(tmp_path / "data" / "flowground.db") as database:
        ((session, role),) = database.execute(
            "SELECT session_id, role FROM messages JOIN sessions ON sessions.id = messages.session"
        )
        assert database.execute("SELECT status FROM runs").fetchall() == [("running",)]
    assert role == "user"
    server.start()
    try:
        with open_page(Browser(server.url)) as page:
            shown = page.visit("playground", f"flow=slow&session={session}")
        assert [text for text in (*left, b"Try again") if text not in shown] == []
        with sqlite3.connect(tmp_path / "data" / "flowground.db") as database:
            assert database.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]
    finally:
        server.stop()


def test_a_stream_goes_on_after_its_connection_was_lost(tmp_path: Path) -> None:
    flows = {"slow": flow_text("scripted:long", "Slow")}
    with AppServer(tmp_path, flows=flows, config={"limits": {"resume_seconds": 20}}) as server:
        headers = {"x-api-key": server.token("t")}
        address = f"{server.url}/api/v1/run/slow?stream=sse&shape=simple"
        text, last = "", ""
        with requests.post(address, json={}, headers=headers, stream=True, timeout=20) as stream:
            for line in stream.iter_lines():
                last = line.decode()[4:] if line.startswith(b"id: ") else last
                text += json.loads(line[6:])["text"] if line.startswith(b"data: ") else ""
                if "word5 " in text and not line:  # a blank line ends an event
                    break
        run = last.partition("/")[0]
        again = f"{server.url}/api/v1/runs/{run}/events"
        with requests.get(again, headers=headers | {"Last-Event-ID": last}, stream=True, timeout=20) as stream:
            events = stream.text.split("\n\n")
        data = [json.loads(event.partition("data: ")[2]) for event in events if "event: token" in event]
        end = json.loads(next(event for event in events if "event: end" in event).partition("data: ")[2])
        assert text + "".join(piece["text"] for piece in data) == end["text"]
        assert end["text"].count("word") == 200
