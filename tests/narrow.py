"""A phone, and what goes over its side."""

from typing import Any

from tests.open_page import Page

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
_WIDE = """() => [...document.querySelectorAll("*")]
  .filter(one => one.checkVisibility() && getComputedStyle(one).position !== "fixed")
  .filter(one => one.scrollWidth > one.clientWidth + 8 && one.clientWidth > 300)
  .filter(one => /auto|scroll/.test(getComputedStyle(one).overflowX))
  .filter(one => !one.matches("pre, .fg-file-text, .fg-scroll, .fg-display, .katex-display, [role=tablist]"))
  .filter(one => !one.matches("[data-baseweb=tab-list]"))
  .map(one => one.dataset.testid ?? one.className)"""
"""What scrolls sideways, by more than anybody notices, and is no code, table, formula or row of tabs."""


def find_wide(page: Page) -> list[str]:
    """What scrolls sideways on the page and should not; the page itself may not at all."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    found: list[str] = page.evaluate(_WIDE)
    return found
