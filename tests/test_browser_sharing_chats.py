"""A chat in Debian's chromium as its owner hands it on: as a file, and as a link."""

import re

import pytest

from tests.acme import enter_as
from tests.axe import find_violations
from tests.open_page import Browser, Page, ask, choose, expect_count, flow_text, go, messages, still, visitor
from tests.servers import PUBLIC, AppServer, House

HOUSE = House(
    flows={"talk": flow_text("scripted:echo", "Talk Shop")},
    shared={"talk": PUBLIC},
    config={"sharing": {"allow_public": True}},
)


def begin_chat(page: Page, house: AppServer, text: str, *, at: str = "playground?flow=talk") -> None:
    ask(go(page, f"{house.url}/{at}"), text)
    page.get_by_role("button", name="More for this chat").wait_for()
    still(page)


def download(page: Page, house: AppServer, name: str) -> tuple[str, str]:
    """What this browser gets by the link: the file's name and what is in it."""
    link = page.get_by_role("dialog").get_by_role("link", name=name)
    answer = page.context.request.get(house.url + (link.get_attribute("href") or ""))
    assert answer.status == 200
    return answer.headers["content-disposition"].split('"')[1], answer.text()


@pytest.mark.parametrize("who", ["bob", None])
def test_a_chat_is_exported_from_the_head_and_from_its_row(house: AppServer, page: Page, who: str | None) -> None:
    if who:
        enter_as(page, house, who)
    at = "playground?flow=talk" if who else "public_flow/talk"
    go(page, f"{house.url}/{at}").get_by_text("What would you like to ask?").wait_for()
    assert page.get_by_role("button", name="More for this chat").count() == 0
    begin_chat(page, house, "Take this along", at=at)
    choose(page.get_by_role("button", name="More for this chat"), "Export")
    name, said = download(page, house, "Export as Markdown")
    assert (name, said.splitlines()[0]) == ("Take-this-along.md", "# Take this along")
    assert "## You\n\nTake this along\n\n## Talk Shop\n\nYou said: Take this along\n" in said
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    row = page.locator("[class*='st-key-sessions-row-']").filter(has_text="Take this along")
    row.hover()
    choose(row.get_by_role("button", name="More"), "Export")
    name, said = download(page, house, "Export as JSON")
    assert name == "Take-this-along.json"
    assert '"text":"You said: Take this along"' in said


def test_a_chat_is_shared_read_and_revoked(house: AppServer, browser: Browser, page: Page, axe: str) -> None:
    begin_chat(enter_as(page, house, "augusta"), house, "Between us")
    choose(page.get_by_role("button", name="More for this chat"), "Share")
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Create link").click()
    dialog.get_by_role("button", name="Create another link").wait_for()
    expect_count(dialog.locator("[data-testid=stBaseButton-primary]"), 0)
    still(page)
    link = re.search(r"http\S+/shared_chat\?id=\S+", dialog.get_by_text("/shared_chat?id=").inner_text())
    assert link is not None
    with visitor(browser) as other:
        go(enter_as(other, house, "bob"), link[0])
        other.get_by_role("article").get_by_text("You said: Between us").wait_for()
        other.get_by_text("Shared by Ada").wait_for()
        for width in (1280, 390):
            other.set_viewport_size({"width": width, "height": 800})
            assert find_violations(still(other), axe) == set()
            assert other.evaluate("document.scrollingElement.scrollWidth") <= width
        dialog.get_by_role("button", name="Revoke").click()
        dialog.get_by_role("button", name="Revoke").wait_for(state="detached")
        said = []
        for address in (link[0], f"{house.url}/shared_chat?id=unknown"):
            go(other, address).get_by_role("heading", name="You don't have access to this page").wait_for()
            other.get_by_role("button", name="Sign in as somebody else").wait_for()
            said.append(still(other).get_by_test_id("stMain").inner_text())
        assert said[0] == said[1]
    expect_count(messages(page), 2)
