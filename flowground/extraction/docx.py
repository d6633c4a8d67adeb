"""The text of a DOCX document: paragraphs, headings as in Markdown, a table's row a line.

Its XML is read piece by piece, so that a part that unpacks without end ends by `most_chars` and `_XML_BYTES`; a
document type, by which XML could name other files or grow, stands in no document and is refused.
"""

import io
import re
import zipfile
import zlib
from xml.parsers import expat

from flowground.extraction import FileUnreadable

_DOCUMENT = "word/document.xml"
_PIECE = 1 << 16
_XML_BYTES = 500_000_000
_WORDS = (
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
)
"""Where its text stands, the strict form too; drawings beside it have tags like `p` and `t` of their own."""
_HEADING = re.compile(r"(?:heading|titre|berschrift|titolo|kop|ttulo)\s*([1-6])$", re.IGNORECASE)
"""Styles of headings, as Word names them in some languages: without the letters that are not ASCII."""


class _TooLong(Exception):
    """As much text as is wanted was read."""


class _Paragraphs:
    """What expat tells of the document's body, as lines."""

    def __init__(self, most_chars: int) -> None:
        self.lines: list[str] = []
        self._words: list[str] = []
        self._mark = ""
        self._cells = 0
        self._is_text = False
        self._left = most_chars

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        if space not in _WORDS:
            return
        match name:
            case "t":
                self._is_text = True
            case "tab":
                self._words.append("\t")
            case "br" | "cr":
                self._words.append("\n")
            case "pStyle":
                self._mark = _find_mark(attributes.get(f"{space} val", ""))
            case "tc":
                self._cells += 1
            case "tbl" | "p" if not self._cells:
                self._end_line()

    def end(self, tag: str) -> None:
        space, _, name = tag.rpartition(" ")
        if space not in _WORDS:
            return
        match name:
            case "t":
                self._is_text = False
            case "p" if self._cells:
                self._words.append(" ")
            case "tc":
                self._cells = max(0, self._cells - 1)
                self._words.append(" | ")
            case "tr" | "p" if not self._cells:
                self._end_line()

    def add(self, data: str) -> None:
        if self._is_text:
            self._words.append(data)
            self._left -= len(data)
            if self._left < 0:
                self._end_line()
                raise _TooLong

    def _end_line(self) -> None:
        line = "".join(self._words).strip(" |")
        if line:
            self.lines.append(self._mark + line)
        self._words, self._mark = [], ""


def read_docx(data: bytes, name: str, *, most_chars: int) -> str:
    """The document's body. Raises FileUnreadable."""
    paragraphs = _Paragraphs(most_chars)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = paragraphs.begin, paragraphs.end
    parser.CharacterDataHandler = paragraphs.add
    parser.StartDoctypeDeclHandler = lambda *_: _refuse_type(name)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_DOCUMENT) as document:
            left = _XML_BYTES
            while piece := document.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise FileUnreadable(f"{name} unpacks to more than {_XML_BYTES:,} bytes, which no document has.")
                parser.Parse(piece)
            parser.Parse(b"", True)
    except _TooLong:
        pass
    except expat.ExpatError as error:
        raise FileUnreadable(f"{name} is a damaged DOCX document: {expat.errors.messages[error.code]}.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        raise FileUnreadable(f"{name} is a DOCX document that is damaged, cut off or encrypted.") from None
    return "\n\n".join(paragraphs.lines)


def _refuse_type(name: str) -> None:
    raise FileUnreadable(f"{name} holds a document type, which no DOCX document has: it is not read.")


def _find_mark(style: str) -> str:
    """What stands before a heading, by its style's name; "" for other styles."""
    if style.lower() == "title":
        return "# "
    found = _HEADING.search(style)
    return "#" * int(found[1]) + " " if found else ""
