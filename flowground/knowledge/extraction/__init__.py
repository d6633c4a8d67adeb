"""Text extraction: the text of a PDF, DOCX, HTML, CSV, JSON, Markdown or plain text file, read in a child process.

A file may be hostile, so nothing is read by the process that asks (`extractors`): a child (`child`) with limits on
memory, processor time and what it may open does it, and is killed where it takes too long. Whatever is wrong with a
file is a sentence, `FileUnreadable`.
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
"""The end of a file's name -> the kind of file it should be."""
READABLE = join_words(dict.fromkeys(ENDINGS.values()), "or")
_ENCODINGS = re.compile(
    r"utf[-_](8|16|32)([-_](le|be|sig))?|ascii|iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|tis-620|"
    r"shift_jis\w*|euc_\w+|iso2022_\w+|gb2312|gbk|gb18030|hz|big5\w*|johab|kz1048|ptcp154"
)
"""Python's names of those in which texts are written: it knows others, one of which takes minutes for a megabyte."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""UTF-32's before UTF-16's, whose mark it begins with."""
_LOOKED_AT = 65_536
_CONTROLS = dict.fromkeys((*range(9), 11, *range(14, 32), 127), "�")


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


def find_encoding(named: str) -> str | None:
    """Python's name of the encoding that a page or a server names; None where no text is written in it."""
    try:
        found = codecs.lookup(named).name
    except (LookupError, ValueError):
        return None
    return found if _ENCODINGS.fullmatch(found) else None


def decode(data: bytes, name: str) -> str:
    """The bytes as text with single line ends. Raises FileUnreadable for what is no text."""
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
    if begin[1::2].count(0) * 3 > len(begin):  # more than two thirds of every second byte
        return data.decode("utf-16-le", "replace")
    if begin[::2].count(0) * 3 > len(begin):
        return data.decode("utf-16-be", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data" and error.start > len(data) - 4:  # cut within a character
            return data[: error.start].decode("utf-8")
    return data.decode("cp1252", "replace")
