"""A chat that is opened at one of two servers while the other one writes its answer, in Debian's chromium."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import Browser
from tests.chat_socket import ChatSocket, open_chat
from tests.open_page import answers, expect_count, say, still, stop
from tests.servers import AppServer
from tests.two_servers import two_servers

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
WAITS = ".fg-wait"
"""Where it stands that an answer is being written."""


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[AppServer, AppServer]]:
    with two_servers(tmp_path, f"sqlite:///{tmp_path}/shared.db") as both:
        yield both


@contextmanager
def answered_elsewhere(servers: tuple[AppServer, AppServer], page: "Page", flow: str) -> Iterator[ChatSocket]:
    """The chat at the first server, which writes its answer while the page shows it at the second."""
    first, second = servers
    with open_chat(Browser(first.url), flow) as here:
        here.show()
        here.say("Go")
        here.read_until("started")
        page.goto(f"{second.url}/playground?flow={flow}&session={here.session}")
        page.locator(WAITS).or_(answers(page).get_by_text("word1 ")).wait_for()
        yield here


def test_the_answer_grows_there_is_stopped_and_asked_again(servers: tuple[AppServer, AppServer], page: "Page") -> None:
    with answered_elsewhere(servers, page, "long") as here:
        answers(page).get_by_text("word1 ").wait_for()
        answers(page).get_by_text("word40 ").wait_for()
        stop(page)
        here.read_until("ended")
    still(page).get_by_text("Stopped.", exact=True).wait_for()
    expect_count(answers(page), 1)
    assert answers(page).inner_text().count("word1 ") == 1
    say(page, "Once more")
    answers(page).nth(1).get_by_text("word3 ").wait_for()
    stop(page)
    still(page)


def test_a_server_that_takes_its_time_is_told_and_a_killed_one_leaves_an_answer_to_try_again(
    servers: tuple[AppServer, AppServer], page: "Page"
) -> None:
    first, _ = servers
    with answered_elsewhere(servers, page, "silent") as here:
        os.kill(first.pid, signal.SIGSTOP)
        try:
            stop(page)
            page.get_by_text("Another process of this server is running it, and has not stopped it yet.").wait_for()
        finally:
            os.kill(first.pid, signal.SIGCONT)
        still(page).get_by_text("Stopped.", exact=True).wait_for()
        here.read_until("ended")
    with answered_elsewhere(servers, page, "silent"):
        first.kill()
    still(page).get_by_role("button", name="Try again").wait_for()
    page.locator(WAITS).wait_for(state="detached")
    expect_count(answers(page), 1)
