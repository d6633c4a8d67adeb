"""What went wrong for people at a chat once, in Debian's chromium: none of it comes back."""

from tests.open_page import Browser, answers, composer, flow_text, go, still, visitor
from tests.servers import AppServer, House

FLOWS = {
    "echo": flow_text("scripted:echo", "Echo"),
    "breaks": flow_text("scripted:breaks", "Breaks"),
    "nothing": flow_text("mute:echo", "Nothing"),
}
HOUSE = House(people={}, config={"providers": {"mute": {"type": "scripted", "pieces": [""]}}}, flows=FLOWS)


def test_a_draft_is_kept_until_it_is_sent_and_an_answer_is_copied_by_the_keyboard(
    house: AppServer, browser: Browser
) -> None:
    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as page:
        composer(go(page, f"{house.url}/playground?flow=echo")).fill("half a *thought*")
        page.reload()
        composer(still(page)).wait_for()
        assert composer(page).input_value() == "half a *thought*"
        composer(page).press("Enter")
        answers(page).get_by_text("You said: half a thought").wait_for()
        answers(still(page)).get_by_role("button", name="Copy", exact=True).press("Enter")
        answers(page).get_by_role("button", name="Copied").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "You said: half a *thought*"
        page.reload()
        assert composer(still(page)).input_value() == ""
