"""Sign-in, share link and first account in a real browser."""

import re
from pathlib import Path

from tests.open_page import STILL, Browser, Page, Response, fill, go, sign_in, visitor
from tests.page_socket import Browser as RawBrowser
from tests.page_socket import open_page
from tests.people import CREDENTIALS, PASSWORD
from tests.servers import SHARED, AppServer, House
from tests.waiting import eventually

HOUSE = House(config={"organization": {"name": "Example *Works*"}}, shared={"memory-chatbot": SHARED})


def test_a_share_link_asks_for_sign_in_and_comes_back_without_a_stumble(house: AppServer, page: Page) -> None:
    answers: list[Response] = []
    complaints: list[str] = []
    page.on("response", lambda answer: answers.append(answer))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    link = f"{house.url}/public_flow/memory-chatbot?x=1"
    go(page, f"{house.url}/public_flow/memory-chatbot/").get_by_text("Sign in to").wait_for()  # a slash does not matter
    go(page, link).get_by_text("Sign in to Example *Works*").wait_for()
    assert "Memory" not in page.content()
    sign_in(page, "augusta")
    page.get_by_text("Memory Chatbot").first.wait_for()
    assert page.url == link
    page.reload()
    page.get_by_text("Memory Chatbot").first.wait_for()
    assert page.url == link
    cookie = {cookie["name"]: cookie for cookie in page.context.cookies()}["flowground"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert "flowground=" not in page.evaluate("document.cookie")
    assert complaints == []
    assert [answer.url for answer in answers if answer.status >= 400] == []
    origins = {re.sub(r"^(https?://[^/]+|data:|blob:).*", r"\1", answer.url) for answer in answers}
    assert origins <= {house.url, "data:", "blob:"}  # blob: the two lines that load the conversation's module


def test_the_form_is_made_for_password_managers_and_says_what_is_wrong(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=echo")
    page.get_by_role("textbox", name="Password").wait_for()
    fields = page.locator("[data-testid=stForm] input")
    assert [field.get_attribute("autocomplete") for field in fields.all()] == ["username", "current-password"]
    for name in ("augusta", "nobody"):
        sign_in(page, name, "wrong-password")
        page.get_by_text("User name or password is wrong.").wait_for()
        page.reload()
        page.locator(STILL).wait_for()


def test_signing_out_reaches_every_tab_and_the_address_stays(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=echo")
    sign_in(page, "augusta")
    page.get_by_text("API access").first.wait_for()  # a tab that is opened before has no cookie yet
    other = go(page.context.new_page(), house.url)
    other.get_by_text("Echo").first.wait_for()
    page.locator(".st-key-sign_out button:visible").click()
    page.get_by_text("Sign in to").wait_for()
    assert page.url == f"{house.url}/playground?flow=echo"
    other.get_by_text("API access").first.click()
    other.get_by_text("Sign in to").wait_for()
    eventually(lambda: "Echo" not in other.content())  # what stood there goes when the script has ended


def test_the_first_account_ends_local_mode_and_signs_in_where_one_was(tmp_path: Path, browser: Browser) -> None:
    with AppServer(tmp_path) as server, visitor(browser) as mine, visitor(browser) as other:
        link = re.search(r"Or open (\S+)", server.log)
        assert link is not None
        go(mine, link[1])
        mine.wait_for_url(f"{server.url}/")
        go(other, server.url).get_by_text("Memory Chatbot").first.wait_for()
        mine.get_by_text("Create the first account").click()
        fill(mine, User_name="grace", Your_name="Grace Hopper", Password=PASSWORD)
        mine.get_by_role("button", name="Create account").click()
        mine.get_by_text("Grace Hopper").wait_for()
        other.get_by_text("Sign in to").wait_for()
        eventually(lambda: "Memory" not in other.content())  # what stood there goes when the script has ended
        sign_in(other, "Grace")
        other.get_by_text("Grace Hopper").wait_for()


def test_a_page_that_gave_its_place_away_comes_back_by_itself(tmp_path: Path, page: Page) -> None:
    limits = {"guest_pages_per_address": 1, "request_seconds": 2}
    config = CREDENTIALS | {"limits": limits}
    with AppServer(tmp_path, config=config, flows=["echo"]) as server:
        go(page, server.url)
        page.wait_for_timeout(2_500)
        with open_page(RawBrowser(server.url)) as other:
            assert b"Sign in" in other.visit()
            page.locator('[data-testid="stApp"]:not([data-test-connection-state="CONNECTED"])').wait_for()
        page.locator(STILL).wait_for()
        sign_in(page, "augusta")
        page.get_by_text("Echo").first.wait_for()
