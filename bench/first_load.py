"""What opening a page costs, beside a page of one line of the same Streamlit: bytes, and the time until it is usable.

python -m bench.first_load [COUNT]
"""

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench.load import percentile
from bench.processes import serve
from bench.screen import chromium
from tests.servers import AppServer, free_port

ONE_LINE = "a page of one line"
_USABLE: Mapping[str, str] = {
    ONE_LINE: '[data-testid="stMarkdown"]',
    "home": "h1",
    "playground": "textarea",
    "a second page, shareable": "textarea",
}
"""What is waited for, by page; of the app these are opened in this order."""
_PATHS = {"home": "/", "playground": "/playground?flow={flow}", "a second page, shareable": "/public_flow/{flow}"}


@dataclass(frozen=True, slots=True)
class Opening:
    """Median milliseconds until one reads or types, with nothing kept and with all; kB that came first."""

    cold: float
    warm: float
    first_kb: float


def measure(browser: Browser, url: str, *, flow: str, count: int = 5) -> dict[str, Opening]:
    """By page: the app's pages, and the page of one line, opened in turn, each time by a new browser."""
    paths = {name: path.format(flow=flow) for name, path in _PATHS.items()}
    taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in _USABLE}
    with _serve_one_line() as plain:
        for _ in range(count):
            taken[ONE_LINE].append(open_twice(browser, plain, _USABLE[ONE_LINE]))
            for name in ("playground", "home"):
                taken[name].append(open_twice(browser, url + paths[name], _USABLE[name]))
            name = "a second page, shareable"
            before = url + paths["playground"]
            taken[name].append(open_twice(browser, url + paths[name], _USABLE[name], before=before))
    return {
        name: Opening(*(percentile([row[at] for row in rows], 50) for at in range(3))) for name, rows in taken.items()
    }


def open_twice(browser: Browser, url: str, usable: str, *, before: str | None = None) -> tuple[float, float, float]:
    """By a new browser, until a selector is there: milliseconds with nothing kept and with all; kB that came first."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    if before:
        page.goto(before)
        page.wait_for_load_state("networkidle")
    kilobytes: list[float] = []
    tools = context.new_cdp_session(page)
    tools.send("Network.enable")

    def add(event: dict[str, Any]) -> None:
        kilobytes.append(event["encodedDataLength"] / 1000)

    tools.on("Network.loadingFinished", add)
    cold = _wait_until_usable(page, url, usable)
    before_it = -1
    while len(kilobytes) > before_it:  # some pages keep a request open for good, so the network is never idle
        before_it = len(kilobytes)
        page.wait_for_timeout(700)
    came = sum(kilobytes)
    warm = _wait_until_usable(page, url, usable)
    context.close()
    return cold, warm, came


def _wait_until_usable(page: Page, url: str, usable: str) -> float:
    began = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator(usable).first.wait_for()
    return (time.perf_counter() - began) * 1000


@contextmanager
def _serve_one_line() -> Iterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "page.py"
        script.write_text('import streamlit as st\n\nst.write("One line.")\n', "utf-8")
        options = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
        command = [sys.executable, "-m", "streamlit", "run", str(script), *options]
        with serve(command, port, folder=Path(folder)):
            yield f"http://127.0.0.1:{port}"


def write_rows(openings: Mapping[str, Opening]) -> Iterator[str]:
    """A table; the ratio is to the page of one line."""
    plain = openings[ONE_LINE]
    yield "| | first load | cold | warm | cold, ratio | warm, ratio |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for name, one in openings.items():
        yield (
            f"| {name} | {one.first_kb:,.0f} kB | {one.cold:.0f} ms | {one.warm:.0f} ms "
            f"| {one.cold / plain.cold:.2f} | {one.warm / plain.warm:.2f} |"
        )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, AppServer(Path(folder), flows=["echo"]) as app:
        print("\n".join(write_rows(measure(browser, app.url, flow="echo", count=count))))


if __name__ == "__main__":
    main()
