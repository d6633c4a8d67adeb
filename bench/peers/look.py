"""What a person at one of the apps waits for, measured in Chromium in the same way for each."""

import json
import time
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page

from bench.conversation import LAST_WORDS
from bench.first_load import open_twice
from bench.load import percentile
from bench.peers.apps import Peer
from bench.peers.wire import count_bytes
from bench.screen import chromium
from bench.stub import LAST_LONG_WORDS, LONG_ANSWER, WORDS, write_long

_LONG_CHAT = 300
_KEYS = "How quickly does a letter stand here?"
_DEADLINE = 300_000
# The first frame after an answer more has the stub's first word in it, in ms since Enter.
_WATCH_FIRST = """
(selector) => {
  const count = () => [...document.querySelectorAll(selector)].filter((one) => one.textContent.includes('Here')).length;
  const before = count();
  let pressed;
  addEventListener('keydown', (event) => { if (event.key === 'Enter') pressed = performance.now(); },
                   {capture: true, once: true});
  window.benchFirst = new Promise((resolve) => {
    const watch = new MutationObserver(() => {
      if (count() <= before) return;
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - pressed)));
    });
    watch.observe(document.body, {subtree: true, childList: true, characterData: true});
  });
}
"""
_HAS_ANSWERS = """
([selector, words, count]) =>
  [...document.querySelectorAll(selector)].filter((one) => one.textContent.includes(words)).length >= count
"""
# From a key until the frame after it is drawn.
_WATCH_KEYS = """
() => {
  window.benchKeys = [];
  addEventListener('keydown', () => {
    const began = performance.now();
    requestAnimationFrame(() => setTimeout(() => window.benchKeys.push(performance.now() - began)));
  }, {capture: true});
}
"""
# Says five times a second how far the answer is, and how its frames were: a page that is too busy is not asked.
_WATCH_FRAMES = """
([selector, lastWords]) => {
  const frames = [];
  let last = performance.now(), longest = 0;
  const look = (now) => { frames.push(now - last); last = now; requestAnimationFrame(look); };
  requestAnimationFrame(look);
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) longest = Math.max(longest, task.duration);
  }).observe({type: 'longtask'});
  const began = performance.now();
  const tell = () => {
    const text = [...document.querySelectorAll(selector)].at(-1)?.textContent ?? '';
    const sorted = frames.toSorted((one, other) => one - other);
    console.debug('bench ' + JSON.stringify({
      shown: text.length, is_whole: text.slice(-400).includes(lastWords), taken: performance.now() - began, longest,
      frame: sorted[Math.floor(sorted.length * 0.95)] ?? 0, slowest: sorted.at(-1) ?? 0,
    }));
  };
  setInterval(tell, 200);
}
"""
_LONGEST_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """Times in ms, `size` in times of what is shown of the long answer, `cpu` of the page's main thread in seconds.

    `shown` is 1 when that answer became whole in time; else `finished` and `cpu` are None.
    """

    first_text: float
    cold: float
    warm: float
    first_kb: float
    opened: float
    key: float
    slowest_key: float
    size: float
    frame: float
    slowest_frame: float
    longest_task: float
    cpu: float | None
    finished: float | None
    shown: float


def measure(peer: Peer, stub: str, *, count: int) -> Seen:
    """`count` messages and openings."""
    with peer.serve(stub, 0) as url:
        with chromium() as browser:
            first_text = _measure_first_text(browser, peer, url, count=count)
            openings = [open_twice(browser, url, peer.composer) for _ in range(count)]
        with chromium() as browser:  # its own, to be closed however busy the page is
            long = _measure_long_answer(browser, peer, url)
    with peer.serve(stub, _LONG_CHAT) as url, chromium() as browser:
        chat = _measure_long_chat(browser, peer, url, count=min(count, 5))
    cold, warm, first_kb = (percentile([row[at] for row in openings], 50) for at in range(3))
    return Seen(first_text=first_text, cold=cold, warm=warm, first_kb=first_kb, **chat, **long)


