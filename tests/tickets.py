"""Signs a test's browser in as the sign-in page does after the password was right: by a one-time ticket."""

import asyncio

from flowground.access.sign_in import SignIn
from flowground.settings import Settings
from flowground.store import Store
from flowground.web.cookies import take_cookies
from tests.page_socket import Browser
from tests.servers import AppServer


def ticket_for(server: AppServer, member: str | None, browser: Browser) -> str:
    """A ticket of the running server for this browser; `member` None is the local owner."""

    async def issue() -> str:
        settings = Settings.load(server.config_file)
        store = Store.open(settings.database)
        sign_in = SignIn(settings, store)
        try:
            await sign_in.roster.start()
            headers = [(b"cookie", browser.cookies.encode())]
            sent, _ = take_cookies(headers, settings.cookie.name, is_secure=False)
            return await sign_in.issue_ticket(member, sent.visitor)
        finally:
            sign_in.close()
            store.close()

    return asyncio.run(issue())


def open_browser(server: AppServer, member: str) -> Browser:
    """A browser that has the member's cookie."""
    browser = Browser(server.url)
    answer = browser.post("/session/start", {"ticket": ticket_for(server, member, browser)})
    assert answer.status_code == 200, answer.text
    return browser
