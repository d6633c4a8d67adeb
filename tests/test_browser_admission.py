"""A server that is full, as a person meets it: their message waits, and is never lost."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.open_page import answers, composer, go, say, still, stop
from tests.test_admission import Crowd, serve
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
WAITS = "The server is busy: your message waits for its turn."


def test_a_message_waits_for_its_turn_and_is_answered(tmp_path: Path, page: "Page") -> None:
    with serve(tmp_path, runs_at_once=1) as server:
        crowd = Crowd(server)
        go(page, f"{server.url}/playground?flow=echo")
        say(page, "there is room")
        answers(page).get_by_text("there is room").wait_for()
        with crowd.fill(1):
            say(page, "worth waiting for")
            page.get_by_text(WAITS).wait_for()
            page.reload()
            page.get_by_text(WAITS).wait_for()
        answers(page).get_by_text("worth waiting for").wait_for()
        page.get_by_text(WAITS).wait_for(state="detached")
        assert crowd.count("complete") == 2


def test_stop_takes_a_waiting_message_back(tmp_path: Path, page: "Page") -> None:
    with serve(tmp_path, runs_at_once=1) as server:
        crowd = Crowd(server)
        go(page, f"{server.url}/playground?flow=echo")
        with crowd.fill(1):
            say(page, "on second thoughts")
            page.get_by_text(WAITS).wait_for()
            stop(page)
            eventually(lambda: composer(still(page)).input_value() == "on second thoughts")
        assert crowd.run().status_code == 200
        assert crowd.count("complete") == 1


def test_a_message_that_found_no_place_is_still_there(tmp_path: Path, page: "Page") -> None:
    with serve(tmp_path, runs_at_once=1, queue_seconds=0) as server:
        crowd = Crowd(server)
        go(page, f"{server.url}/playground?flow=echo")
        with crowd.fill(1):
            say(page, "what I typed")
            page.get_by_text("This server is answering as many requests as it can at once. Try again now.").wait_for()
            assert composer(still(page)).input_value() == "what I typed"
