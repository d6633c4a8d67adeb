"""Versions of a question in Debian's chromium: tried again, edited, chosen, by pointer and keyboard, on a phone too."""

import pytest

from tests.open_page import Browser, Locator, Page, answers, ask, composer, flow_text, go, messages, still, visitor
from tests.servers import AppServer, House

HOUSE = House(people={}, flows={name: flow_text(f"scripted:{name}", name.title()) for name in ("echo", "slow")})


def talk(page: Page, *texts: str) -> None:
    for text in texts:
        ask(page, text)


def list_texts(page: Page) -> list[str]:
    still(page)
    return messages(page).locator(".fg-bubble, .fg-text").all_inner_texts()


def press(place: Locator, name: str) -> None:
    place.get_by_role("button", name=name, exact=True).click()


def edit(page: Page, question: Locator, text: str) -> None:
    question.hover()
    press(question, "Edit")
    page.get_by_role("textbox", name="Edit your message").fill(text)
    page.keyboard.press("Enter")
    answers(page).get_by_text(f"You said: {text}", exact=True).wait_for()
    still(page)


def expect_call(page: Page, question: str) -> None:
    """The code of the first answer is of the version that is shown."""
    press(answers(page).first, "Copy as code")
    page.get_by_role("dialog").get_by_text(f"The call behind “{question}”").wait_for()
    still(page).get_by_role("button", name="Close").click()
    page.get_by_role("dialog").wait_for(state="detached")


FOCUSED = "document.activeElement.getAttribute('aria-label')"


def test_tried_again_three_times_every_answer_is_still_there(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=echo")
    talk(page, "Hello")
    for number in (2, 3, 4):
        press(answers(page), "Try again")
        page.get_by_role("group", name=f"Version {number} of {number}").wait_for()
        assert list_texts(page) == ["Hello", "You said: Hello"]
    for number in (3, 2, 1):
        press(answers(page), "Previous version")
        page.get_by_role("group", name=f"Version {number} of 4").wait_for()
    assert answers(page).get_by_role("button", name="Previous version").is_disabled()
    assert page.evaluate(FOCUSED) == "Next version"
    page.keyboard.press("Enter")
    page.get_by_role("group", name="Version 2 of 4").wait_for()
    assert page.evaluate(FOCUSED) == "Next version"
    page.reload()
    page.get_by_role("group", name="Version 2 of 4").wait_for()


def test_the_first_question_is_edited_and_what_followed_comes_back(
    house: AppServer, page: Page, browser: Browser
) -> None:
    go(page, f"{house.url}/playground?flow=echo")
    talk(page, "One", "Two")
    with visitor(browser, storage_state=page.context.storage_state()) as second:
        go(second, page.url)
        edit(page, messages(page).first, "Other")
        second.get_by_role("group", name="Version 2 of 2").wait_for()
        assert list_texts(page) == list_texts(second) == ["Other", "You said: Other"]
        expect_call(page, "Other")
        press(messages(second).first, "Previous version")
        for one in (second, page):
            answers(one).get_by_text("You said: Two").wait_for()
        page.get_by_role("group", name="Version 1 of 2").wait_for()
        assert list_texts(page) == ["One", "You said: One", "Two", "You said: Two"]
    expect_call(page, "One")
    page.reload()
    answers(page).get_by_text("You said: Two").wait_for()
    assert list_texts(page) == ["One", "You said: One", "Two", "You said: Two"]
    composer(page).press("ArrowUp")
    box = page.get_by_role("textbox", name="Edit your message")
    assert box.input_value() == "Two"
    box.fill("Two and more")
    page.keyboard.press("Escape")  # the edit is left, kept, and begun again
    box.wait_for(state="detached")
    assert page.evaluate(FOCUSED) == "Edit"
    page.keyboard.press("Enter")
    assert box.input_value() == "Two and more"
    page.keyboard.press("Enter")
    answers(page).get_by_text("You said: Two and more", exact=True).wait_for()
    assert list_texts(page) == ["One", "You said: One", "Two and more", "You said: Two and more"]


IS_SEEN = """one => {
  const box = one.getBoundingClientRect();
  const seen = (y) => one.contains(document.elementFromPoint(box.left + box.width / 2, y));
  return seen(box.top + 4) && seen(box.bottom - 4);
}"""
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.mark.parametrize("count", [2, 6])
def test_on_a_phone_what_is_edited_stands_between_head_and_field(
    house: AppServer, browser: Browser, count: int
) -> None:
    """Of a chat that just fills the screen, whose end one follows; and of one that was scrolled up."""
    with visitor(browser, viewport={"width": 390, "height": 560}, has_touch=True) as page:
        go(page, f"{house.url}/playground?flow=echo")
        talk(page, *(f"Question {number}" for number in range(count)))
        for question in page.locator(".fg-question").all():
            for place in ("start", "end"):
                question.evaluate("(one, block) => one.scrollIntoView({ block })", place)
                question.get_by_role("button", name="Edit", exact=True).evaluate("button => button.click()")
                editor = page.locator(".fg-editor")
                editor.get_by_role("textbox").fill("One line\nand\nthree more\nof it")
                page.evaluate(DRAWN)
                assert editor.evaluate(IS_SEEN)
                press(editor, "Cancel")
