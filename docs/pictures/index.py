"""docs/images/pages.md: all pictures, with what was thought of each when it was looked at."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs.pictures.acted import ACTED
from docs.pictures.chats import CHATS
from docs.pictures.guide import GUIDES
from docs.pictures.places import ALONES, PLACES
from tests.servers import ROOT

FOLDER = ROOT / "docs" / "images" / "pages"
MARKS = ROOT / "docs" / "images" / "pages.toml"
INDEX = ROOT / "docs" / "images" / "pages.md"
LOOKS: dict[str, dict[str, Any]] = {
    f"{width}-{scheme}": {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    for width, height in ((1280, 800), (390, 844))
    for scheme in ("light", "dark")
}
"""By the end of a file's name: how the browser is."""
_HEAD = """\
Taken by `python -m docs.pictures` in Debian's chromium, at 1280 and 390 pixels, light and dark. The marks, 1 to 10, are
those of somebody who looked at each beside ChatGPT, Linear and Stripe's docs; they are written by hand in
[pages.toml](pages.toml).
"""
TITLES = {name: title for states in (ALONES, CHATS, ACTED, GUIDES, PLACES) for name, (title, _) in states.items()}


def name_file(state: str, look: str) -> Path:
    return FOLDER / f"{state}-{look}.webp"


def write_index() -> str:
    """The whole Markdown text."""
    return "\n".join(_list_lines()) + "\n"


def _list_lines() -> Iterator[str]:
    marks = tomllib.loads(MARKS.read_text("utf-8"))
    yield "# Every page and state"
    yield ""
    yield _HEAD
    yield "| | wide | | phone | | mark |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for state, title in sorted(TITLES.items()):
        seen = marks[state]
        pictures = " | ".join(_write_picture(state, title, look) for look in LOOKS)
        yield f"| **{title}** | {pictures} | **{seen['mark']}** {seen['why']} |"


def _write_picture(state: str, title: str, look: str) -> str:
    file = name_file(state, look).relative_to(INDEX.parent).as_posix()
    width = 320 if look.startswith("1280") else 120
    return f'<a href="{file}"><img src="{file}" width="{width}" alt="{title}, {look}"></a>'
