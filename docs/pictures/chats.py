"""States of a conversation, brought about as people do."""

import io
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from tests.acme import enter_as
from tests.api_pane import change, open_pane
from tests.open_page import answers, composer, go, messages, open_step, say, still, stop
from tests.servers import AppServer

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

_QUESTIONS = cycle(
    (
        "How do I send something back, and when do I get my money?",
        "May I return a gift?",
        "The box came damaged. What now?",
        "I opened it. Can it still go back?",
        "How long do I have for a return?",
        "Who pays for the label?",
    )
)
"""One after the other, so that the list of chats looks like somebody's."""


def _open(page: "Page", server: AppServer, flow: str) -> "Page":
    enter_as(page, server, "olga")
    go(page, f"{server.url}/playground?flow={flow}")
    composer(page).or_(page.get_by_role("textbox", name="Text")).wait_for()
    return page


def show_empty(page: "Page", server: AppServer) -> None:
    _open(page, server, "support").get_by_role("button", name="Where is my parcel?").wait_for()


def show_conversation(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "support"), next(_QUESTIONS))
    answers(page).get_by_text("where a parcel is").wait_for()
    still(page).wait_for_timeout(500)  # the colours of code come a moment later


def show_steps(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    page.get_by_role("button", name="4 steps").click()
    open_step(page, "Prompt")
    page.get_by_text("You answer for Acme").wait_for()


def show_edit(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    question = messages(page).first
    question.evaluate("one => one.scrollIntoView({block: 'center'})")
    question.hover()
    question.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Edit your message").wait_for()


def show_versions(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("group", name="Version 2 of 2").wait_for()
    still(page)


def show_streaming(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "essays"), "Why are small releases safer?")
    answers(page).get_by_text("Small ones are undone").first.wait_for()


def show_waiting(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "contracts"), "May we cancel the lease in May?")
    page.get_by_text("Running Language Model").wait_for()


def show_stopped(page: "Page", server: AppServer) -> None:
    show_streaming(page, server)
    stop(page)
    page.get_by_text("Stopped ·").wait_for()


def show_failed(page: "Page", server: AppServer) -> None:
    say(_open(page, server, "invoices"), "What does invoice 88 say?")
    page.get_by_role("button", name="Try again").wait_for()


def show_refused(page: "Page", server: AppServer) -> None:
    """As a guest, of whom one message a minute is taken."""
    say(go(page, f"{server.url}/public_flow/support"), next(_QUESTIONS))
    answers(page).get_by_text("where a parcel is").wait_for()
    say(still(page), "And what if I have lost the receipt?")
    page.get_by_text("You can send the next message in").wait_for()
    still(page).wait_for_timeout(500)


def show_interrupted(page: "Page", server: AppServer) -> None:
    show_streaming(page, server)
    page.wait_for_timeout(4_000)  # it is saved now and then
    server.kill()
    server.start()
    page.get_by_text("This was interrupted").or_(page.get_by_text("Interrupted:")).wait_for()


def show_overridden(page: "Page", server: AppServer) -> None:
    _open(page, server, "support")
    open_pane(page)
    change(page, "Tone", "formal")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="1 override").locator("visible=true").wait_for()


def show_options(page: "Page", server: AppServer) -> None:
    _open(page, server, "handbook").get_by_role("combobox", name="Tone").select_option("formal")
    page.get_by_role("spinbutton", name="Max Tokens").fill("400")


def show_chosen(page: "Page", server: AppServer) -> None:
    show_options(page, server)
    say(page, "How many days off do I have?")
    answers(page).get_by_text("You said:").wait_for()
    still(page)


def _draw_receipt() -> bytes:
    paper = Image.new("RGB", (600, 420), "#f3efe6")
    pen = ImageDraw.Draw(paper)
    pen.rectangle((150, 30, 450, 390), fill="#ffffff", outline="#d9d2c3")
    lines = [
        "BOULANGERIE DU PONT",
        "Lyon, 3 November",
        "",
        "2 baguettes        3.20",
        "2 coffees          9.20",
        "",
        "Total EUR         12.40",
    ]
    for number, line in enumerate(lines):
        pen.text((185, 70 + 38 * number), line, fill="#2b2a27", font_size=20)
    drawn = io.BytesIO()
    paper.save(drawn, "PNG")
    return drawn.getvalue()


def _add_files(page: "Page") -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files").click()
    receipt: FilePayload = {"name": "receipt.png", "mimeType": "image/png", "buffer": _draw_receipt()}
    rows: FilePayload = {
        "name": "expenses-november.csv",
        "mimeType": "text/csv",
        "buffer": b"day,what,sum\n3,bread,12.40\n" * 90,
    }
    chooser.value.set_files([receipt, rows])
    page.wait_for_function("document.querySelectorAll('.fg-added li[data-state=there]').length === 2")


def show_added(page: "Page", server: AppServer) -> None:
    _add_files(_open(page, server, "receipts"))


def show_files(page: "Page", server: AppServer) -> None:
    show_added(page, server)
    say(page, "Is this paid back?")
    answers(page).get_by_text("paid back").wait_for()
    page.wait_for_function("[...document.querySelectorAll('.fg-sent img')].every((one) => one.naturalWidth)")
    still(page)


def show_large(page: "Page", server: AppServer) -> None:
    show_files(page, server)
    page.get_by_role("button", name="Open receipt.png").click()
    page.get_by_role("dialog", name="receipt.png").wait_for()


def show_form(page: "Page", server: AppServer) -> None:
    _open(page, server, "summarizer").get_by_role("textbox", name="Text").fill("Releases should be small, said Ada.")
    page.get_by_role("button", name="Run", exact=True).click()
    answers(page).get_by_text("You said:").wait_for()


def show_keys(page: "Page", server: AppServer) -> None:
    composer(_open(page, server, "support")).blur()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()


def show_chats(page: "Page", server: AppServer) -> None:
    """The list of chats, which a phone opens."""
    show_conversation(page, server)
    opener = page.get_by_test_id("stExpandSidebarButton")
    if opener.is_visible():
        opener.click()
    page.get_by_test_id("stSidebar").get_by_role("button", name="New chat").wait_for()
    page.wait_for_timeout(400)  # it slides in


def show_reason(page: "Page", server: AppServer) -> None:
    show_conversation(page, server)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").wait_for()


CHATS: dict[str, tuple[str, Callable[["Page", AppServer], None]]] = {
    "chat-empty": ("An empty chat", show_empty),
    "chat-conversation": ("A conversation", show_conversation),
    "chat-steps": ("Its steps, for authors", show_steps),
    "chat-edit": ("Editing a question", show_edit),
    "chat-versions": ("Two versions of an answer", show_versions),
    "chat-streaming": ("A long answer grows", show_streaming),
    "chat-waiting": ("Nothing has come yet", show_waiting),
    "chat-stopped": ("Stopped", show_stopped),
    "chat-failed": ("Failed after some words", show_failed),
    "chat-refused": ("A message is not taken", show_refused),
    "chat-interrupted": ("The process was killed", show_interrupted),
    "chat-overridden": ("With overrides", show_overridden),
    "chat-options": ("A flow that asks for more than a message", show_options),
    "chat-chosen": ("What was chosen, in one line", show_chosen),
    "chat-added": ("Files are added", show_added),
    "chat-files": ("A question with files", show_files),
    "chat-picture": ("A picture, large", show_large),
    "chat-form": ("A flow that takes a text", show_form),
    "chat-keys": ("Its keys", show_keys),
    "chat-list": ("The list of chats", show_chats),
    "chat-feedback": ("A bad answer, and why", show_reason),
}