def _measure_first_text(browser: Browser, peer: Peer, url: str, *, count: int) -> float:
    page = _open(browser, url)
    composer = page.locator(peer.composer).first
    taken = []
    for number in range(count + 2):
        composer.fill(f"Message number {number}")
        page.wait_for_timeout(300)
        page.evaluate(_WATCH_FIRST, peer.answer)
        composer.press("Enter")
        taken.append(float(page.evaluate("() => window.benchFirst")))
        _wait_for_answers(page, peer, WORDS, number + 1)
        page.wait_for_timeout(700)
    page.context.close()
    return percentile(taken[2:], 50)  # the first ones load what is imported on demand


def _measure_long_chat(browser: Browser, peer: Peer, url: str, *, count: int) -> dict[str, float]:
    page = _open(browser, url)
    opened = []
    for _ in range(count + 1):
        page.goto("about:blank")
        opened.append(_time_opening(page, peer, url))
    page.wait_for_timeout(1_000)
    page.evaluate(_WATCH_KEYS)
    page.locator(peer.composer).first.press_sequentially(_KEYS, delay=60)
    page.wait_for_timeout(500)
    keys = page.evaluate("() => window.benchKeys")
    page.context.close()
    return {"opened": percentile(opened[1:], 50), "key": percentile(keys, 50), "slowest_key": max(keys)}


def _time_opening(page: Page, peer: Peer, url: str) -> float:
    """Until the composer is there and the last of the messages."""
    page.goto(url, wait_until="commit")
    page.locator(peer.composer).first.wait_for()
    page.get_by_text(f"Answer {_LONG_CHAT // 2 - 1}:").last.wait_for(state="attached")
    page.get_by_text(LAST_WORDS).last.wait_for(state="attached")
    return float(page.evaluate("() => performance.now()"))


def _measure_long_answer(browser: Browser, peer: Peer, url: str) -> dict[str, Any]:
    told: dict[str, Any] = {"shown": 0, "is_whole": False, "taken": 0, "longest": 0, "frame": 0, "slowest": 0}

    def hear(line: ConsoleMessage) -> None:
        if not told["is_whole"] and line.text.startswith("bench "):
            told.update(json.loads(line.text[6:]))

    with count_bytes(url) as wire:
        page = _open(browser, wire.url)
        composer = page.locator(peer.composer).first
        composer.wait_for()
        page.wait_for_timeout(1_500)
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable")
        composer.fill(f"Write something {LONG_ANSWER}")
        page.wait_for_timeout(500)
        page.on("console", hear)
        before, used = wire.came, _read_cpu(tools)
        page.evaluate(_WATCH_FRAMES, [peer.answer, LAST_LONG_WORDS])
        composer.press("Enter", no_wait_after=True)
        end = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < end and not told["is_whole"]:
            page.wait_for_timeout(100)
        came = wire.came - before
        cpu = _read_cpu(tools) - used if told["is_whole"] else None
        browser.close()
    own = len("".join(write_long()).replace("*", "").encode())
    shown = 1.0 if told["is_whole"] else min(told["shown"] / own, 0.99)
    return {
        "size": came / (own * max(shown, 0.01)),
        "frame": told["frame"],
        "slowest_frame": max(told["slowest"], 0 if told["is_whole"] else _LONGEST_SECONDS * 1000 - told["taken"]),
        "longest_task": told["longest"],
        "cpu": cpu,
        "finished": told["taken"] if told["is_whole"] else None,
        "shown": shown,
    }


def _open(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(_DEADLINE)
    page.goto(url)
    return page


def _wait_for_answers(page: Page, peer: Peer, words: str, count: int) -> None:
    page.wait_for_function(_HAS_ANSWERS, arg=[peer.answer, words, count], polling=200, timeout=_DEADLINE)


def _read_cpu(tools: Any) -> float:
    metrics = {row["name"]: row["value"] for row in tools.send("Performance.getMetrics")["metrics"]}
    return float(metrics["TaskDuration"])
