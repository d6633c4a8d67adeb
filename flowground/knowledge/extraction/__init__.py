"""Text extraction: the text of a PDF, DOCX, HTML, CSV, JSON, Markdown or plain text file, read in a child process.

A file may be hostile, so the calling process (`extractors`) parses nothing itself. A child process (`child`) with
limits on memory, processor time and files does, and is killed when it takes too long. Every problem of a file is a
sentence, `FileUnreadable`.
"""

import codecs
import re
from dataclasses import dataclass
from itertools import pairwise

from flowground.core.errors import RunError
from flowground.core.words import join_words

ENDINGS = {
    ".pdf": "pdf", ".docx": "docx", ".html": "html", ".htm": "html", ".csv": "csv", ".json": "json",
    ".md": "md", ".markdown": "md", ".txt": "txt", ".text": "txt",
}  # fmt: skip
"""File endings -> the kind of file they promise."""
READABLE = join_words(dict.fromkeys(ENDINGS.values()), "or")
_ENCODINGS = re.compile(
    r"utf[-_](8|16|32)([-_](le|be|sig))?|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|"
    r"shift_jis\w*|euc_\w+|iso2022_\w+|gb2312|gbk|gb18030|hz|big5\w*|johab|kz1048|ptcp154"
)
"""Encodings in which people write texts, by Python's names: one of Python's others takes minutes for a megabyte."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; UTF-32's comes before UTF-16's, with which it begins."""
_LOOKED_AT = 65_536
_CONTROLS = dict.fromkeys((*range(9), 11, *range(14, 32), 127), "�")


class FileUnreadable(RunError):
    """A file without readable text; the message has its name and the reason."""


@dataclass(frozen=True, slots=True)
class ExtractionLimits:
    """`file_bytes` is the largest file, `text_chars` the length at which texts are cut; `memory_bytes` and `seconds`
    limit the work on one file."""

    file_bytes: int = 50_000_000
    text_chars: int = 10_000_000
    memory_bytes: int = 1_000_000_000
    seconds: float = 60


@dataclass(frozen=True, slots=True)
class Extracted:
    """A file's text, with headings as in Markdown. `pages` are the characters at which pages begin, empty where there
    are no pages. `digest` is the SHA-256 of the file. `is_cut`: the text is incomplete."""

    text: str
    kind: str
    digest: str
    pages: tuple[int, ...] = ()
    is_cut: bool = False

    def list_pages(self) -> list[tuple[int | None, int, int]]:
        """Each page's number, its first character, and the character after its last; the whole text where there are no
        pages."""
        if not self.pages:
            return [(None, 0, len(self.text))]
        return [(number, *ends) for number, ends in enumerate(pairwise((*self.pages, len(self.text))), 1)]


def find_encoding(named: str) -> str | None:
    """Python's name of the encoding that a page or server names; None where it is not used for texts."""
    try:
        found = codecs.lookup(named).name
    except (LookupError, ValueError):
        return None
    return found if _ENCODINGS.fullmatch(found) else None


def decode(data: bytes, name: str) -> str:
    """The bytes as text with one kind of line end. Raises FileUnreadable where they are no text."""
    text = _decode(data)
    begin = text[:_LOOKED_AT]
    if sum(begin.count(chr(code)) for code in _CONTROLS) * 100 > len(begin):
        raise FileUnreadable(f"{name} holds no text, whatever its name says.")
    return text.translate(_CONTROLS).replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    begin = data[:_LOOKED_AT]
    if begin[1::2].count(0) * 3 > len(begin):  # more than two thirds of every second byte are zero
        return data.decode("utf-16-le", "replace")
    if begin[::2].count(0) * 3 > len(begin):
        return data.decode("utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > len(data) - 4:  # cut inside a character
            return data[: error.start].decode("utf-8")
    return data.decode("cp1252", "replace")
