"""The texts of PDF, DOCX and HTML, as people read them: headings as in Markdown, a row of a table as a line.

Libraries that read strangers' bytes are imported here, so only by the child process, for the first such file (0.1 s).
"""

import io
import re
import zipfile
import zlib
from contextlib import closing, suppress
from ctypes import byref, c_double
from typing import Any

from lxml import etree, html
from pypdfium2 import PdfDocument, PdfiumError, PdfTextPage, raw

from flowground.knowledge.extraction import FileUnreadable, decode, find_encoding

_HIDDEN = ("script", "style", "template", "noscript", "svg", "head", "iframe", "object")
_BLOCKS = (
    "address article aside blockquote div dl fieldset figcaption figure footer form header hr main nav ol p pre "
    "section table ul"
)
_SIGNS = (
    dict.fromkeys(_BLOCKS.split(), ("\n\n", "\n\n"))
    | {f"h{rank}": ("\n\n" + "#" * rank + " ", "\n\n") for rank in range(1, 7)}
    | {"li": ("\n- ", ""), "td": (" ", ""), "th": (" ", "")}
    | dict.fromkeys(("br", "dd", "dt", "tr"), ("\n", ""))
)
"""What stands before the text of these elements of a page, and behind them."""
_BLANKS = re.compile(r"[^\S\n]+")
_FIRST_RANK = re.compile(r"^# (.+)$", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}charset=["']?([A-Za-z0-9_-]{2,20})""", re.IGNORECASE)
_WORD = (
    "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}",
    "{http://purl.oclc.org/ooxml/wordprocessingml/main}",
)
"""Where the text of a DOCX document stands, the strict form too; drawings beside it have tags like `p` and `t` too."""
_LINES = tuple(space + name for space in _WORD for name in ("p", "tr"))
_CELLS = tuple(space + "tc" for space in _WORD)
_TEXTS = frozenset(space + "t" for space in _WORD)
_STYLES = frozenset(space + "pStyle" for space in _WORD)
_BLANKS_OF = {
    space + name: sign for space in _WORD for name, sign in (("p", " "), ("tab", "\t"), ("br", "\n"), ("cr", "\n"))
}
_PIECES = (*_TEXTS, *_STYLES, *_BLANKS_OF)
_HEADING = re.compile(r"heading ?([1-6])", re.IGNORECASE)
"""A style of headings: Word stores the English name of its own styles, whatever language it speaks."""
_LINE_END = re.compile("\r\n")
_HYPHEN = "\ufffe"
"""What PDFium writes for a hyphen that divides a word at the end of a line."""
_SAME_LINE = 2.0
"""Points by which letters of one line may stand higher than others."""


def read_html(data: bytes, name: str) -> str:
    """What people see of a page: a line a block, no scripts and no styles."""
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    text = _decode_page(data, name).replace("\n", " ")
    try:
        page = html.document_fromstring(text.encode("utf-8", "replace"), parser)
    except etree.ParserError:  # there is nothing in it
        return ""
    title = " ".join((page.findtext("head/title") or "").split())
    etree.strip_elements(page, *_HIDDEN, with_tail=False)
    for element in page.iter(*_SIGNS):
        before, behind = _SIGNS[element.tag]
        element.text = before + (element.text or "")
        if behind:
            element.tail = behind + (element.tail or "")
    lines = (line.strip() for line in _BLANKS.sub(" ", page.text_content()).split("\n"))
    return _put_title(title, _EMPTY_LINES.sub("\n\n", "\n".join(lines)).strip())


def _put_title(title: str, text: str) -> str:
    """The text below the page's title: a heading where the page has none of the first rank, nothing where it says that
    one again, else a line."""
    heading = _FIRST_RANK.search(text)
    if not title or (heading and _is_said(heading[1].casefold(), title.casefold())):
        return text
    return f"{'' if heading else '# '}{title}\n\n{text}"


def _is_said(heading: str, title: str) -> bool:
    """Whether these words stand in the title; letters within another word do not count."""
    return len(heading) <= len(title) and bool(re.search(rf"(?<!\w){re.escape(heading)}(?!\w)", title))


def _decode_page(data: bytes, name: str) -> str:
    """By the page's own word where that is another encoding, which is known."""
    found = _CHARSET.search(data[:4096])
    if found and (encoding := find_encoding(found[1].decode("ascii"))):
        with suppress(UnicodeError):
            return data.decode(encoding)
    return decode(data, name)


def read_docx(data: bytes, name: str, *, most_chars: int) -> str:
    """The body of a document: a paragraph or a table's row a line. Raises FileUnreadable.

    Its XML is read piece by piece, so that a part that unpacks without end ends by `most_chars`, or by the limits of
    this process; entities are not replaced.
    """
    lines: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open("word/document.xml") as document:
            styles = _read_styles(archive)
            for _, element in etree.iterparse(document, tag=_LINES, resolve_entities=False, huge_tree=True):
                if next(element.iterancestors(*_CELLS), None) is not None:
                    continue  # it is a part of a row
                if line := _read_line(element, styles):
                    lines.append(line)
                    most_chars -= len(line)
                    if most_chars < 0:
                        break
                element.clear()
    except (etree.XMLSyntaxError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError):
        raise FileUnreadable(f"{name} is a DOCX document that is damaged, cut off or encrypted.") from None
    return "\n\n".join(lines)


def _read_styles(archive: zipfile.ZipFile) -> dict[str, str]:
    """Names of the document's styles, by id."""
    with suppress(KeyError), archive.open("word/styles.xml") as file:
        found = etree.parse(file, etree.XMLParser(resolve_entities=False)).iterfind(".//{*}style")
        return {_read_value(style, "styleId"): _read_value(style.find("{*}name"), "val") for style in found}
    return {}


def _read_value(element: Any, name: str) -> str:
    return next((value for space in _WORD if element is not None and (value := element.get(space + name))), "")


def _read_line(element: Any, styles: dict[str, str]) -> str:
    """A paragraph with the mark of its heading, or a row with its cells."""
    if element.tag.endswith("}tr"):
        cells = (" ".join(_read_runs(cell)[0].split()) for cell in element.iterchildren(*_CELLS))
        return " | ".join(cell for cell in cells if cell)
    text, style = _read_runs(element)
    named = styles.get(style, style)
    heading = _HEADING.fullmatch(named)
    mark = "#" * int(heading[1]) + " " if heading else "# " if named.lower() == "title" else ""
    return mark + text.strip() if text.strip() else ""


def _read_runs(element: Any) -> tuple[str, str]:
    """What stands in it, and the style that is named in it first."""
    parts: list[str] = []
    style = ""
    for piece in element.iter(*_PIECES):
        if piece.tag in _TEXTS:
            parts.append(piece.text or "")
        elif piece.tag in _STYLES:
            style = style or _read_value(piece, "val")
        else:
            parts.append(_BLANKS_OF[piece.tag])
    return "".join(parts), style


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
        if error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY):
            raise FileUnreadable(f"{name} is protected by a password, or otherwise encrypted.") from None
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
