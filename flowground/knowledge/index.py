"""What an index of one knowledge holds, and where the next one is built."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

FORMAT = 2
"""The version of the stored format. An index of another version is built again."""
PDF_READER = "pdfium:"
"""The prefix of a PDF's digest: a PDF with another prefix was read by another reader, and is read again."""


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file in an index. `note` says why it could not be read, or not completely; `signature` changes when the file is
    written."""

    COLUMNS: ClassVar = "source, signature, digest, kind, keys, note, passages"
    source: str
    signature: str
    digest: str = ""
    kind: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    passages: int = 0

    @staticmethod
    def from_row(row: Sequence[Any]) -> "IndexedFile":
        """The file in a row with the columns of `COLUMNS`."""
        source, signature, digest, kind, keys, note, passages = row
        return IndexedFile(source, signature, digest, kind, json.loads(keys), note, passages)

    def to_row(self) -> Sequence[Any]:
        """The values of `COLUMNS`."""
        keys = json.dumps(dict(self.keys))
        return self.source, self.signature, self.digest, self.kind, keys, self.note, self.passages

    def fits(self, signature: str) -> bool:
        """Whether a file with this signature would be indexed as it is now."""
        is_pdf = self.kind == "pdf" or (not self.kind and self.source.lower().endswith(".pdf"))
        return self.signature == signature != "" and (not is_pdf or self.digest.startswith(PDF_READER))

    @property
    def is_unread(self) -> bool:
        """Whether the index has nothing of the file, for the reason in `note`."""
        return bool(self.note) and not self.passages


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """A passage: characters `first` to `last` of the file's text, with the headings above it in `trail`."""

    text: str
    first: int
    last: int
    page: int | None
    trail: str


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage that a search found."""

    id: int
    source: str
    passage: IndexedPassage
    keys: Mapping[str, str]

    @staticmethod
    def from_row(row: Sequence[Any]) -> "FoundPassage":
        """The passage in a row: its id, source, text, first and last character, page, trail, and the file's keys."""
        number, source, text, first, last, page, trail, keys = row
        return FoundPassage(number, source, IndexedPassage(text, first, last, page, trail), json.loads(keys))


@dataclass(frozen=True, slots=True)
class BuildPlace:
    """Where an index is built: `new` is its file, `old` the file that it begins as a copy of, or None."""

    new: str
    old: str | None = None
