"""The organization of browser tests, and what its people do at a page."""

from concurrent.futures import ThreadPoolExecutor

from tests.open_page import Page, flow_text, go, open_menu, still
from tests.page_socket import open_browser
from tests.servers import AppServer, House

LOOKS = {"title": "The echo of Acme", "icon": "🏔", "notice": "Answers may be wrong.", "welcome": "Speak."}
FLOWS = {
    "echo": flow_text("scripted:echo", "Echo", **LOOKS),
    "talk": flow_text("scripted:echo", "Talk"),
    "hidden": flow_text("scripted:echo", "Hidden"),
}
ADMINS_PAGES = [
    *(
        "/",
        "/playground?flow=echo",
        "/inside?flow=echo",
        "/feedback?flow=echo",
        "/usage?flow=echo",
        "/api_access?flow=echo",
        "/api_access",
        "/organization",
    ),
    "/account",
]
"""The addresses of all pages that an admin has, of the flow `echo`."""
ACME = House(config={"organization": {"name": "Acme"}}, flows=FLOWS)


def enter_as(page: Page, house: AppServer, name: str) -> Page:
    """Without the form: the browser has the cookie."""
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright holds this thread's event loop
        jar = elsewhere.submit(open_browser, house, name).result().session.cookies
    page.context.add_cookies(
        [{"name": str(item.name), "value": str(item.value), "url": house.url, "httpOnly": True} for item in jar]
    )
    return page


def switch(page: Page, house: AppServer, flow: str, *, on: bool) -> None:
    """The toggle of the Publish menu; the menu stays open."""
    go(page, f"{house.url}/playground?flow={flow}")
    toggle = open_menu(page.get_by_role("button", name="Publish")).get_by_role("switch")
    toggle.wait_for()
    if toggle.is_checked() != on:
        page.get_by_text("Shareable Playground").click()
        if not on:
            is_off, end = page.get_by_text("Off: only authors"), page.get_by_role("button", name="Stop sharing")
            is_off.or_(end).wait_for()
            if end.is_visible():  # others used it today
                end.click()
                end.wait_for(state="detached")
                still(page)
                open_menu(page.get_by_role("button", name="Publish"))
    page.get_by_text("Shared with your organization. They" if on else "Off: only authors").wait_for()
    still(page)


def await_composer(page: Page) -> None:
    """Waits until one may type."""
    page.get_by_role("textbox", name="Message", exact=True).wait_for()
