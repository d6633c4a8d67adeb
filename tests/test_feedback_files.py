"""A flow's feedback as a table, over HTTP: whole, bounded, with no cell that a program for tables would run."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from flowground.access import feedback as access_feedback
from flowground.access.feedback import list_all
from flowground.app.runtime import Runtime
from flowground.settings import Settings
from flowground.store.connections import Database
from flowground.store.runs import feedback, turns
from flowground.store.runs.feedback import FeedbackFilter
from flowground.store.runs.records import StoredMessage
from tests.house import SHARED, House
from tests.open_page import flow_text
from tests.organization import sign_in
from tests.page_socket import Browser
from tests.servers import AppServer
from tests.tickets import open_browser

HOUSE = House(flows={"talk": flow_text("scripted:echo", "Talk")}, shared={"talk": SHARED})
AT = datetime(2026, 1, 2, 23, 4, 5, tzinfo=UTC)
REASONS = [
    ("=1+1", "'=1+1"),
    ("+49 30", "'+49 30"),
    ("-1", "'-1"),
    ("@SUM(A1)", "'@SUM(A1)"),
    ("  =cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
    ("\t=1", "'=1"),
    ("\r\n=1", "'=1"),
    ("＝1", "'＝1"),
    ('"=1"', '"\'=1"'),
    ("well;=1+1", "well;'=1+1"),
    ("well, -1", "well, '-1"),
    ("a = b - c", "a = b - c"),
    ("- one\n- two", "'- one - two"),
    ('He said "no", twice', 'He said "no", twice'),
    ("Zürich 東京", "Zürich 東京"),
]
"""What somebody wrote, and what stands in the cell."""
SECRET = "the question of somebody who shares nothing"


@pytest.fixture(scope="module", autouse=True)
def _rated(house: AppServer) -> None:
    """What bob thinks of answers: one after the other, the last one shared."""
    engine = Database.make(Settings.load(house.config_file).database).writer
    place: dict[str, Any] = {"flow_id": "talk", "owner": "member:bob", "session_id": "s"}
    with engine.begin() as connection:
        for number, (reason, _) in enumerate(REASONS):
            is_last = number == len(REASONS) - 1
            at, run = AT + timedelta(minutes=number), f"r{number}"
            asked = "=A1 asked" if is_last else SECRET
            for message in (
                StoredMessage(f"q{number}", "user", asked, "complete", at, run),
                StoredMessage(f"a{number}", "assistant", "said", "complete", at, run, model="scripted:echo"),
            ):
                turns.begin_turn(connection, **place, message=message)
            feedback.rate(connection, **place, message_id=f"a{number}", value="good" if is_last else "bad")
            told: dict[str, Any] = {"labels": ["wrong"], "reason": reason, "shares_conversation": is_last}
            feedback.explain(connection, **place, message_id=f"a{number}", **told)
    engine.dispose()


def ask(browser: Browser, **asked: str) -> requests.Response:
    return browser.session.get(f"{browser.url}/export/feedback", params={"flow": "talk"} | asked, timeout=20)


def read(answer: requests.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


@pytest.fixture
def ada(house: AppServer) -> Browser:
    return open_browser(house, "augusta")


def test_no_cell_is_a_formula_and_every_other_text_stays(ada: Browser) -> None:
    answer = ask(ada)
    rows = read(answer)
    told = [answer.headers[name] for name in ("content-type", "content-disposition", "cache-control")]
    assert told == ["text/csv; charset=utf-8", 'attachment; filename="feedback-talk.csv"', "no-store"]
    assert [row["reason"] for row in reversed(rows)] == [written for _, written in REASONS]
    assert " ".join(rows[0]) == "time rating labels reason model version question answer overrides"
    assert {(row["labels"], row["model"]) for row in rows} == {("wrong", "scripted:echo")}


def test_of_a_conversation_it_has_what_its_person_shares(ada: Browser) -> None:
    rows = read(ask(ada))
    assert (rows[0]["question"], rows[0]["answer"]) == ("'=A1 asked", "said")
    assert {(row["question"], row["answer"]) for row in rows[1:]} == {("", "")}
    assert "bob" not in ask(ada).text
    assert [row["rating"] for row in read(ask(ada, rating="good"))] == ["good"]
    assert len(read(ask(ada, rating="bad", explained="yes"))) == len(REASONS) - 1
    assert read(ask(ada, since="99999999999")) == []


@pytest.mark.parametrize("asked", ["flow=unknown", "flow=", "rating=best", "since=nan", "since=-1", "since=1e999"])
def test_everything_else_is_the_same_404(ada: Browser, house: AppServer, asked: str) -> None:
    answer, others = ask(ada, **dict([asked.split("=")])), ask(open_browser(house, "bob"))
    assert (answer.status_code, answer.content) == (others.status_code, others.content)
    assert answer.status_code == 404


@pytest.mark.anyio
async def test_it_ends_somewhere(acme: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more ratings than a file has, the newest."""
    monkeypatch.setattr(access_feedback, "MOST_LISTED", 5)
    monkeypatch.setattr(access_feedback, "_PART", 2)
    place: dict[str, Any] = {"flow_id": "talk", "owner": "member:bob", "session_id": "s"}
    for number in range(7):
        said = StoredMessage(f"a{number}", "assistant", "said", "complete", AT, f"r{number}")
        await acme.store.write(turns.begin_turn, **place, message=said)
        await acme.store.write(feedback.rate, **place, message_id=f"a{number}", value="bad")
    listed = list_all(acme.access, await sign_in(acme, "olga"), "talk", FeedbackFilter())
    assert len({item.message_id async for item in listed}) == 5
