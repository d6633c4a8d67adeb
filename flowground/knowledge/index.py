"""An index of one knowledge, wherever it lives: what it holds, and how it is read and written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from flowground.knowledge.terms import Term

FORMAT = 2
"""Of what is stored. An index of another format is made anew."""
PDF_READER = "pdfium:"
"""Stands before the digest of a PDF: one that was read by another reader is read again."""
SEARCH_SECONDS = 5.0
"""Longest search: questions are bounded so that they take far less."""


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """`note` is why it could not be read, or not all of it; `signature` tells that it was written since."""

    source: str
    signature: str
    digest: str = ""
    kind: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    passages: int = 0

    def fits(self, signature: str) -> bool:
        """Whether it is what would be read now of a file with this signature."""
        is_pdf = self.kind == "pdf" or (not self.kind and self.source.lower().endswith(".pdf"))
        return self.signature == signature != "" and (not is_pdf or self.digest.startswith(PDF_READER))

    @property
    def is_unread(self) -> bool:
        """Whether nothing of it is found, for the reason that `note` says."""
        return bool(self.note) and not self.passages


@dataclass(frozen=True, slots=True)
class IndexedPassage:
    """`first` and `last` are its characters in the file's text, `trail` the headings above it."""

    text: str
    first: int
    last: int
    page: int | None
    trail: str


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """`rank` is its BM25 for the question, the more the better."""

    id: int
    source: str
    passage: IndexedPassage
    keys: Mapping[str, str]
    rank: float = 0.0


@dataclass(frozen=True, slots=True)
class BuildPlace:
    """Where an index is made: `new` is the file, and `old` the one that it begins as a copy of, where it does.

    With a `database` (its URL) it is the build `new` of the `index` with this id there, and `old` is any text.
    """

    new: str
    old: str | None = None
    database: str = ""
    index: int = 0


class IndexReader(Protocol):
    """An index that serves, for any thread. All of it raises RunError where it cannot be read, or takes too long."""

    about: Mapping[str, str]
    """What it was made by (`BuildJob.describe`)."""
    count: int
    """Its passages."""
    is_retired: bool
    """Whether another one serves: what is read now may fail, since this one is removed."""

    def list_files(self) -> dict[str, IndexedFile]:
        """By source."""

    def count_words(self, words: Iterable[str]) -> dict[str, int]:
        """In how many passages each word stands, of those that stand in any."""

    def list_words_with(self, part: str, *, most: int) -> list[str]:
        """Words in which another stands, the shortest first."""

    def count_words_from(self, begin: str, *, most: int) -> dict[str, int]:
        """Words that begin so, in the order of the alphabet, and in how many passages each stands."""

    def search(self, terms: Sequence[Term], *, most: int, ids: Sequence[int] | None) -> list[FoundPassage]:
        """Passages with any of the terms, the best first; of files with these ids only, where they are given."""

    def read(self, ids: Sequence[int]) -> dict[int, FoundPassage]:
        """Passages by their ids."""

    def list_passage_ids(self, files: Sequence[int] | None = None) -> list[int]:
        """Of all passages, or of those of some files, in order."""

    def list_ids(self) -> list[tuple[str, Mapping[str, str], int]]:
        """Source, keys and id of every file."""


class IndexWriter(Protocol):
    """An index that is being made beside the one that serves. It belongs to one thread."""

    def list_files(self) -> dict[str, IndexedFile]:
        """By source; those of the old index, as far as nothing was put or removed yet."""

    def put_file(self, file: IndexedFile, passages: Sequence[IndexedPassage]) -> None:
        """Instead of what was indexed of it before."""

    def sign(self, source: str, signature: str) -> None:
        """The file was written again, and says the same."""

    def remove(self, source: str) -> None:
        """Forgets a file."""

    def finish(self) -> int:
        """Makes the index ready for readers; how many passages it holds."""

    def close(self) -> None:
        """Gives back what it holds, finished or not."""
