"""A conversation without a pointer: what keys do, in which order one comes to things, and what writing signs needs."""

from tests.open_page import Page, answers, composer, flow_text, go, messages, open_menu, still
from tests.servers import AppServer, House

FLOWS = {"echo": flow_text("scripted:echo", "Echo", starters=["Good morning"]), "silent": flow_text("scripted:silent")}
HOUSE = House(people={}, flows=FLOWS)
NAME = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
# A dialog half drawn has this for its whole text, and its parts are focused before it.
IN_FIELD = "document.activeElement.matches('input[aria-label=\"Owner code\"]')"


def walk(page: Page, key: str, wanted: str) -> list[str]:
    """Presses the key until the focus is on what has this name; the names it came by."""
    names: list[str] = []
    while wanted not in names:
        page.keyboard.press(key)
        names.append(page.evaluate(NAME))
        assert len(names) < 20, names
    return names


def test_a_chat_is_walked_through_by_the_keyboard_alone(house: AppServer, page: Page) -> None:
    go(page, f"{house.url}/playground?flow=echo").get_by_role("button", name="Good morning").wait_for()
    page.wait_for_function(f"{NAME} === 'Message'")  # one may write at once
    page.keyboard.type("?")
    assert composer(page).input_value() == "?"  # who writes, writes
    composer(page).fill("")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("?")
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    shortcuts.wait_for()
    page.keyboard.press("Escape")
    shortcuts.wait_for(state="hidden")
    assert page.evaluate(NAME) == "Good morning"
    page.keyboard.press("Enter")
    answers(page).get_by_text("You said: Good morning").wait_for()
    still(page).keyboard.press("/")
    page.keyboard.type("and a second one")
    page.keyboard.press("Enter")
    answers(page).get_by_text("You said: and a second one").wait_for()
    still(page)
    back = walk(page, "Shift+Tab", "Copy the question")
    known = ["4 steps", "Copy as code", "Try again", "Copy"]
    assert [name for name in back if name in known] == known
    walk(page, "Tab", "Try again")
    page.keyboard.press("Enter")
    assert still(page).evaluate(NAME) == "Message"


def test_who_types_at_once_writes_into_a_dialogs_field(house: AppServer, page: Page) -> None:
    """And a letter beside a field is none of Streamlit's commands, which would close the dialog."""
    menu = open_menu(go(page, f"{house.url}/playground?flow=echo").get_by_role("button", name="Publish"))
    menu.get_by_text("Shareable Playground").click()
    field = page.get_by_role("dialog").get_by_role("textbox", name="Owner code")
    page.wait_for_function(IN_FIELD)
    page.get_by_role("button", name="Close").focus()
    page.keyboard.type("rc")
    assert still(page).evaluate(NAME) == "Close"
    field.wait_for()
    page.keyboard.press("Tab")
    page.wait_for_function(IN_FIELD)
    page.keyboard.type("race")
    assert field.input_value() == "race"


def test_enter_sends_neither_with_shift_nor_while_a_sign_is_being_composed(house: AppServer, page: Page) -> None:
    """Enter chooses a sign of Japanese or Chinese then."""
    field = composer(go(page, f"{house.url}/playground?flow=echo"))
    field.fill("one")
    before = field.evaluate("one => one.offsetHeight")
    field.press("Shift+Enter")
    page.keyboard.type("two")
    assert field.input_value() == "one\ntwo"
    assert field.evaluate("one => one.offsetHeight") > before
    field.fill("")
    keys = page.context.new_cdp_session(page)
    keys.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    field.dispatch_event("keydown", {"key": "Enter", "isComposing": True, "bubbles": True})
    field.dispatch_event("keydown", {"key": "Enter", "keyCode": 229, "bubbles": True})
    assert field.input_value() == "にほん"
    assert messages(page).count() == 0
    keys.send("Input.insertText", {"text": "日本"})
    field.press("Enter")
    answers(page).get_by_text("You said: 日本").wait_for()
