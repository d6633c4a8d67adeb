"""Chatting in Debian's chromium: streams, Stop, refresh, a second tab, sessions, failures, forms."""

import re
from pathlib import Path

from tests.open_page import Page, answers, ask, composer, expect_count, flow_text, go, messages, say, still, stop
from tests.servers import AppServer, House, shipped_flow
from tests.two_servers import LASTING

INTERRUPTED = "This was interrupted before any of the answer was saved."
LAST_WORD = re.compile(r"word200\b")
STARTER = "Good morning to you all" + " x" * 85
FLOWS = {
    "slow": flow_text("scripted:slow", "Slow", welcome="Say something.", starters=[STARTER]),
    "long": flow_text("scripted:long", "Long"),
    "lasting": flow_text("lasting:echo", "Lasting"),
    "fail": flow_text("scripted:fail", "Fail"),
    "echo": flow_text("scripted:echo", "Echo"),
}
HOUSE = House(
    people={}, flows=FLOWS | {"summarizer": shipped_flow("summarizer")}, config={"providers": {"lasting": LASTING}}
)


def begin(page: Page, house: AppServer, flow: str) -> None:
    """An answer that grows."""
    say(go(page, f"{house.url}/playground?flow={flow}"), "Go")
    answers(page).get_by_text("word3").wait_for()


