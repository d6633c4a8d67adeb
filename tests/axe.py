"""What axe-core finds on a page: rules of WCAG 2 and of good practice that a browser can check by itself."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.open_page import SETTLED, Page, still

AXE = "axe-core@4.14.1"
_RUN = "async () => (await axe.run(document, {resultTypes: ['violations']})).violations"
_DRAWN = """() => !document.querySelector('[data-stale="true"]')"""
_IS_DARK = "matchMedia('(prefers-color-scheme: dark)').matches"
_STREAMLIT = "document.querySelector('[data-testid=stApp]')"
_LOOKS = 5
_NAMED = re.compile(r'data-testid="([^"]+)"|class="(st[A-Z]\w*|token) ')

Finding = tuple[str, str]
"""Rule, and the element: Streamlit's name for it, else its HTML."""

STREAMLITS: dict[str, set[Finding]] = {"1.67.0": {("color-contrast", "token")}}
"""What Streamlit itself draws so, by its version: the colours of words in code."""


def fetch_axe(folder: Path) -> str:
    """Its script, fetched by npm."""
    if shutil.which("npm") is None:
        pytest.skip("needs npm")
    (folder / "package.json").write_text('{"private": true}')
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", AXE]
    done = subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


def find_violations(page: Page, axe: str) -> set[Finding]:
    """Of the page as it stands, with what is open on it. What is found must be found again a second later: a page that
    draws itself between the wait and the look is half as dark for a moment."""
    page.evaluate(axe)
    found = _look(page)
    for _ in range(_LOOKS):
        if not found:
            break
        page.wait_for_timeout(1_000)
        before, found = found, _look(page)
        if found == before:
            break
    return found


def _look(page: Page) -> set[Finding]:
    for drawn in (_DRAWN, SETTLED):  # what is half drawn has half the contrast
        page.wait_for_function(drawn)
    found: Iterable[dict[str, Any]] = page.evaluate(_RUN)
    return {(rule["id"], _name(node["html"])) for rule in found for node in rule["nodes"]}


def find_ours(page: Page, axe: str) -> set[Finding]:
    """Without what Streamlit itself draws so; in the page's colours, then in the others (light, dark), which stay."""
    found = find_violations(page, axe)
    other: Literal["light", "dark"] = "light" if page.evaluate(_IS_DARK) else "dark"
    page.emulate_media(color_scheme=other)
    page.wait_for_function(f"name => !{_STREAMLIT} || getComputedStyle({_STREAMLIT}).colorScheme === name", arg=other)
    return (found | find_violations(page, axe)) - STREAMLITS.get(version("streamlit"), set())


def check_looks(page: Page, axe: str) -> None:
    """Nothing of ours is hard to read or to reach, in light and dark, on a phone and wide, as the page stays."""
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert find_ours(still(page), axe) == set(), width


def _name(html: str) -> str:
    named = _NAMED.search(html.partition(">")[0])
    return (named[1] or named[2]) if named else html[:200]
