"""A flow that stores no messages, in Debian's chromium: its turns stand on the open page and nowhere else."""

import re

from tests.open_page import Page, answers, ask, expect_count, flow_text, go, messages, open_step, say, still, stop
from tests.servers import AppServer, House

KEPT, UNKEPT = "{type: ChatInput}", "{type: ChatInput, should_store_message: false}"
FLOWS = {
    name: flow_text(f"scripted:{name}", name.capitalize(), welcome="Say something.").replace(KEPT, UNKEPT)
    for name in ("echo", "slow", "long", "fail")
} | {
    "kept": flow_text("scripted:echo", "Kept"),
    "text": """\
name: Text
components:
  TextInput: {type: TextInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${TextInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}", should_store_message: false}
""",
}
HOUSE = House(people={}, flows=FLOWS)
NOTE = "This flow keeps no messages"


def assert_empty(page: Page) -> None:
    """The page, loaded anew, shows nothing of what was said, and nothing that would be waited for."""
    still(page).get_by_text("Say something.").wait_for()
    assert messages(page).count() == 0
    assert "interrupted" not in page.content().lower()
    assert "Your chats" not in page.content()


def test_question_and_answer_stand_until_the_page_is_loaded_anew(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=kept").get_by_text("What would you like to ask?").wait_for()
    assert page.get_by_text(NOTE).count() == 0
    go(page, f"{house.url}/playground?flow=echo").get_by_text(NOTE).wait_for()
    for said in ("first", "second"):
        ask(page, said)
    expect_count(answers(page).get_by_text("You said: first"), 1)
    page.get_by_role("button", name="4 steps").last.click()
    open_step(page, "Prompt")
    page.get_by_text("canary in the prompt").wait_for()
    page.get_by_role("button", name="Copy as code").last.click()
    page.get_by_role("dialog").get_by_text("second").first.wait_for()
    page.reload()
    assert_empty(page)


def test_what_was_stopped_stands_with_what_it_said(house: AppServer, page: Page) -> None:
    say(go(page, f"{house.url}/playground?flow=long"), "Go")
    answers(page).get_by_text("word3").wait_for()
    stop(page)
    page.get_by_text("Stopped ·").wait_for()
    assert "word3" in answers(still(page)).inner_text()
    expect_count(answers(page), 1)
    page.get_by_role("button", name="Try again").wait_for()
    page.reload()
    assert_empty(page)


def test_a_reload_in_the_middle_goes_on_with_the_answer_and_a_second_tab_too(house: AppServer, page: Page) -> None:
    say(go(page, f"{house.url}/playground?flow=slow"), "a b c " * 100)  # a second tab must open before it ends
    answers(page).get_by_text("You said: a b").wait_for()
    page.reload()
    answers(page).get_by_text("You said: a b").wait_for()
    second = page.context.new_page()
    second.goto(page.url)
    for opened in (page, second):
        answers(opened).get_by_text(re.compile(r"4 steps")).wait_for(timeout=60_000)
        expect_count(messages(still(opened)), 2)
        opened.reload()
        assert_empty(opened)


def test_a_page_that_is_described_anew_lets_a_pressed_button_stand(house: AppServer, page: Page) -> None:
    ask(go(page, f"{house.url}/playground?flow=fail"), "Go", "The scripted model fails.")
    page.get_by_role("button", name="Try again").hover()
    page.mouse.down()
    page.evaluate("(view => view.show({ ...view.data }))(document.querySelector('.fg-chat').parentElement.fgView)")
    page.mouse.up()
    answers(page).nth(1).get_by_text("The scripted model fails.").wait_for()


def test_a_form_shows_its_result_once(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=text").get_by_text(NOTE).wait_for()
    page.get_by_role("textbox", name="Text").fill("a text")
    page.keyboard.press("Control+Enter")
    answers(page).get_by_text("You said: a text").wait_for()
    expect_count(answers(still(page)), 1)
    page.reload()
    assert answers(still(page)).count() == 0
    assert "interrupted" not in page.content().lower()
