"""The API access pane as a person uses it, and a flow whose answer is what its model was told."""

from tests.open_page import Locator, Page, still

FLOW = """\
name: Talk
components:
  ChatInput: {type: ChatInput, input_value: canary in the input}
  Prompt: {type: Prompt, template: "canary of the prompt: be {tone}.", tone: kind}
  Model:
    type: LanguageModel
    model: scripted:json
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.5
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


def open_pane(page: Page, tab: str = "Temporary overrides") -> Locator:
    page.get_by_role("button", name="API access").click()
    pane = page.get_by_role("dialog")
    pane.get_by_role("tab", name=tab).click()
    still(page)
    return pane


def change(page: Page, label: str, text: str) -> None:
    area = page.get_by_role("textbox", name=label)
    area.fill(text)
    area.press("Control+Enter")
    still(page)


def code_of(pane: Locator, tab: str) -> Locator:
    pane.get_by_role("tab", name=tab).click()
    return pane.locator('[role="tabpanel"]:visible').get_by_test_id("stCode")


def export_line(pane: Locator) -> Locator:
    """The line that puts the token into the environment."""
    return pane.get_by_test_id("stCode").filter(has_text="export FLOWGROUND_API_KEY=")


def copied(page: Page, button: Locator) -> str:
    """What a button of ours named *Copy …* puts into the clipboard, pressed as a keyboard does."""
    page.evaluate("navigator.clipboard.writeText('')")
    button.press("Enter")
    page.wait_for_function("navigator.clipboard.readText().then(text => text !== '')")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def copied_code(page: Page, pane: Locator, tab: str) -> str:
    """The code of a tab, by the button above it."""
    code_of(pane, tab).wait_for()
    return copied(page, pane.get_by_role("button", name=f"Copy the {tab} code"))


def copied_line(page: Page, pane: Locator) -> str:
    """The line that puts the token into the environment."""
    export_line(pane).wait_for()
    return copied(page, pane.get_by_role("button", name="Copy the line"))
