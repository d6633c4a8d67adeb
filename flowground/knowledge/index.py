"""The contract of an index of one knowledge: what it holds, `IndexReader` and `IndexWriter`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from flowground.knowledge.terms import Term

FORMAT = 2
"""The version of the stored format. An index of another version is built again."""
PDF_READER = "pdfium:"
"""The prefix of a PDF's digest: a PDF with another prefix was read by another reader, and is read again."""
SEARCH_SECONDS = 5.0
"""The longest time of a search: questions are limited so that they take far less."""


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
    """Where an index is built: `new` is its file, `old` the file that it begins as a copy of, or None.

    With a `database` (its URL), `new` is a build of the `index` with this id there, and `old` is any text or None.
    """

    new: str
    old: str | None = None
    database: str = ""
    index: int = 0


class IndexReader(Protocol):
    """A finished index, safe for threads. All methods raise RunError where it cannot be read, or takes too long."""

    about: Mapping[str, str]
    """The settings that it was built with (`BuildJob.describe`)."""
    count: int
    """The number of its passages."""
    is_retired: bool
    """Whether another index serves: reading may fail, as this one is removed."""

    def list_files(self) -> dict[str, IndexedFile]:
        """The indexed files, by source."""

    def count_words(self, words: Iterable[str]) -> dict[str, int]:
        """In how many passages each word occurs; words that occur nowhere are left out."""

    def list_words_with(self, part: str, *, most: int) -> list[str]:
        """Words that contain another, the shortest first."""

    def count_words_from(self, begin: str, *, most: int) -> dict[str, int]:
        """Words that begin like this, alphabetically, with the number of passages that each occurs in."""

    def search(self, terms: Sequence[Term], *, most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
        """Passages with any of the terms, the best first; only of files with these ids, unless None."""

    def read(self, ids: Sequence[int]) -> dict[int, FoundPassage]:
        """Passages by id."""

    def list_passage_ids(self, files: Sequence[int] | None = None) -> list[int]:
        """Ids of all passages, or of those of some files, in order."""

    def list_ids(self) -> list[tuple[str, Mapping[str, str], int]]:
        """The source, keys and id of every file."""


class IndexWriter(Protocol):
    """An index being built beside the serving one, for one thread."""

    def list_files(self) -> dict[str, IndexedFile]:
        """The files by source: those of the old index, as far as nothing was put or removed yet."""

    def put_file(self, file: IndexedFile, passages: Sequence[IndexedPassage]) -> None:
        """Adds a file, in the place of what was indexed of it before."""

    def sign(self, source: str, signature: str) -> None:
        """Stores the new signature of a file whose content is the same."""

    def remove(self, source: str) -> None:
        """Removes a file."""

    def finish(self) -> int:
        """Makes the index ready for readers; returns the number of its passages."""

    def close(self) -> None:
        """Frees resources, whether the index is finished or not."""