def test_an_answer_streams_and_says_what_it_cost(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=slow")
    say(page, f"one two {'and so on ' * 25}*thirteen* for $5 and $10")  # four seconds long
    answers(page).get_by_text("You said: one two").wait_for()
    assert "thirteen" not in answers(page).inner_text()
    answers(page).get_by_text("for $5 and $10").wait_for()
    still(page)
    assert re.search(r"scripted:slow · [\d.]+ m?s · \d+ tokens · 4 steps", answers(page).inner_text())
    assert "thirteen" in answers(page).locator("em").inner_text()


def test_stop_keeps_what_was_said_and_marks_it_until_it_is_tried_again(house: AppServer, page: Page) -> None:
    begin(page, house, "long")
    stop(page)
    page.get_by_text("Stopped ·").wait_for()
    stopped = answers(page).inner_text()
    assert "word3" in stopped
    assert not LAST_WORD.search(stopped)
    page.reload()
    page.get_by_text("Stopped ·").wait_for()
    assert "word3" in answers(page).inner_text()
    page.get_by_role("button", name="Try again").click()
    answers(page).get_by_text("word3").wait_for()
    assert not LAST_WORD.search(page.content())
    assert page.get_by_role("button", name="Try again").count() == 0


def test_a_refresh_in_the_middle_gets_the_whole_answer(house: AppServer, page: Page) -> None:
    begin(page, house, "long")
    page.reload()
    answers(page).get_by_text("word3").wait_for()
    assert not LAST_WORD.search(page.content())
    answers(page).get_by_text(LAST_WORD).wait_for()
    assert re.search(r"word1\b", answers(page).inner_text())
    answers(page).get_by_text("4 steps").wait_for()
    expect_count(messages(page), 2)


def test_a_second_tab_follows_and_either_may_stop_by_the_same_control(house: AppServer, page: Page) -> None:
    say(go(page, f"{house.url}/playground?flow=echo"), "   ")  # which says nothing
    assert messages(still(page)).count() == 0
    ask(page, "first")
    expect_count(messages(page), 2)
    other = go(page.context.new_page(), page.url)
    say(page, "second")
    answers(other).get_by_text("You said: second").wait_for()

    begin(page, house, "lasting")
    other.goto(page.url)
    answers(other).get_by_text("word3").wait_for()
    places = [tab.get_by_role("button", name="Stop", exact=True).bounding_box() for tab in (page, other)]
    assert places[0] == places[1]
    stop(other)
    for tab in (other, page):
        tab.get_by_text("Stopped ·").wait_for()
        assert not LAST_WORD.search(tab.content())
    say(still(other), "Again")
    page.get_by_text("Again", exact=True).wait_for()


def test_a_click_elsewhere_does_not_end_the_answer(house: AppServer, page: Page) -> None:
    begin(page, house, "long")
    page.get_by_role("button", name="API access").click()
    page.get_by_role("dialog").get_by_role("button", name="Try it").wait_for()
    answers(page).get_by_text(LAST_WORD).wait_for()
    assert "Stopped" not in answers(page).inner_text()


def test_starters_speak_and_a_message_may_be_typed_while_one_is_answered(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=slow").get_by_role("button", name="Good morning to you all").click()
    composer(page).fill("And to you")
    composer(page).press("Enter")  # not sent: the answer is not there yet
    answers(page).get_by_text("You said: Good morning to you all").wait_for()
    assert composer(still(page)).input_value() == "And to you"
    composer(page).press("Enter")
    answers(page).get_by_text("You said: And to you").wait_for()


def test_conversations_are_changed_over_one_socket(house: AppServer, page: Page) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    ask(go(page, f"{house.url}/playground?flow=echo"), "about *apples*", "You said: about")
    side = page.get_by_test_id("stSidebar")
    side.get_by_role("button", name="New chat").click()
    page.get_by_text("What would you like to ask?").wait_for()
    ask(still(page), "about pears")
    side.get_by_role("link", name="about apples").click()
    answers(page).get_by_text("You said: about apples").wait_for()
    expect_count(messages(still(page)), 2)
    assert len([url for url in sockets if "/chat?" in url]) == 1


def test_a_failure_says_where_and_can_be_tried_again(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=fail")
    ask(page, "Go", "The scripted model fails. This happened in the component Model.")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("group", name="Version 2 of 2").wait_for()
    answers(page).get_by_text("This happened in the component Model.").wait_for()
    page.reload()
    page.get_by_role("button", name="Try again").wait_for()


def test_a_flow_without_chat_is_a_form(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=summarizer").get_by_role("textbox", name="Text").fill("A text of mine.")
    page.get_by_role("button", name="Run", exact=True).click()
    answers(page).get_by_text("You said:").wait_for()
    assert "A text of mine." in answers(page).inner_text()
    still(page).reload()
    answers(page).get_by_text("You said:").wait_for()
    page.wait_for_function("document.querySelector('textarea')?.value === 'A text of mine.'")


def test_markdown_of_a_model_loads_nothing_from_elsewhere(house: AppServer, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    say(
        go(page, f"{house.url}/playground?flow=echo"),
        "![secret](http://192.0.2.1/pixel.png?data=1) :material/home: <img src=http://192.0.2.1/x.png>",
    )
    answers(page).get_by_text("You said:").wait_for()
    still(page).evaluate("fetch('/_stcore/health')")  # what the answer would load was asked for before this
    assert answers(page).locator("img").count() == 0
    assert f"{house.url}/_stcore/health" in asked
    assert [url for url in asked if not url.startswith((house.url, "data:", "blob:"))] == []


def test_the_page_follows_the_answer_until_one_reads_above_it(house: AppServer, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 480})
    say(go(page, f"{house.url}/playground?flow=long"), "Go")
    answers(page).get_by_text("word90 ").wait_for()
    assert page.get_by_role("button", name="Go to the end").count() == 0
    page.mouse.move(200, 200)
    page.mouse.wheel(0, -2000)
    page.get_by_role("button", name="Go to the end").wait_for()
    page.get_by_text("4 steps").wait_for()
    assert not page.get_by_text("4 steps").evaluate("e => e.getBoundingClientRect().top < innerHeight")
    page.get_by_role("button", name="Go to the end").click()
    page.wait_for_function(
        "[...document.querySelectorAll('.fg-steps-button')].at(-1).getBoundingClientRect().bottom < innerHeight"
    )


def test_a_question_that_kill_9_cut_is_marked_and_can_be_tried_again(tmp_path: Path, page: Page) -> None:
    with AppServer(tmp_path, flows={"silent": flow_text("scripted:silent", "Silent")}) as server:
        say(go(page, f"{server.url}/playground?flow=silent"), "Go")
        page.get_by_role("button", name="More for this chat").wait_for()
        address = page.url
        server.kill()
        lost = page.get_by_text("The connection to Flowground is lost")
        lost.wait_for()
        server.start()
        lost.wait_for(state="detached")
        page.get_by_text(INTERRUPTED).wait_for()  # without a reload
        go(page, address).get_by_text(INTERRUPTED).wait_for()
        page.get_by_role("button", name="Try again").click()
        messages(page).nth(1).get_by_text("Language Model").wait_for()
        assert page.get_by_role("button", name="Try again").count() == 0
        assert page.get_by_text(INTERRUPTED).count() == 0
        composer(page).press("Escape")
        page.get_by_text("Stopped ·").wait_for()
        page.get_by_role("button", name="Previous version").click()
        page.get_by_text(INTERRUPTED).wait_for()
