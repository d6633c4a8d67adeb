"""Getting in with a real browser: by the printed link, and past strangers who tried one's name."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flowground.errors import NotSignedIn
from flowground.settings import Settings
from flowground.sign_in import SignIn
from flowground.store import Store
from tests.open_page import fill, go, sign_in, still, visitor
from tests.people import PASSWORD
from tests.servers import AppServer
from tests.test_local_mode import code_of
from tests.waiting import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_by_link_a_browser_is_let_in_once_and_for_all(browser: "Browser", tmp_path: Path) -> None:
    with AppServer(tmp_path, config={"local_mode": "link"}) as server:
        with visitor(browser) as page:
            go(page, f"{server.url}/?code={code_of(server)}")
            page.get_by_role("link", name="Memory Chatbot").wait_for()
            page.wait_for_url(lambda url: "code=" not in url)
            eventually(lambda: [each for each in page.context.cookies() if each.get("httpOnly")])  # it is let in now
            go(page, server.url)
            page.get_by_role("link", name="Memory Chatbot").wait_for()
            assert page.evaluate("document.cookie").count("flowground") == 0
        with visitor(browser) as page:
            go(page, f"{server.url}/playground?flow=echo")
            page.get_by_text("Open the link of the terminal").wait_for()
            still(page)
            fill(page, **{"Owner code": code_of(server)})
            page.get_by_role("button", name="Continue").click()
            page.get_by_role("heading", name="Echo").wait_for()


def strangers_try(server: AppServer, name: str) -> None:
    """Until the name is shut at the address everybody has here."""

    async def guess() -> None:
        settings = Settings.load(server.config_file)
        store = Store.open(settings.database)
        door = SignIn(settings, store)
        await door.roster.start()
        for _ in range(6):
            with suppress(NotSignedIn):
                await door.check_password(name, "wrong password", "this computer")
        assert await door.tries.find_wait(name, "this computer") > 0
        door.close()
        store.close()

    with ThreadPoolExecutor(1) as other_thread:  # this one's loop is the browser's
        other_thread.submit(asyncio.run, guess()).result()


def test_strangers_do_not_shut_the_browser_out_that_signed_in_before(browser: "Browser", tmp_path: Path) -> None:
    with AppServer(tmp_path) as server:
        server.member("mia", PASSWORD, "admin")
        with visitor(browser) as page:
            go(page, server.url)
            sign_in(page, "mia")
            page.get_by_role("link", name="Memory Chatbot").wait_for()
            page.locator(".st-key-sign_out button:visible").click()
            page.get_by_label("User name").wait_for()
            still(page)
            strangers_try(server, "mia")
            sign_in(page, "mia")
            page.get_by_role("link", name="Memory Chatbot").wait_for()
        with visitor(browser) as page:
            go(page, server.url)
            sign_in(page, "mia")
            still(page).get_by_text("Too many wrong passwords").wait_for()
