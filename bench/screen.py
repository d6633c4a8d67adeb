"""What a person waits for: reruns over a raw websocket, and the playground in Debian's chromium."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from bench.load import percentile
from tests.chromium import CHROMIUM_ARGUMENTS, chromium_path

_CONVERSATION = frozenset({"flowground_chat", "chat_input"})
"""What a page with a composer draws; the second in releases before it was a component."""
_SETTLED = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
# Milliseconds from the Enter key to the first frame after a further message with the stub's first word is in the page.
_FIRST_TOKEN = """
() => new Promise((resolve) => {
  const answers = () => [...document.querySelectorAll('article.fg-answer, [data-testid="stChatMessage"]')]
    .filter((message) => message.textContent.includes('Here')).length
  const before = answers()
  let pressed
  addEventListener('keydown', (event) => { if (event.key === 'Enter') pressed = performance.now() },
                   {capture: true, once: true})
  const observer = new MutationObserver(() => {
    if (answers() > before) {
      observer.disconnect()
      requestAnimationFrame(() => resolve(performance.now() - pressed))
    }
  })
  observer.observe(document.body, {subtree: true, childList: true, characterData: true})
  window.benchReady = true
})
"""


def rerun(url: str, *, page: str, has_composer: bool, query: str = "", count: int = 100) -> float:
    """Median milliseconds from asking for a rerun of a page to its last message, one visitor.

    RuntimeError where a run draws another page than the one that was asked for: one with a composer, or without.
    """
    address = f"{url.replace('http', 'ws', 1)}/_stcore/stream"
    with connect(address, subprotocols=[Subprotocol("streamlit")], origin=Origin(url), max_size=None) as socket:
        message = BackMsg()
        message.rerun_script.query_string = query
        message.rerun_script.page_name = page
        message.rerun_script.page_script_hash = _run(socket, message, has_composer=has_composer)
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            _run(socket, message, has_composer=has_composer)
            taken.append(time.perf_counter() - began)
    return percentile(taken, 50) * 1000


def _run(socket: ClientConnection, message: BackMsg, *, has_composer: bool) -> str:
    """Sends one message, reads to the end of the script run; the hash by which the page is asked for again.

    That is the one the navigation names: the one at the run's begin is the router's, which asks for home.
    """
    page, drawn = "", set()
    socket.send(message.SerializeToString())
    while True:
        answer = ForwardMsg.FromString(bytes(socket.recv(timeout=20, decode=False)))
        kind = answer.WhichOneof("type")
        if kind == "navigation":
            page = answer.navigation.page_script_hash
        elif kind == "delta":
            element = answer.delta.new_element
            drawn.add(element.bidi_component.component_name or element.WhichOneof("type"))
        elif kind == "script_finished" and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            if bool(_CONVERSATION & drawn) != has_composer:
                raise RuntimeError(f"another page than the one that was asked for: {sorted(map(str, drawn))}")
            return page


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


def first_tokens(browser: Browser, url: str, *, count: int = 10) -> list[float]:
    """Milliseconds from Enter to the first token on screen, for each of `count` messages of one conversation."""
    page = _open(browser, url)
    before = page.get_by_test_id("stChatInput").locator("textarea")
    box = page.get_by_role("textbox", name="Message", exact=True).or_(before)
    taken = []
    for number in range(count + 1):
        box.fill(f"Message number {number}")
        waiting = page.evaluate_handle(f"() => {{ window.bench = ({_FIRST_TOKEN})() }}")
        waiting.dispose()
        box.press("Enter")
        taken.append(float(page.evaluate("() => window.bench")))
        page.locator(_SETTLED).wait_for()
    page.context.close()
    return taken[1:]  # the first message also makes the conversation, and what is imported on demand


def opening(browser: Browser, url: str, *, words: str, count: int = 3) -> float:
    """Best of `count`: milliseconds from navigation to the sight of `words`, the browser's cache warm."""
    page = _open(browser, url)
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        page.goto(url)
        page.get_by_text(words).last.wait_for()
        taken.append((time.perf_counter() - began) * 1000)
    page.context.close()
    return min(taken)


def _open(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(30_000)
    page.goto(url)
    page.locator(_SETTLED).wait_for()
    return page
