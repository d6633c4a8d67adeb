"""Which browser tests and bench drive, and how it is started: quiet, and without asking other hosts."""

import shutil

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
