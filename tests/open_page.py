"""A person at a page: opens it, says something, reads what stands there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.people import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

STILL = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'


@contextmanager
def visitor(browser: "Browser", **context: Any) -> Iterator["Page"]:
    """A browser of its own: other cookies, other clipboard."""
    opened = browser.new_context(**context)
    opened.set_default_timeout(20_000)
    yield opened.new_page()
    opened.close()


def go(page: "Page", url: str) -> "Page":
    page.goto(url)
    return still(page)


def still(page: "Page") -> "Page":
    """Waits until no script of the page runs."""
    page.locator(STILL).wait_for()
    return page


def say(page: "Page", text: str) -> None:
    composer = page.get_by_test_id("stChatInputTextArea")
    composer.fill(text)
    composer.press("Enter")


def answers(page: "Page") -> "Locator":
    return page.get_by_test_id("stChatMessage").filter(has=page.get_by_text("account_tree"))


def fill(page: "Page", **fields: str) -> None:
    for label, text in fields.items():
        page.get_by_role("textbox", name=label.replace("_", " ")).fill(text)


def sign_in(page: "Page", name: str, password: str = PASSWORD) -> None:
    fill(page, User_name=name, Password=password)
    page.keyboard.press("Enter")


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
