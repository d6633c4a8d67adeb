"""What models do on the way to an answer, in Debian's chromium: lines that open, and are kept."""

from typing import TYPE_CHECKING

import pytest

from tests.acme import enter_as
from tests.acting import ACTING, ASKING_FIRST, HANG, NESTED, SUM, WRONG
from tests.house import SHARED, House
from tests.open_page import answers, expect_count, flow_text, go, say, still, stop, visitor
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser
FLOWS = ACTING | {"careful": ASKING_FIRST, "thinks": flow_text("scripted:thinking", "Thinks")}
HOUSE = House(flows=FLOWS, shared=dict.fromkeys(FLOWS, SHARED))


def open_flow(page: "Page", house: AppServer, flow: str, name: str) -> "Page":
    enter_as(page, house, name)
    return go(page, f"{house.url}/playground?flow={flow}")


def list_lines(page: "Page") -> list[str]:
    return answers(page).last.locator(".fg-action").all_inner_texts()


def test_a_call_opens_to_what_it_took_and_gave_and_is_kept(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "agent", "olga")
    say(page, f"{SUM}\n{WRONG}")
    answers(page).get_by_text("The tools said: 42").wait_for()
    still(page)
    for _ in range(2):
        lines = answers(page).locator("details.fg-action > summary")
        assert [text.split("\n")[0] for text in lines.all_inner_texts()] == ["Do sums", "Do sums"]
        assert "failed" in lines.nth(1).inner_text()
        lines.first.focus()
        page.keyboard.press("Enter")
        part = answers(page).locator("details.fg-action").first
        part.get_by_text("Took", exact=True).wait_for()
        part.get_by_text("42", exact=True).wait_for()
        page.reload()
        answers(page).get_by_text("The tools said: 42").wait_for()
        still(page)


def test_a_call_within_a_call_stands_below_it(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "agent", "olga")
    say(page, NESTED)
    answers(page).get_by_text("The tools said: 2").last.wait_for()
    outer = answers(page).locator(".fg-actions-list > .fg-action-line").first
    assert outer.locator(".fg-actions-within summary").inner_text().startswith("Do sums")


def test_stop_ends_a_tool_and_its_line_says_so(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "agent", "olga")
    say(page, HANG)
    page.locator('.fg-action-line[data-state="running"]').first.wait_for()
    stop(page)
    page.locator('.fg-action-line[data-state="stopped"]').first.wait_for()
    assert "stopped" in list_lines(page)[0]
    page.reload()
    page.locator('.fg-action-line[data-state="stopped"]').first.wait_for()


def test_a_member_sees_names_that_do_not_open(house: AppServer, page: "Page", browser: "Browser") -> None:
    open_flow(page, house, "agent", "bob")
    say(page, SUM)
    answers(page).get_by_text("The tools said: 42").wait_for()
    assert list_lines(page) == ["Do sums"]
    assert not answers(page).locator("details.fg-action").count()
    with visitor(browser, storage_state=page.context.storage_state()) as second:
        go(second, f"{house.url}/playground?flow=shown")
        say(second, SUM)
        answers(second).get_by_text("The tools said: 42").wait_for()
        assert answers(second).locator("details.fg-action").count() == 1


def test_many_calls_are_one_line_at_the_end(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "agent", "olga")
    say(page, "\n".join([SUM] * 5))
    fold = answers(page).locator(".fg-actions > details.fg-action")
    fold.wait_for()
    assert fold.locator("> summary").inner_text().replace("\n", " ") == "5 tool calls Do sums"
    assert not fold.locator(".fg-action-line").first.is_visible()
    fold.locator("> summary").press("Enter")
    fold.locator(".fg-action-line").nth(4).wait_for()


def test_a_thought_is_apart_from_the_answer(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "thinks", "olga")
    say(page, "Hello")
    answers(page).get_by_text("You said: Hello", exact=True).wait_for()
    line: Locator = answers(page).locator("details.fg-action > summary")
    assert line.inner_text().startswith("Thought for")
    line.click()
    answers(page).get_by_text("Somebody wrote to me.").wait_for()


def test_a_call_that_waits_is_allowed_refused_and_not_asked_about_again(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "careful", "bob")
    say(page, SUM)
    question = page.get_by_role("group", name="A tool waits for you")
    question.get_by_text("6*7").wait_for()
    question.get_by_role("button", name="Refuse").press("Enter")
    answers(page).get_by_text("The person refused it").last.wait_for()
    assert "refused" in list_lines(page)[0]
    still(page)
    say(page, SUM)
    question.get_by_role("button", name="Allow in this chat").click()
    answers(page).get_by_text("The tools said: 42").wait_for()
    still(page)
    say(page, f"{SUM}\nonce more")
    expect_count(answers(page).get_by_text("The tools said: 42"), 2)
    page.reload()
    expect_count(answers(page).get_by_text("The tools said: 42"), 2)
    assert not question.count()


def test_a_page_that_is_loaded_anew_still_asks(house: AppServer, page: "Page") -> None:
    open_flow(page, house, "careful", "olga")
    say(page, SUM)
    question = page.get_by_role("group", name="A tool waits for you")
    question.wait_for()
    page.reload()
    question.get_by_role("button", name="Allow once").click()
    answers(page).get_by_text("The tools said: 42").wait_for()
