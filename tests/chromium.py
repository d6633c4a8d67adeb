"""Which browser tests and bench drive, and how it is started: quiet, and without asking other hosts."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """Debian's chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def find_quickest() -> str | None:
    """The same without a window of its own, which takes half the CPU time, where it is installed; else chromium."""
    return shutil.which("chromium-headless-shell") or chromium_path()


class Chromium:
    """At most one chromium of this process, started when it is first asked for."""

    last_file: ClassVar[Path | None] = None
    """The file of tests that asked for it last."""
    _open: ClassVar[Self | None] = None

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def open(self) -> "Browser":
        if self._browser is None:
            from playwright.sync_api import sync_playwright  # noqa: PLC0415 - a development extra

            self._playwright = sync_playwright().start()
            self._browser = self._playwright.chromium.launch(executable_path=find_quickest(), args=CHROMIUM_ARGUMENTS)
            Chromium._open = self
        return self._browser

    def close(self) -> None:
        """May be called often; `open` starts another."""
        if self._playwright is not None:
            self._playwright.stop()
        self._playwright = self._browser = None

    @classmethod
    def close_open(cls) -> None:
        if cls._open is not None:
            cls._open.close()
