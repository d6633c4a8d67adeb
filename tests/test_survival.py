"""What was acknowledged survives `kill -9`: through the API, under load, ten times."""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed

from tests.browser import Browser
from tests.chat_socket import open_chat
from tests.open_page import flow_text
from tests.servers import AppServer

LOADED_BY = 6


def _keep_asking(server: AppServer, token: str, name: str, answered: dict[str, str]) -> None:
    """Runs until the server is gone; notes what each 200 said, by session."""
    with requests.Session() as client:
        client.headers["x-api-key"] = token
        for turn in range(10_000):
            session = f"{turn}-{name}"
            try:
                response = client.post(
                    f"{server.url}/api/v1/run/echo", json={"input_value": session, "session_id": session}, timeout=10
                )
            except requests.RequestException:
                return
            if response.status_code == 200:
                answered[session] = response.json()["outputs"][0]["outputs"][0]["artifacts"]["message"]


def _stored(folder: Path) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(folder / "data" / "flowground.db")) as database:
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
            threading.Thread(target=_keep_asking, args=(server, token, f"{number}-{server.pid}", answered))
            for number in range(LOADED_BY)
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
    [(b'"started"', ""), (b"word25", "word3"), (b"word45", "word10")],
    ids=["at once", "soon", "later"],
)
def test_a_page_offers_to_ask_again_what_kill_9_cut(tmp_path: Path, last_read: bytes, left: str) -> None:
    """What was kept of it stands there, as interrupted."""
    server = AppServer(tmp_path, flows={"slow": flow_text("scripted:long", "Slow")}).start()
    with suppress(ConnectionClosed), open_chat(Browser(server.url), "slow") as chat:
        chat.show()
        chat.say("cut in the middle")
        while last_read not in chat.spell():
            chat.read()
        server.kill()
    with closing(sqlite3.connect(tmp_path / "data" / "flowground.db")) as database:
        assert database.execute("SELECT role FROM messages").fetchall() == [("user",)]
        assert database.execute("SELECT status FROM runs").fetchall() == [("running",)]
    server.start()
    try:
        with open_chat(Browser(server.url), "slow") as page:
            question, answer = page.show(chat.session)["messages"]
            assert (question["text"], answer["state"]) == ("cut in the middle", "interrupted")
            assert (left in answer["text"], bool(answer["text"])) == (True, bool(left))
            page.send("again", id="again", session=page.session, message=answer["id"])
            assert page.read_until("started")["question"]["text"] == "cut in the middle"
            page.send("stop")
            page.read_until("ended")
        with closing(sqlite3.connect(tmp_path / "data" / "flowground.db")) as database:
            assert database.execute("SELECT status FROM runs").fetchall() == [("interrupted",), ("stopped",)]
    finally:
        server.stop()
