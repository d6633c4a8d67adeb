"""The other pages, with their menus and dialogs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from docs.pictures.acme import MISTAKE
from docs.pictures.chats import show_conversation
from flowground.messages import Usage
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunRecord
from tests.acme import enter_as
from tests.open_page import answers, choose, fill, go, open_menu, say, sign_in, still
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Locator, Page

Show = Callable[["Page", AppServer], None]
_ASKING = iter(("bob", "ivan", "mara", "noor"))
"""One for each look."""


def _show_path(page: "Page", server: AppServer, *, path: str, words: str, who: str | None = "augusta") -> None:
    if who:
        enter_as(page, server, who)
    page.goto(server.url + path)
    page.get_by_text(words).locator("visible=true").first.wait_for()
    if path != "/nowhere":  # which is no page of Streamlit's
        still(page).wait_for_load_state("networkidle")


def show_mistakes(page: "Page", server: AppServer) -> None:
    file = server.folder / "flows" / MISTAKE[0]
    file.write_text(MISTAKE[1], encoding="utf-8")
    try:
        enter_as(page, server, "olga")
        page.wait_for_timeout(1_500)  # the folder is looked at once a second
        go(page, server.url)
        page.get_by_text("1 file needs a correction").first.wait_for()
    finally:
        file.unlink()


def show_inside(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    session = page.url.partition("session=")[2]
    go(page, f"{server.url}/inside?flow=support&session={session}")
    page.locator('.fg-figure g.node[data-state="done"]').first.wait_for()


def show_mistakes_inside(page: "Page", server: AppServer) -> None:
    file = server.folder / "flows" / MISTAKE[0]
    file.write_text(MISTAKE[1], encoding="utf-8")
    try:
        enter_as(page, server, "olga")
        page.wait_for_timeout(1_500)  # the folder is looked at once a second
        go(page, f"{server.url}/inside?file={MISTAKE[0]}")
        page.locator(".fg-wrong").wait_for()
    finally:
        file.unlink()


_HANDBOOK = """\
name: Handbook
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
"""
_DOCUMENTS = {
    "Leave.md": b"# Leave\n\nEverybody has thirty days of leave a year; days that are left are lost in April.",
    "Travel costs.csv": b"city,a night\nLyon,120\nOslo,180\n",
    "Contract 2019.pdf": b"%PDF-1.7 cut off",
}


def show_knowledge(page: "Page", server: AppServer) -> None:
    file = server.folder / "flows" / "handbook.yaml"
    file.write_text(_HANDBOOK, encoding="utf-8")
    try:
        enter_as(page, server, "olga")
        page.wait_for_timeout(1_500)  # the folder is looked at once a second
        go(page, f"{server.url}/knowledge?flow=handbook")
        with page.expect_file_chooser() as chosen:
            page.get_by_role("button", name="Add files").click()
        documents: list[FilePayload] = [
            {"name": name, "mimeType": "", "buffer": data} for name, data in _DOCUMENTS.items()
        ]
        chosen.value.set_files(documents)
        page.get_by_text("2 passages of 2 files").wait_for()
        page.get_by_label("What would somebody ask?").fill("How many days of leave do I have?")
        page.get_by_role("button", name="Find passages").click()
        page.get_by_text("thirty days of leave").wait_for()
    finally:
        file.unlink()


def show_new_flow(page: "Page", server: AppServer) -> None:
    enter_as(page, server, "olga")
    go(page, server.url).get_by_role("button", name="New flow").click()
    fill(page, Name="Order status")
    page.get_by_role("button", name="Download order-status.yaml").wait_for()


def show_pane(page: "Page", server: AppServer, *, tab: str) -> None:
    enter_as(page, server, "olga")
    go(page, f"{server.url}/playground?flow=support").get_by_role("button", name="API access").click()
    page.get_by_role("dialog").get_by_role("tab", name=tab).click()
    still(page).wait_for_timeout(500)  # the tab's line slides


def show_publish(page: "Page", server: AppServer) -> None:
    enter_as(page, server, "augusta")
    go(page, f"{server.url}/playground?flow=support")
    open_menu(page.get_by_role("button", name="Publish")).get_by_role("switch").wait_for()


def show_audience(page: "Page", server: AppServer) -> None:
    show_publish(page, server)
    page.get_by_role("button", name="Who can open it").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("People and groups").click()
    dialog.get_by_text("can open it").first.wait_for()


def show_invitation(page: "Page", server: AppServer) -> None:
    """The page where it leads; made once, for who is not there yet."""
    enter_as(page, server, "augusta")
    go(page, f"{server.url}/organization").get_by_role("button", name="Invite somebody").click()
    fill(page, User_name=f"mia{abs(hash(page)) % 10_000}")
    page.get_by_role("textbox", name="Name", exact=True).fill("Mia Example")
    page.get_by_role("button", name="Make the invitation").click()
    link = page.get_by_role("dialog").get_by_text("/join?invitation=").first
    link.wait_for()
    address = _read_link(link, "/join?invitation=")
    page.context.clear_cookies()
    go(page, address).get_by_role("button", name="Set the password").wait_for()


def _read_link(shown: "Locator", path: str) -> str:
    """The address with this path in what is shown."""
    return next(word for word in shown.inner_text().split() if path in word)


def show_tab(page: "Page", server: AppServer, *, tab: str) -> None:
    enter_as(page, server, "augusta")
    go(page, f"{server.url}/organization").get_by_role("tab", name=tab).click()
    page.get_by_role("tabpanel", name=tab).get_by_test_id("stElementContainer").first.wait_for()
    if tab == "Tokens" and still(page).get_by_text("None yet").is_visible():
        server.token("nightly import")
        go(page, page.url).get_by_role("tab", name=tab).click()
    if tab == "Groups" and still(page).get_by_text("Sales", exact=True).count() == 0:
        fill(page, New_group="Sales")
        page.get_by_role("button", name="Create group").click()
        page.get_by_text("Sales", exact=True).first.wait_for()
    still(page).wait_for_timeout(500)  # the tab's line slides


def show_running(page: "Page", server: AppServer) -> None:
    enter_as(page, server, "augusta")
    say(go(page, f"{server.url}/playground?flow=essays"), "What is a release?")
    answers(page).get_by_text("Small ones").first.wait_for()
    go(page, f"{server.url}/organization").get_by_role("tab", name="What runs now").click()
    page.get_by_text("characters").first.wait_for()


def show_account(page: "Page", server: AppServer) -> None:
    """Of somebody who signed in by the form."""
    sign_in(go(page, server.url), "ivan")
    page.get_by_text("Choose one to chat with").wait_for()
    go(page, f"{server.url}/account").get_by_text("Download my data").first.wait_for()


def show_request(page: "Page", server: AppServer) -> None:
    _ask(enter_as(page, server, "zoe"), server, "For the lease in Bergen")
    page.context.clear_cookies()
    go(enter_as(page, server, "olga"), server.url).get_by_role("button", name="Approve").wait_for()


def show_declined(page: "Page", server: AppServer) -> None:
    """As who asked sees it while they wait; each may ask once a day."""
    _ask(enter_as(page, server, next(_ASKING)), server, "Before the audit in June")
    page.context.clear_cookies()  # the open page stays theirs
    owner = enter_as(page.context.new_page(), server, "olga")
    row = go(owner, server.url).locator("[class*='st-key-requests-home-']").filter(has_text="Before the audit")
    row.get_by_role("button", name="Deny").click()
    page.get_by_text("Your request was declined").wait_for()
    owner.close()


def _ask(page: "Page", server: AppServer, why: str) -> None:
    """For access, where it was not asked yet."""
    go(page, f"{server.url}/public_flow/contracts")
    if page.get_by_role("button", name="Request access").is_visible():
        fill(page, Why_do_you_need_it=why)
        page.get_by_role("button", name="Request access").click()
        page.get_by_text("your request is on its way").wait_for()


def show_away(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    server.stop()
    try:
        page.get_by_text("The server does not answer").first.wait_for(timeout=60_000)
    finally:
        server.start()


def show_public(page: "Page", server: AppServer, *, who: str | None) -> None:
    if who:
        enter_as(page, server, who)
    go(page, f"{server.url}/public_flow/support").get_by_role("button", name="Where is my parcel?").wait_for()


def show_shared_chat(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    choose(page.get_by_role("button", name="More for this chat"), "Share")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create link").click()
    address = _read_link(dialog.get_by_text("/shared_chat?id="), "/shared_chat?id=")
    page.context.clear_cookies()
    go(enter_as(page, server, "bob"), address).get_by_role("button", name="Continue as my copy").wait_for()


def show_feedback(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    page.get_by_role("button", name="Bad answer").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("It does not say what a gift card is refunded by.")
    dialog.get_by_role("button", name="Send").click()
    dialog.wait_for(state="detached")
    go(page, f"{server.url}/feedback?flow=support").get_by_text("gift card").first.wait_for()


async def _add_month(store: Store) -> None:
    """Runs of thirty days: fewer on weekends, some by a program, a bad day in the second week."""
    now = datetime.now(UTC)
    for day in range(30):
        at = now - timedelta(days=day, minutes=5)
        for number in range(3 if at.weekday() > 4 else 9 + day * 7 % 5):
            code = "model_busy" if number < (5 if day == 17 else 0) else "model_timeout" if number == day == 2 else None
            run = RunRecord(
                f"month-{day}-{number}", "support", "v", f"member:p{number}", "month", "failed" if code else "complete",
                at, 2.0, usage=None if code else Usage(310, 140), error_code=code, token=None if number % 4 else "t",
            )  # fmt: skip
            place: dict[str, Any] = {"flow_id": "support", "owner": run.owner, "session_id": "month"}
            await store.write(turns.finish_turn, **place, answers=[], run=run)


@cache
def _fill_month(server: AppServer) -> None:
    """Once, for all looks."""
    store = Store.open(Settings.load(server.config_file).database)
    try:
        with ThreadPoolExecutor(1) as elsewhere:  # Playwright holds this thread's event loop
            elsewhere.submit(asyncio.run, _add_month(store)).result()
    finally:
        store.close()


def show_usage(page: "Page", server: AppServer) -> None:
    _fill_month(server)
    enter_as(page, server, "olga")
    go(page, f"{server.url}/usage?flow=support").get_by_text("Runs a day").wait_for()


_PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "home": ("Home of an author", {"path": "/", "words": "Customer support", "who": "olga"}),
    "home-member": ("Home of a member", {"path": "/", "words": "Customer support", "who": "bob"}),
    "api-page": ("API access, the page", {"path": "/api_access?flow=support", "words": "Run this first"}),
    "api-no-flow": ("API access without a flow", {"path": "/api_access", "words": "Customer support"}),
    "no-rights": (
        "Not open to them",
        {"path": "/public_flow/contracts", "words": "Nothing here for you", "who": "bob"},
    ),
    "not-found": ("No such page", {"path": "/nowhere", "words": "There is no such page"}),
}
PLACES: dict[str, tuple[str, Show]] = {
    name: (title, partial(_show_path, **given)) for name, (title, given) in _PAGES.items()
} | {
    "home-mistakes": ("A file with a mistake", show_mistakes),
    "inside": ("Inside a flow, for authors", show_inside),
    "inside-mistakes": ("A file with a mistake, from inside", show_mistakes_inside),
    "knowledge": ("What a flow looks things up in, for authors", show_knowledge),
    "home-request": ("Somebody asks for access", show_request),
    "account": ("The account", show_account),
    "home-new-flow": ("A new flow", show_new_flow),
    "api-python": ("API access, Python", partial(show_pane, tab="Python")),
    "api-javascript": ("API access, JavaScript", partial(show_pane, tab="JavaScript")),
    "api-curl": ("API access, cURL", partial(show_pane, tab="cURL")),
    "api-overrides": ("Temporary overrides", partial(show_pane, tab="Temporary overrides")),
    "publish": ("The Publish menu", show_publish),
    "publish-audience": ("Who can open it", show_audience),
    "public-member": ("A shareable playground", partial(show_public, who="bob")),
    "public-guest": ("… for a guest", partial(show_public, who=None)),
    "shared-chat": ("A shared chat", show_shared_chat),
    "feedback": ("Feedback, for authors", show_feedback),
    "usage": ("Usage, for authors", show_usage),
    "organization-people": ("The organization", partial(show_tab, tab="People")),
    "organization-groups": ("Its groups", partial(show_tab, tab="Groups")),
    "organization-tokens": ("Its tokens", partial(show_tab, tab="Tokens")),
    "organization-running": ("What runs now", show_running),
    "join": ("An invitation", show_invitation),
    "sign-in": ("Signing in", partial(_show_path, path="/", words="Sign in to Acme", who=None)),
    "request-declined": ("A request was declined", show_declined),
    "server-away": ("The server is away", show_away),
}
ALONES: dict[str, tuple[str, Show]] = {
    "home-empty": ("Home without a flow", partial(_show_path, path="/", words="Create the first flow", who=None)),
    "first-account": ("The first account", partial(_show_path, path="/first_account", words="account", who=None)),
}
"""Of the local owner's app."""
