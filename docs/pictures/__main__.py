"""`python -m docs.pictures [STATE …]`: takes the pictures again, and writes docs/images/pages.md."""

import argparse
import io
import sys
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import Error

from bench.screen import chromium
from docs.pictures.acme import ACME, ALONE
from docs.pictures.acted import ACTED, DESK
from docs.pictures.chats import CHATS
from docs.pictures.guide import GUIDE, GUIDES
from docs.pictures.index import FOLDER, INDEX, LOOKS, TITLES, name_file, write_index
from docs.pictures.places import ALONES, PLACES, Show
from tests.house import House
from tests.open_page import visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

_QUALITY = 80
_README = {"chat-conversation-1280-light": "playground.png", "api-python-1280-light": "api-access.png"}
"""Shown there, where some readers know no WebP."""


def take_pictures(house: House, states: Mapping[str, tuple[str, Show]], wanted: Collection[str]) -> list[str]:
    """What could not be brought about, each with the reason."""
    failed = []
    with tempfile.TemporaryDirectory() as folder, house.open(Path(folder)) as server, chromium() as browser:
        for state in [state for state in states if state in wanted]:
            for look, given in LOOKS.items():
                with visitor(browser, **given) as page:
                    try:
                        states[state][1](page, server)
                    except (Error, AssertionError) as error:
                        failed.append(f"{state}-{look}: {str(error).splitlines()[0]}")
                    _keep(page, name_file(state, look))
        failed += [f"the server: {line}" for line in server.log.splitlines() if "Traceback" in line or "Error" in line]
    return failed


def _keep(page: "Page", file: Path) -> None:
    page.wait_for_function("document.fonts.status === 'loaded'")
    page.wait_for_timeout(300)  # nothing fades any more
    taken = Image.open(io.BytesIO(page.screenshot()))
    taken.convert("RGB").save(file, "WEBP", quality=_QUALITY, method=6)
    if file.stem in _README:
        palette = taken.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        palette.save(FOLDER.parent / _README[file.stem], optimize=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.pictures", description=__doc__)
    parser.add_argument("states", nargs="*", choices=[[], *TITLES], help="these alone")
    given = parser.parse_args()
    wanted = given.states or list(TITLES)
    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = take_pictures(ALONE, ALONES, wanted) + take_pictures(ACME, CHATS | PLACES, wanted)
    failed += take_pictures(GUIDE, GUIDES, wanted) + take_pictures(DESK, ACTED, wanted)
    INDEX.write_text(write_index(), encoding="utf-8")
    sys.stderr.write("".join(f"{line}\n" for line in failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
