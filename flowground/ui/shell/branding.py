"""The organization's pictures and links on pages, and the choice of light or dark."""

from pathlib import Path

import streamlit as st

from flowground import runtime
from flowground.settings import Settings
from flowground.ui.page import words
from flowground.ui.page.browser import PAGES

_STATIC = PAGES / "static"
_LOOKS = {"system": ("As the system", "computer"), "light": ("Light", "light_mode"), "dark": ("Dark", "dark_mode")}
"""Title and Material symbol."""


def find_icon() -> str:
    """The file for the browser's tab."""
    return str(runtime.get().settings.organization.icon or _STATIC / "icon.svg")


def find_logo() -> str:
    """The file on top of every page; where it is the icon, the name stands beside it (flowground/ui/page/looks.css)."""
    return str(runtime.get().settings.organization.logo or find_icon())


def draw_links(settings: Settings) -> None:
    """One line of small links, where config.yaml has some."""
    links = settings.organization.links
    if links:
        st.caption(" · ".join(f"[{words.escape(link.title)}](<{link.url}>)" for link in links))


_BUTTON = (
    '<button type="button" role="radio" aria-checked="false" data-look="{look}" aria-label="{title}" title="{title}">'
    "{symbol}</button>"
)
_draw_choice = st.components.v2.component(
    "flowground_look",
    html='<div role="radiogroup" aria-label="Colours">'
    + "".join(_BUTTON.format(look=look, title=title, symbol=symbol) for look, (title, symbol) in _LOOKS.items())
    + "</div>",
    css=(Path(__file__).with_name("look.css")).read_text("utf-8"),
    js=(Path(__file__).with_name("look.js")).read_text("utf-8"),
)


def draw_look() -> None:
    """System, light or dark; kept in the browser, for all pages (flowground/web/head.js)."""
    _draw_choice(key="look")
