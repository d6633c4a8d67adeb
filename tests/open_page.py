"""A person at a page: opens it, says something, reads what stands there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.people import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Browser
    from playwright.sync_api import FilePayload as FilePayload
    from playwright.sync_api import Locator as Locator
    from playwright.sync_api import Page as Page
    from playwright.sync_api import Response as Response
    from playwright.sync_api import Route as Route
else:  # a development extra, which annotations alone do not need
    Browser = FilePayload = Locator = Page = Response = Route = Any

STILL = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
SETTLED = """() => document.getAnimations().every((one) => !(one instanceof CSSTransition)
    || one.playState === 'finished')"""
"""Nothing fades or slides any more. A transition that has finished may stay in the browser's list."""
_AT_REST = """one => new Promise((done) => {
  let before = null, frames = 0;
  const look = () => {
    if (!one.isConnected) return done(null);
    const box = one.getBoundingClientRect().toJSON();
    const isSame = JSON.stringify(box) === before && document.fonts.status === "loaded";
    [before, frames] = [JSON.stringify(box), isSame ? frames + 1 : 0];
    return frames === 10 ? done(box) : requestAnimationFrame(look);
  };
  look();
})"""


@contextmanager
def visitor(browser: Browser, **context: Any) -> Iterator[Page]:
    """A browser of its own: other cookies, other clipboard."""
    opened = browser.new_context(**context)
    opened.set_default_timeout(60_000)
    yield opened.new_page()
    opened.close()


def go(page: Page, url: str) -> Page:
    page.goto(url)
    return still(page)


def still(page: Page) -> Page:
    """Waits until no answer is being written, and no script of the page runs."""
    page.wait_for_function("!document.querySelector('.fg-chat[data-running], .fg-loading:not([hidden])')")
    page.locator(STILL).wait_for()
    return page


def measure_at_rest(found: Locator) -> dict[str, float]:
    """Where it is on the screen, once fonts are there and it has stood at one place for ten frames."""
    still(found.page)
    box: dict[str, float] | None = None
    while box is None:  # it was drawn anew meanwhile
        box = found.evaluate(_AT_REST)
    return box


def open_menu(button: Locator) -> Locator:
    """The open menu of this button, once it is drawn. One that is open stays so: another click would close it."""
    page = still(button.page)
    if button.get_attribute("aria-expanded") != "true":
        button.click()
    menu = page.locator('[data-testid="stPopoverBody"], [data-testid="stMenuButtonBody"]')
    menu.locator('[data-testid="stElementContainer"], [role="menuitem"]').first.wait_for()
    still(page)
    return menu


def choose(button: Locator, choice: str) -> None:
    """An entry of this button's menu."""
    open_menu(button).get_by_role("menuitem", name=choice, exact=True).click()


def revoke(button: Locator) -> None:
    """The token in whose row this button stands, after the question."""
    open_menu(button).get_by_role("button", name="Revoke", exact=True).click()


def composer(page: Page) -> Locator:
    """Where one writes to a chat."""
    return page.get_by_role("textbox", name="Message", exact=True)


def say(page: Page, text: str) -> None:
    composer(page).fill(text)
    composer(page).press(find_send_key(page))


def find_send_key(page: Page) -> str:
    """Where fingers point, Enter begins a line."""
    return "Control+Enter" if page.evaluate("matchMedia('(pointer: coarse)').matches") else "Enter"


def stop(page: Page) -> None:
    """The control that sent stops it; not in the first moments, which are a double click's."""
    page.get_by_role("button", name="Stop", exact=True).click()


def messages(page: Page) -> Locator:
    """Questions and answers in their order."""
    return page.get_by_role("log").get_by_role("article")


def answers(page: Page) -> Locator:
    return page.locator("article.fg-answer")


def ask(page: Page, text: str, answer: str = "") -> Page:
    """Says it and waits until it is answered, if not told otherwise as the scripted model does that repeats it."""
    say(page, text)
    answers(page).get_by_text(answer or f"You said: {text}").last.wait_for()
    return still(page)


def open_step(page: Page, name: str) -> None:
    """A step of the last answer whose steps are shown: what it took and gave."""
    page.locator(".fg-step > summary").filter(has_text=name).last.click()


def fill(page: Page, **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_role("textbox", name=label.replace("_", " ")).fill(text)


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    from playwright.sync_api import expect  # noqa: PLC0415 - a development extra

    fill(page, User_name=name, Password=password)
    expect(page.get_by_role("textbox", name="User name")).to_have_value(name)  # no late drawing emptied it
    page.keyboard.press("Enter")


def expect_count(found: Locator, count: int) -> None:
    """So many are there, at once or soon: a page that is done with its script may still be drawing."""
    from playwright.sync_api import expect  # noqa: PLC0415 - a development extra

    expect(found).to_have_count(count, timeout=60_000)


def flow_text(model: str, name: str = "A flow", **chat: object) -> str:
    """A chat flow on a scripted model, as YAML."""
    return f"""\
name: {name}
components:
  ChatInput: {{type: ChatInput}}
  Prompt: {{type: Prompt, template: "canary in the prompt"}}
  Model: {{type: LanguageModel, model: "{model}", system_message: "${{Prompt}}", input_value: "${{ChatInput}}"}}
  ChatOutput: {{type: ChatOutput, input_value: "${{Model}}"}}
chat: {chat}
"""
