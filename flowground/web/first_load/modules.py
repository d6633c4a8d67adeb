"""The scripts that a page with a conversation comes to need: fetched at once, not one after the other."""

import re
from collections.abc import Mapping
from pathlib import Path

from flowground.assets import find_asset, list_assets
from flowground.shims import page_files

ELEMENTS = ("BidiComponent", "Button", "Html", "PageLink")
"""What Streamlit's scripts fetch when the first of the kind is drawn."""
_IMPORT = re.compile(r'(?:from|import)\s*"\./([^"]+\.js)"')


def find_chat_modules(index: str) -> list[str]:
    """Their addresses, with those of all that they import; without what `index` names."""
    files: Mapping[str, Path] = page_files.find_files() | list_assets()
    wanted = [page_files.find_script(name) for name in ELEMENTS] + [find_asset("chat.js")]
    found: list[str] = []
    while wanted:
        address = wanted.pop(0)
        if address in found or address in index:
            continue
        found.append(address)
        folder = address.rpartition("/")[0]
        wanted += [f"{folder}/{name}" for name in _IMPORT.findall(files[address].read_text("utf-8"))]
    return found
