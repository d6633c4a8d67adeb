"""The text of a PDF, page by page. Imported by the first PDF: 80 ms that other files need not wait."""

import io
import logging

from pypdf import PageObject, PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

from flowground.extraction import FileUnreadable

_DAMAGED = (PyPdfError, ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
_ENCRYPTED = (FileNotDecryptedError, DependencyError)

logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read_pdf(data: bytes, name: str, *, most_chars: int) -> tuple[str, list[int]]:
    """The text, and where each page begins. Raises FileUnreadable; a page that cannot be read is empty."""
    parts: list[str] = []
    pages: list[int] = []
    size = 0
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise FileUnreadable(f"{name} is protected by a password.")
        for page in reader.pages:
            pages.append(size)
            parts.append(_read_page(page))
            size += len(parts[-1])
            if size > most_chars:
                break
    except _ENCRYPTED:
        raise FileUnreadable(f"{name} is encrypted in a way that is not read.") from None
    except _DAMAGED:
        if not parts:
            raise FileUnreadable(f"{name} is a damaged PDF.") from None
    text = "".join(parts)
    if not text.strip():
        raise FileUnreadable(f"{name} holds no text: it may be a scan, whose pictures are not read, or be damaged.")
    return text, pages


def _read_page(page: PageObject) -> str:
    try:
        return page.extract_text().strip() + "\n\n"
    except _ENCRYPTED:
        raise
    except _DAMAGED:
        return "\n\n"
