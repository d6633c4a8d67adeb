"""What a person waits for in the playground, in Debian's chromium."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from playwright.sync_api import Browser, Page

from tests.chromium import Chromium

_SETTLED = '[data-testid="stApp"][data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
# Milliseconds from the Enter key to the first frame after a further message with the stub's first word is in the page.
_FIRST_TOKEN = """
() => new Promise((resolve) => {
  const answers = () => [...document.querySelectorAll('article.fg-answer')]
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
})
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    with closing(Chromium()) as started:
        yield started.open()


def first_tokens(browser: Browser, url: str, *, count: int = 10) -> list[float]:
    """Milliseconds from Enter to the first token on screen, for each of `count` messages of one conversation."""
    page = _open(browser, url)
    box = page.get_by_role("textbox", name="Message", exact=True)
    taken = []
    for number in range(count + 1):
        box.fill(f"Message number {number}")
        page.evaluate(f"() => {{ window.bench = ({_FIRST_TOKEN})() }}")
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
