"""`python -m tests.markdown_pictures`: a picture of each block of the corpus, wide and narrow, light and dark."""

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from playwright.sync_api import sync_playwright

from tests.chromium import CHROMIUM_ARGUMENTS, find_quickest
from tests.markdown_corpus import CorpusServer, read_corpus
from tests.servers import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = ROOT / "docs" / "images" / "markdown"
WIDTHS = (1280, 390)
LOOKS: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def take_pictures(server: CorpusServer, browser: "Browser", folder: Path, blocks: list[str]) -> None:
    """One file for each block: wide and narrow side by side is left to whoever looks."""
    folder.mkdir(parents=True, exist_ok=True)
    for look in LOOKS:
        for width in WIDTHS:
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=look)
            page = context.new_page()
            for block in blocks:
                page.goto(server.address(block))
                page.locator(".answer[data-done]").wait_for(timeout=30_000)
                page.wait_for_function("document.fonts.status === 'loaded'")
                page.wait_for_timeout(700)  # colours, formulas and diagrams come a moment later
                page.locator('[data-testid="stMain"]').screenshot(
                    path=folder / f"{block.replace(' ', '-')}-{width}-{look}.png"
                )
            context.close()


def main() -> None:
    chromium = find_quickest()
    if chromium is None:
        sys.exit("needs Debian's chromium")
    blocks = sys.argv[1:] or list(read_corpus())
    with tempfile.TemporaryDirectory() as folder, CorpusServer(Path(folder)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        take_pictures(server, browser, FOLDER, blocks)


if __name__ == "__main__":
    main()
