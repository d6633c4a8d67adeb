"""The text of a PDF, page by page, as one reads it. Imported by the first PDF: 0.1 s that other files need not wait."""

import re
from contextlib import closing
from ctypes import byref, c_double

from pypdfium2 import PdfDocument, PdfiumError, PdfTextPage, raw

from flowground.extraction import FileUnreadable

_LINE_END = re.compile("\r\n")
_HYPHEN = "\ufffe"
"""What PDFium writes for a hyphen that divides a word at the end of a line."""
_SAME_LINE = 2.0
"""Points by which letters of one line may stand higher than others."""


def read_pdf(data: bytes, name: str, *, most_chars: int) -> tuple[str, list[int]]:
    """The text, and where each page begins. Raises FileUnreadable; a page that cannot be read is empty."""
    parts: list[str] = []
    pages: list[int] = []
    size = 0
    try:
        with PdfDocument(data) as document:
            for number in range(len(document)):
                pages.append(size)
                parts.append(_read_page(document, number))
                size += len(parts[-1] or "\n\n")
                if size > most_chars:
                    break
    except PdfiumError as error:
        match error.err_code:
            case raw.FPDF_ERR_PASSWORD:
                raise FileUnreadable(f"{name} is protected by a password.") from None
            case raw.FPDF_ERR_SECURITY:
                raise FileUnreadable(f"{name} is encrypted in a way that is not read.") from None
        raise FileUnreadable(f"{name} is a damaged PDF.") from None
    if not any(parts):
        raise FileUnreadable(f"{name} is a damaged PDF.")
    text = "".join(part or "\n\n" for part in parts)
    if not text.strip():
        raise FileUnreadable(f"{name} holds no text: it may be a scan, whose pictures are not read, or be damaged.")
    return text, pages


def _read_page(document: PdfDocument, number: int) -> str:
    """With the blank line behind it; "" where it cannot be read."""
    try:
        with closing(document[number]) as page:
            return _read_text(page.get_textpage()).strip() + "\n\n"
    except PdfiumError:
        return ""


def _read_text(page: PdfTextPage) -> str:
    """What follows on the same height stays in its line, though PDFium ends that at a wide gap: a table's row."""
    text = page.get_text_range()

    def end_line(gap: re.Match[str]) -> str:
        before, after = (_find_origin(page, at) for at in (gap.start() - 1, gap.end()))
        is_row = before and after and before[0] < after[0] and abs(before[1] - after[1]) < _SAME_LINE
        return " " if is_row else "\n"

    return _LINE_END.sub(end_line, text).replace(_HYPHEN, "")


def _find_origin(page: PdfTextPage, at: int) -> tuple[float, float] | None:
    """Where a character of the page's text stands."""
    x, y = c_double(), c_double()
    number = raw.FPDFText_GetCharIndexFromTextIndex(page, at)
    return (x.value, y.value) if raw.FPDFText_GetCharOrigin(page, number, byref(x), byref(y)) else None
