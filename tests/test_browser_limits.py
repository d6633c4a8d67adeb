"""A message that has to wait or is not taken, as a person meets it: what they wrote is still there."""

from pathlib import Path

from tests.browser import Browser
from tests.chat_socket import open_chat
from tests.open_page import Page, answers, ask, composer, go, messages, say, sign_in, still, stop
from tests.people import PEOPLE
from tests.running import chat_flow
from tests.servers import SHARED, AppServer, House
from tests.test_admission import Crowd, serve
from tests.test_limits_each import PRICES
from tests.waiting import eventually

TEXT = "It took me a while\nto write this."
WAITS = "The server is busy: your message waits for its turn."
HOUSE = House(people={}, config={"limits": {"runs_per_minute": 2, "message_chars": 100}}, flows=["echo", "summarizer"])


CHAT = {"echo": chat_flow("scripted:echo", "Echo")}
LEFT = {
    "person": {"runs_per_minute": 9, "tokens_per_day": 8, "money_per_day": 20, "stored_bytes": 10_000_000},
    "flow": {"runs_per_minute": 50},
}


def typed(page: Page) -> str:
    return composer(still(page)).input_value()


def use_up(house: AppServer) -> None:
    """The minute's runs, by the same person at another page: on a busy machine those from before may be given back."""
    with open_chat(Browser(house.url), "echo") as chat:
        chat.show()
        kinds = []
        while "refused" not in kinds:
            chat.say("once more")
            kinds.append(chat.read_until("ended", "refused")["type"])


def test_what_was_written_is_still_there(house: AppServer, page: Page) -> None:
    say(go(page, f"{house.url}/playground?flow=echo"), "x" * 101)
    page.get_by_text("The message has 101 characters").wait_for()
    assert (typed(page), messages(page).count()) == ("x" * 101, 0)
    ask(page, "a shorter one", "a shorter one")  # the one that was too long counts too: it was let in
    assert typed(page) == ""
    say(page, TEXT)
    page.get_by_text("You can send the next message in").wait_for()
    assert typed(page) == TEXT
    page.get_by_role("button", name="New chat").click()
    page.get_by_text("Whatever you write comes back.").wait_for()
    assert typed(page) == ""
    area = go(page, f"{house.url}/playground?flow=summarizer").get_by_role("textbox", name="Text")
    area.fill(TEXT)
    for _ in range(2):
        use_up(house)
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_text("You can send the next message in").wait_for()
        still(page)
        assert area.input_value() == TEXT


def test_a_message_waits_for_its_turn_or_is_taken_back_by_stop(tmp_path: Path, page: Page) -> None:
    with serve(tmp_path, runs_at_once=1) as server:
        crowd = Crowd(server)
        ask(go(page, f"{server.url}/playground?flow=echo"), "there is room", "there is room")
        with crowd.fill(1):
            say(page, "worth waiting for")
            page.get_by_text(WAITS).wait_for()
            page.reload()
            page.get_by_text(WAITS).wait_for()
        answers(page).get_by_text("worth waiting for").wait_for()
        page.get_by_text(WAITS).wait_for(state="detached")
        still(page)
        with crowd.fill(1):
            say(page, "on second thoughts")
            page.get_by_text(WAITS).wait_for()
            stop(page)
            eventually(lambda: typed(page) == "on second thoughts")
        assert crowd.run().status_code == 200
        assert crowd.count("complete") == 3


def test_what_is_left_is_seen_before_it_is_reached_and_then_when_it_resets(tmp_path: Path, page: Page) -> None:
    left_house = House(config={"limits": LEFT, "prices": PRICES}, flows=CHAT, shared={"echo": SHARED})
    with left_house.open(tmp_path) as house:
        sign_in(go(page, f"{house.url}/playground?flow=echo"), sorted(PEOPLE)[0])
        ask(page, "hi")
        left = go(page, f"{house.url}/account").locator(".st-key-account-left")
        left.get_by_text("4 of 8 tokens today, all of it again at 00:00 UTC, in").wait_for()
        left.get_by_text("8 of 9 runs this minute, all of it again in").wait_for()
        left.get_by_text("19.75 of 20.00 EUR today").wait_for()
        left.get_by_text("10 MB of 10 MB for the text of conversations").wait_for()
        said = "Left for you: 8 of 9 runs this minute · 4 of 8 tokens today"
        go(page, f"{house.url}/api_access?flow=echo").get_by_text(said).wait_for()
        page.get_by_text("For this flow: 49 of 50 runs this minute.").wait_for()
        ask(go(page, f"{house.url}/playground?flow=echo"), "hi")
        say(page, "what I typed")
        page.get_by_text("You have used the 8 tokens that you may use a day; the limit resets at 00:00 UTC").wait_for()
        assert composer(still(page)).input_value() == "what I typed"
