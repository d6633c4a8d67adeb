"""The child process: reads one file after the other, and nothing else.

It is started as a file. One line of JSON on stdin names a file (`name`, and `path`, or `size` bytes that follow); one
line on stdout answers: what the text is, with `size` bytes of it in UTF-8 behind, or `{"failed": sentence, "is_full":
whether it still holds what it read}`. Its first argument holds the limits. It ends when stdin closes.

The texts of PDF, DOCX and HTML, as people read them: headings as in Markdown, a row of a table as a line.

Libraries that read strangers' bytes are imported here, so only by the child process, for the first such file (0.1 s).
"""

import csv
import hashlib
import io
import json
import os
import re
import stat
import sys
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import closing, suppress
from ctypes import byref, c_double
from pathlib import Path, PurePath
from typing import IO, Any

from lxml import etree, html
from pypdfium2 import PdfDocument, PdfiumError, PdfTextPage, raw

from flowground.knowledge.extraction import ENDINGS, READABLE, ExtractionLimits, FileUnreadable, decode, find_encoding

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))


try:
    import resource
except ImportError:  # Windows: only the time is limited there
    resource = None  # type: ignore[assignment]  # there is none on Windows

_OPEN_FILES = 32
_CELL_CHARS = 1_000_000
_LOOKED_AT = 65_536
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


def serve() -> None:
    """Answers until stdin closes."""
    limits = ExtractionLimits(**json.loads(sys.argv[1]))
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _bound_process(limits)
    while line := sys.stdin.buffer.readline():
        _bound_time(limits)
        asked, text = json.loads(line), b""
        try:
            answer, text = _read(asked, sys.stdin.buffer, limits)
        except FileUnreadable as error:
            answer = {"failed": error.message, "is_full": False}
        except MemoryError:
            answer = {"failed": f"{asked['name']} needs too much memory to be read.", "is_full": True}
        except RecursionError:
            answer = {"failed": f"{asked['name']} is nested too deeply to be read.", "is_full": True}
        output.write(json.dumps(answer).encode() + b"\n")
        output.write(text)
        output.flush()


def _bound_process(limits: ExtractionLimits) -> None:
    if resource is None:
        return
    wanted = {"RLIMIT_AS": limits.memory_bytes, "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": _OPEN_FILES, "RLIMIT_CORE": 0}
    for name, most in wanted.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            hard = resource.getrlimit(kind)[1]
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            try:
                resource.setrlimit(kind, (least, least))
            except (OSError, ValueError):  # a system that knows the limit and takes none: the time is limited still
                continue


def _bound_time(limits: ExtractionLimits) -> None:
    """Processor time for one more file; whoever asks waits no longer than that either."""
    if resource is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + limits.seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _read(asked: Mapping[str, Any], sent: IO[bytes], limits: ExtractionLimits) -> tuple[dict[str, Any], bytes]:
    name = asked["name"]
    data = sent.read(asked["size"]) if asked["path"] is None else _read_file(asked["path"], name, limits.file_bytes)
    kind = _find_kind(data, name)
    text, pages = _extract(kind, data, name, limits.text_chars)
    is_cut = len(text) > limits.text_chars
    text = text[: limits.text_chars]
    if not text.strip():
        raise FileUnreadable(f"{name} is empty.")
    encoded = text.encode("utf-8", "replace")
    pages = [at for at in pages if at < len(text)]
    digest = hashlib.sha256(data).hexdigest()
    return {"kind": kind, "digest": digest, "pages": pages, "is_cut": is_cut, "size": len(encoded)}, encoded


def _extract(kind: str, data: bytes, name: str, most: int) -> tuple[str, list[int]]:
    if kind in ("pdf", "docx", "html"):
        if kind == "pdf":
            return read_pdf(data, name, most_chars=most)
        text = read_html(data, name) if kind == "html" else read_docx(data, name, most_chars=most)
    elif kind == "csv":
        text = _read_csv(data, name, most_chars=most)
    elif kind == "json":
        text = _read_json(data, name)
    else:
        text = decode(data[: most * 4 + 4], name)
    return text, []


def _read_csv(data: bytes, name: str, *, most_chars: int) -> str:
    """A paragraph for each row, `head: value` lines: each row says by itself what its cells mean."""
    text = decode(data, name)
    csv.field_size_limit(_CELL_CHARS)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_find_delimiter(text))
        heads = [head.strip() for head in next(rows, [])]
        parts, size = [], 0
        for row in rows:
            cells = (cell.strip() for cell in row)
            lines = [f"{_name_column(heads, at)}: {cell}" for at, cell in enumerate(cells) if cell]
            parts.append("\n".join(lines))
            size += len(parts[-1]) + 2
            if size > most_chars:
                break
    except csv.Error as error:
        raise FileUnreadable(f"{name} cannot be read as CSV: {error}.") from None
    return "\n\n".join(part for part in parts if part) or ", ".join(heads)


def _find_delimiter(text: str) -> str:
    """What the first line has most of."""
    first = text[:_LOOKED_AT].lstrip().partition("\n")[0]
    return max(",;\t|", key=first.count)


def _name_column(heads: list[str], at: int) -> str:
    return (heads[at] if at < len(heads) else "") or f"column {at + 1}"


def _read_json(data: bytes, name: str) -> str:
    """The same value, each of its parts on a line. Raises FileUnreadable with the place of a mistake."""
    text = decode(data, name)
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=1)
    except json.JSONDecodeError as error:
        raise FileUnreadable(f"{name} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise FileUnreadable(f"{name} is nested too deeply to be read.") from None
    except ValueError:
        raise FileUnreadable(f"{name} holds a number that is too long to be read.") from None


def _read_file(path: str, name: str, most: int) -> bytes:
    """A plain file's bytes: no device, no pipe and no link, which might have no end or lead elsewhere."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise FileUnreadable(f"{name} is no plain file.")
            data = file.read(most + 1)
    except OSError as error:
        raise FileUnreadable(f"{name} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise FileUnreadable(f"{name} has more than {most:,} bytes, the most that is read of a file.")
    return data


def _find_kind(data: bytes, name: str) -> str:
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


if __name__ == "__main__":
    serve()


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
