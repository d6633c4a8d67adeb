"""Files built from `frontend/` that browsers load beside Streamlit's own; a digest of the content is in each name."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "web" / "assets"
_BASE = "/assets/"
_SERVED = frozenset({".js", ".css", ".woff2", ".txt"})


def find_asset(name: str) -> str:
    """The address of a module that pages import, such as `markdown.js`; it changes with its content."""
    return _BASE + _read_manifest()[name]


def list_assets() -> dict[str, Path]:
    """All files by their address."""
    return {_BASE + file.name: file for file in FOLDER.iterdir() if file.suffix in _SERVED}


@cache
def _read_manifest() -> Mapping[str, str]:
    found: dict[str, str] = json.loads((FOLDER / "manifest.json").read_text("utf-8"))
    return found
