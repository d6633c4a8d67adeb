"""Text extraction: the text of a PDF, DOCX, HTML, CSV, JSON, Markdown or plain text file, read in a child process.

A file may be hostile, so nothing here is read by the process that asks (`extractor`): a child (`child`) with limits on
memory, processor time and what it may open does it, and is killed where it takes too long. Whatever is wrong with a
file is a sentence, `FileUnreadable`.
"""

from dataclasses import dataclass
from itertools import pairwise

from flowground.errors import RunError

ENDINGS = {
    ".pdf": "pdf", ".docx": "docx", ".html": "html", ".htm": "html", ".csv": "csv", ".json": "json",
    ".md": "md", ".markdown": "md", ".txt": "txt", ".text": "txt",
}  # fmt: skip
"""The end of a file's name -> the kind of file it should be."""


class FileUnreadable(RunError):
    """A file has no text that can be read; the message says its name and why."""


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """`file_bytes` is the largest file, `text_chars` where a longer text is cut; `memory_bytes` and `seconds` bound the
    work on one file."""

    file_bytes: int = 50_000_000
    text_chars: int = 10_000_000
    memory_bytes: int = 1_000_000_000
    seconds: float = 60


@dataclass(frozen=True, slots=True)
class Extracted:
    """A file's text. `pages` says at which character each page begins, and is empty where there are none; headings are
    written as in Markdown. `digest` is the SHA-256 of the bytes that were read. `is_cut`: there was more text."""

    text: str
    kind: str
    digest: str
    pages: tuple[int, ...] = ()
    is_cut: bool = False

    def list_pages(self) -> list[tuple[int | None, int, int]]:
        """Each page's number, its first character, and that behind its last one; the whole text where there are no
        pages."""
        if not self.pages:
            return [(None, 0, len(self.text))]
        return [(number, *ends) for number, ends in enumerate(pairwise((*self.pages, len(self.text))), 1)]
