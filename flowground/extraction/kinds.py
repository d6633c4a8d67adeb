"""Which kind of file bytes are: what they begin with decides, and the name only among kinds of plain text."""

import io
import zipfile
from pathlib import PurePath

from flowground.extraction import ENDINGS, FileUnreadable
from flowground.words import join_words

_BEGINNINGS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\xd0\xcf\x11\xe0": "a document of an older Office (.doc, .xls)",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "a database",
    b"{\\rtf": "an RTF document",
}
_IN_ZIP = {
    "word/document.xml": "docx",
    "xl/workbook.xml": "an Excel workbook (.xlsx)",
    "ppt/presentation.xml": "a PowerPoint presentation (.pptx)",
    "content.xml": "an OpenDocument file",
}
_TITLES = {"pdf": "a PDF", "docx": "a DOCX document"}
READABLE = join_words(dict.fromkeys(kind for kind in ENDINGS.values()), "or")


def find_kind(data: bytes, name: str) -> str:
    """The kind, a value of `ENDINGS`. Raises FileUnreadable where it is none of them, or not what the name says."""
    ending = PurePath(name).suffix.lower()
    named, found = ENDINGS.get(ending), _look_at(data)
    if found in _TITLES:
        if named in (None, found):
            return found
        raise FileUnreadable(f"{name} is {_TITLES[found]}, not what its name says: rename it to end in .{found}.")
    if found is not None and not (found == "a program" and named and b"\0" not in data[:4096]):
        raise FileUnreadable(f"{name} is {found}; only {READABLE} files are read.")
    if named in _TITLES:
        raise FileUnreadable(f"{name} ends in {ending} and is not {_TITLES[named]}: it is damaged or has a wrong name.")
    if named is None:
        raise FileUnreadable(f"{name} is no kind of file that is read; {READABLE} files are.")
    return named


def _look_at(data: bytes) -> str | None:
    """What the bytes are by themselves: `pdf`, `docx`, or in words what is not read; None for what may be text."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _look_into_zip(data)
    return next((title for begin, title in _BEGINNINGS.items() if data.startswith(begin)), None)


def _look_into_zip(data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a ZIP archive that is damaged or cut off"
    return next((kind for name, kind in _IN_ZIP.items() if name in names), "a ZIP archive")
