"""The states that a conversation may be in, brought about as people do; for tests that look at each."""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.acting import ACTING, ASKING_FIRST, NESTED, SUM, WRONG
from tests.api_pane import FLOW, change, open_pane
from tests.asking import ASKING
from tests.markdown_corpus import read_corpus
from tests.open_page import STILL, answers, ask, composer, flow_text, go, messages, open_step, say, still, stop
from tests.servers import AppServer, House, shipped_flow

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page

LARGE = 200_000
"""Characters of the largest answer here."""
PARAGRAPH = "A word, **another** one and `code` of a long answer. " * 8 + "\n\n"
FLOWS = {
    "echo": flow_text(
        "scripted:echo", "Echo", welcome="Say something.", starters=["Good morning", "Tell me more of it"]
    ),
    "welcoming": flow_text(
        "scripted:echo", "Welcoming", welcome="Ask whatever you like. " * 9, starters=["Good morning", "What now?"]
    ),
    "everything": flow_text("everything:echo", "Everything"),
    "large": flow_text("large:echo", "Large"),
    "long": flow_text("scripted:long", "Long"),
    "breaks": flow_text("scripted:breaks", "Breaks"),
    "silent": flow_text("scripted:silent", "Silent"),
    "talk": FLOW,
    "letters": ASKING,
    "acted": ACTING["shown"],
    "thought": flow_text("scripted:thinking", "Thinks"),
    "asked": ASKING_FIRST,
    "files": """\
name: Files
chat: {accepts: [image/*, text/plain]}
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In} with ${In.files}"}
""",
}
_DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURE: "FilePayload" = {"name": "dot.png", "mimeType": "image/png", "buffer": base64.b64decode(_DOT)}
NOTES: "FilePayload" = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Buy bread."}
PROVIDERS = {
    "everything": {"type": "scripted", "pieces": ["\n\n".join(read_corpus().values())]},
    "large": {"type": "scripted", "pieces": [PARAGRAPH * (LARGE // len(PARAGRAPH) + 1)]},
}
CHATS = House(
    people={},
    config={"providers": PROVIDERS, "limits": {"message_chars": 200}},
    flows=FLOWS | {"summarizer": shipped_flow("summarizer")},
)


def _open(page: "Page", house: AppServer, flow: str) -> "Page":
    go(page, f"{house.url}/playground?flow={flow}")
    composer(page).or_(page.get_by_role("textbox", name="Text")).wait_for()
    return page


def show_empty(page: "Page", house: AppServer) -> None:
    _open(page, house, "echo").get_by_role("button", name="Good morning").wait_for()


def show_everything(page: "Page", house: AppServer) -> None:
    """Every kind of block there is, with the steps that made it."""
    say(_open(page, house, "everything"), "Show me all of it.")
    page.wait_for_function("document.querySelectorAll('.fg-diagram svg').length === 2")
    page.wait_for_function("document.querySelectorAll('.katex').length === 5")
    still(page).get_by_role("button", name="4 steps").click()
    open_step(page, "Prompt")
    page.get_by_text("canary in the prompt").wait_for()


def show_long(page: "Page", house: AppServer) -> None:
    """More than is opened at once, read from above its end."""
    _open(page, house, "large")
    for number in range(1, 4):
        say(page, f"Question {number}")
        answers(page).nth(number - 1).get_by_role("button", name="4 steps").wait_for(timeout=60_000)
        still(page)
    page.reload()
    answers(still(page)).last.get_by_role("button", name="4 steps").wait_for()
    page.get_by_role("button", name="Show earlier messages").evaluate("one => one.scrollIntoView({block: 'center'})")
    page.get_by_role("button", name="Go to the end").wait_for()


def show_failed(page: "Page", house: AppServer) -> None:
    say(_open(page, house, "breaks"), "one two three")
    page.get_by_role("button", name="Try again").wait_for()


def show_stopped(page: "Page", house: AppServer) -> None:
    say(_open(page, house, "long"), "Go")
    answers(page).get_by_text("word3").wait_for()
    stop(page)
    page.get_by_text("Stopped ·").wait_for()


def show_interrupted(page: "Page", house: AppServer) -> None:
    show_waiting(page, house)
    house.kill()
    house.start()
    page.get_by_text("This was interrupted").wait_for()


def show_waiting(page: "Page", house: AppServer) -> None:
    """The page around it has drawn by then what a chat that began brings."""
    say(_open(page, house, "silent"), "Go")
    page.get_by_text("Language Model").wait_for()
    page.get_by_role("button", name="More for this chat").wait_for()
    page.locator(STILL).wait_for()


def show_refused(page: "Page", house: AppServer) -> None:
    say(_open(page, house, "echo"), "x" * 201)
    page.get_by_text("The message has 201 characters").wait_for()


def show_overridden(page: "Page", house: AppServer) -> None:
    _open(page, house, "talk")
    open_pane(page)
    change(page, "Tone", "rude")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="1 override").locator("visible=true").wait_for()


def show_versions(page: "Page", house: AppServer) -> None:
    """The first of two answers."""
    say(_open(page, house, "echo"), "Once")
    answers(page).get_by_role("button", name="Try again").click()
    page.get_by_role("group", name="Version 2 of 2").wait_for()
    still(page).get_by_role("button", name="Previous version").click()
    page.get_by_role("group", name="Version 1 of 2").wait_for()


def show_editing(page: "Page", house: AppServer) -> None:
    messages(ask(_open(page, house, "echo"), "Once")).first.hover()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Edit your message").wait_for()


def show_rated(page: "Page", house: AppServer) -> None:
    """Rated at an earlier visit, without a word of why."""
    ask(_open(page, house, "echo"), "Once").get_by_role("button", name="Good answer").click()
    page.locator('[aria-pressed="true"]').wait_for()
    still(page).reload()
    still(page).get_by_role("button", name="Tell why").wait_for()


def show_keys(page: "Page", house: AppServer) -> None:
    composer(_open(page, house, "echo")).blur()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard shortcuts").wait_for()


def show_form(page: "Page", house: AppServer) -> None:
    _open(page, house, "summarizer").get_by_role("textbox", name="Text").fill("A text of mine.")
    page.get_by_role("button", name="Run", exact=True).click()
    answers(page).get_by_text("You said:").wait_for()


def show_options(page: "Page", house: AppServer) -> None:
    """With a sentence about the address, and a mistake in a field."""
    go(page, f"{house.url}/playground?flow=letters&Language=Klingon&Model.max_tokens=0")
    page.get_by_role("slider", name="Temperature").press("End")
    page.get_by_role("textbox", name="Tone").fill("x" * 10_001)
    say(page, "Hi")
    page.get_by_text("Tone has 10,001 characters").wait_for()


def show_chosen(page: "Page", house: AppServer) -> None:
    """Options in one line, behind a message."""
    go(page, f"{house.url}/playground?flow=letters&Language=French")
    page.get_by_role("textbox", name="Tone").fill("as one writes to somebody whom one does not know, " * 3)
    ask(page, "Hi", "You said: French")


def _add(page: "Page", *files: "FilePayload") -> None:
    before = page.locator(".fg-added li").count()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add files").click()
    chooser.value.set_files(list(files))
    ended = "document.querySelectorAll('.fg-added li:is([data-state=there], [data-state=failed])').length"
    page.wait_for_function(f"{ended} === {before + len(files)}")


def show_added(page: "Page", house: AppServer) -> None:
    """Files that were added, of which one is not taken."""
    odd: FilePayload = {"name": "an archive with a long name.zip", "mimeType": "", "buffer": b"PK\3\4 zip"}
    _add(_open(page, house, "files"), PICTURE, NOTES, odd)
    page.locator(".fg-added-says").get_by_text("this flow takes images or plain text").wait_for()


def show_sent(page: "Page", house: AppServer) -> None:
    _add(_open(page, house, "files"), PICTURE, NOTES, PICTURE)
    ask(page, "Look", "Look with dot.png")
    page.wait_for_function("[...document.querySelectorAll('.fg-sent img')].every((one) => one.naturalWidth)")


def show_acted(page: "Page", house: AppServer) -> None:
    """One call within another, and one that failed; what the first took and gave is open."""
    say(_open(page, house, "acted"), f"{NESTED}\n{WRONG}")
    answers(page).locator('.fg-action-line[data-state="failed"]').wait_for()
    still(page).locator("details.fg-action > summary").first.click()
    answers(page).get_by_text("Input", exact=True).first.wait_for()


def show_thought(page: "Page", house: AppServer) -> None:
    ask(_open(page, house, "thought"), "Hello").locator("details.fg-action > summary").click()
    answers(page).get_by_text("Somebody wrote to me.").wait_for()


def show_asked(page: "Page", house: AppServer) -> None:
    """A tool waits for its person."""
    say(_open(page, house, "asked"), SUM)
    page.get_by_role("group", name="A tool needs your approval").get_by_role("button", name="Refuse").wait_for()
    page.get_by_role("button", name="More for this chat").wait_for()
    page.locator(STILL).wait_for()


STATES: dict[str, Callable[["Page", AppServer], None]] = {
    name.removeprefix("show_"): found for name, found in list(globals().items()) if name.startswith("show_")
}
"""The functions above by their names."""


def show(page: "Page", house: AppServer, state: str) -> "Page":
    """The page in this state, with nothing that moves on by itself but what is waited for."""
    STATES[state](page, house)
    if state not in ("waiting", "asked"):
        still(page)
    if state not in ("empty", "refused", "overridden", "keys", "options", "added"):
        messages(page).first.wait_for()
    return page
