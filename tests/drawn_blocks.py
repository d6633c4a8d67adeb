"""How the blocks of a text look in a browser, and that two drawings of one text look alike."""

from typing import Any

import pytest

from tests.open_page import Page

Block = dict[str, Any]

_TOLD = """root => {
  const inside = "h1,h2,h3,h4,h5,h6,li,blockquote,hr,th,td,a,strong,em,del,code,p:not(li > p)";
  return [...root.querySelectorAll(inside)]
    .filter(one => !one.closest("pre, [data-testid=stHeaderActionElements]"))
    .map(one => {
      const box = one.getBoundingClientRect(), style = getComputedStyle(one);
      return {
        what: one.tagName, x: box.x - root.getBoundingClientRect().x, y: box.y, width: box.width, height: box.height,
        style: [style.fontSize, style.fontWeight, style.fontFamily, style.lineHeight, style.color,
                style.backgroundColor, style.textDecorationLine],
      };
    });
}"""
"""What stands in an element, in its order: places and looks."""

_DRAWN = """() => {{
  const root = document.querySelector('{selector}');
  const told = root ? ({told})(root) : [];
  return told.length ? told : null;
}}"""
"""Waits, since what a page draws first may hold nothing yet: a table comes later than its frame."""


def tell(page: Page, selector: str) -> list[Block]:
    """Of the first element of this selector, once something is drawn in it."""
    page.wait_for_function("document.fonts.status === 'loaded'")
    told: list[Block] = page.wait_for_function(_DRAWN.format(selector=selector, told=_TOLD)).json_value()
    return told


def compare(ours: list[Block], native: list[Block], *, within: str) -> None:
    """Ours differ in this: an answer's first block begins at its top."""
    assert ours
    assert [one["what"] for one in ours] == [one["what"] for one in native], within
    above = native[0]["y"] + native[0]["height"] - ours[0]["y"] - ours[0]["height"]
    for mine, theirs in zip(ours, native, strict=True):
        named = f"{within}: {mine['what']}"
        assert mine["style"] == theirs["style"], named
        assert mine["x"] == pytest.approx(theirs["x"], abs=1), named
        assert mine["width"] == pytest.approx(theirs["width"], abs=2), named
        assert mine["y"] + mine["height"] == pytest.approx(theirs["y"] + theirs["height"] - above, abs=2), named
