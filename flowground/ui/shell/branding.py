"""The organization's pictures and links on pages, and the choice of light or dark."""

from base64 import b64encode
from html import escape
from pathlib import Path

import streamlit as st

from flowground import runtime
from flowground.settings import Settings
from flowground.ui.page import words
from flowground.ui.page.browser import PAGES

_STATIC = PAGES / "static"
_NAMED = "Flowground"
_LETTER = 15
"""Pixels that one letter of a name takes at most."""
_LOOKS = {"system": ("As the system", "computer"), "light": ("Light", "light_mode"), "dark": ("Dark", "dark_mode")}
"""Title and Material symbol."""


def find_icon() -> str:
    """The file for the browser's tab."""
    return str(runtime.get().settings.organization.icon or _STATIC / "icon.svg")


def find_logo() -> str:
    """A file, or a drawing of the icon with the name beside it."""
    organization = runtime.get().settings.organization
    if organization.logo:
        return str(organization.logo)
    if organization.name == _NAMED and organization.icon is None:
        return str(_STATIC / "logo.svg")
    return _draw_name(organization.name, Path(find_icon()))


def _draw_name(name: str, icon: Path) -> str:
    """Grey, which can be read on light and on dark: a picture does not know on which it lies."""
    kind = "image/svg+xml" if icon.suffix.lower() == ".svg" else f"image/{icon.suffix[1:].lower()}"
    picture = f"data:{kind};base64,{b64encode(icon.read_bytes()).decode()}"
    shown = words.cut(name, 24)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {58 + _LETTER * len(shown)} 40" role="img" '
        f'aria-label="{escape(name)}"><image href="{picture}" y="1" width="38" height="38"/>'
        f'<text x="48" y="27.5" font-family="Inter, system-ui, sans-serif" font-weight="650" font-size="21" '
        f'fill="#7c8296">{escape(shown)}</text></svg>'
    )


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
    """System, light or dark; kept in the browser, for all pages (flowground/web/first_load/head.js)."""
    _draw_choice(key="look")
