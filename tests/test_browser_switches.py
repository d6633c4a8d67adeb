"""What runs is ended and a flow is switched off: who chats reads why, in Debian's chromium, and loses no word."""

from tests.acme import enter_as
from tests.open_page import Browser, Page, answers, flow_text, go, say, still, visitor
from tests.servers import PUBLIC, AppServer, House
from tests.waiting import eventually

LASTING = {"type": "scripted", "delay": 0.1, "pieces": [f"word{number} " for number in range(1, 1_000)]}
HOUSE = House(
    config={"sharing": {"allow_public": True}, "providers": {"lasting": LASTING}},
    flows={"long": flow_text("lasting:echo", "Long"), "echo": flow_text("scripted:echo", "Echo")},
    shared={"long": PUBLIC, "echo": PUBLIC},
)
STOPPED = "An administrator stopped this answer."
OFF = "This flow is switched off. Back at three."


def command(house: AppServer, *words: str) -> str:
    done = house.run_command(*words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stopped_run_keeps_what_it_said(house: AppServer, page: Page) -> None:
    say(go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=long"), "my private question")
    answers(page).get_by_text("word1 ").wait_for()
    command(house, "runs", "stop", command(house, "runs", "list").splitlines()[1].split()[0])
    answers(page).get_by_text(STOPPED).wait_for()
    assert "word1 " in answers(page).last.inner_text()
    answers(go(page, page.url)).get_by_text(STOPPED).wait_for()
    page.get_by_role("button", name="Try again").wait_for()


def test_a_flow_that_is_switched_off_ends_for_everybody_and_comes_back(
    house: AppServer, page: Page, browser: Browser
) -> None:
    with visitor(browser) as guest:
        say(go(enter_as(page, house, "bob"), f"{house.url}/playground?flow=long"), "Tell me")
        answers(page).get_by_text("word5").wait_for()
        composer = go(guest, f"{house.url}/public_flow/long").get_by_role("textbox", name="Message", exact=True)
        composer.fill("A long message of mine")
        command(house, "flows", "off", "long", "--say", "Back at three.")
        page.get_by_text(OFF).first.wait_for()
        assert "word5" in answers(page).last.inner_text()
        assert page.get_by_role("button", name="Try again").count() == 0
        go(page, page.url).get_by_text(OFF).first.wait_for()
        answers(page).get_by_text("word5").wait_for()
        assert page.get_by_role("button", name="Edit").count() == 0
        composer.press("Enter")  # this page does not know it yet
        guest.get_by_text(OFF).first.wait_for()
        assert composer.is_disabled()
        assert composer.input_value() == "A long message of mine"
        go(page, house.url).get_by_text(OFF).wait_for()
        command(house, "flows", "on", "long")
        go(guest, f"{house.url}/public_flow/long")
        eventually(
            lambda: still(guest).reload() and still(guest).get_by_text(OFF).count() == 0 and composer.is_enabled()
        )
        say(guest, "And now?")
        answers(guest).get_by_text("word5").wait_for()
