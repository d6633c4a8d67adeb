"""Signatures of files by what they hold: computers that share an index have the same files, written at other times."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from flowground.knowledge.sources import SourceFile


class ContentSignatures:
    """Reads each file again only where it was written since."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str] = {}

    def sign(self, files: Mapping[str, SourceFile]) -> dict[str, SourceFile]:
        """The files with signatures by content; one that cannot be read keeps its own."""
        known, self._known = self._known, {}
        signed = {}
        for source, file in files.items():
            place = (str(file.path), file.signature)
            digest = known.get(place, "") if file.signature else ""
            with suppress(OSError):
                digest = digest or _digest(file)
            self._known[place] = digest
            signed[source] = replace(file, signature=digest or file.signature)
        return signed


def _digest(file: SourceFile) -> str:
    with file.path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
