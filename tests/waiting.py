"""Waiting for what another thread or process does, with an end: a test that never gets it fails instead of hanging."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T], *, within: float = 60) -> T:
    """What `look` gives, once that is true or not empty; it is asked ten times a second, for `within` seconds."""
    end = time.monotonic() + within
    while not (found := look()):
        assert time.monotonic() < end, f"not within {within} s; at last it was {found!r}"
        time.sleep(0.1)
    return found


def list_files(folder: Path) -> list[Path]:
    """All files below a folder, from which somebody may delete files and folders meanwhile."""
    return [Path(place) / name for place, _, names in os.walk(folder) for name in names]
