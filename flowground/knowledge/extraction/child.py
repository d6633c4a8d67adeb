"""The child process that reads strangers' files: it gives the text of one file after the other, and does nothing else.

The app starts it as a file, with bounded memory, time and files. One line of JSON on stdin names a file (`name`, and
`path`, or `size` bytes that follow). One line on stdout answers: what the text is, with `size` bytes of it in UTF-8
behind, or `{"failed": sentence, "is_full": whether the process still holds what it read}`. The first argument holds the
limits. The process ends when stdin closes.
"""

import csv
import hashlib
import io
import json
import os
import stat
import sys
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from flowground.knowledge.extraction import ENDINGS, READABLE, ExtractionLimits, FileUnreadable, decode

try:
    import resource
except ImportError:  # Windows: only the time is limited there
    resource = None  # type: ignore[assignment]  # there is none on Windows

_OPEN_FILES = 32
_CELL_CHARS = 1_000_000
_LOOKED_AT = 65_536
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
            with suppress(OSError, ValueError):  # where a system takes no such limit, the time is limited still
                resource.setrlimit(kind, (least, least))


def _bound_time(limits: ExtractionLimits) -> None:
    """Processor time for one more file; whoever asks waits no longer than that either."""
    if resource is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime + limits.seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _read(asked: Mapping[str, Any], sent: IO[bytes], limits: ExtractionLimits) -> tuple[dict[str, Any], bytes]:
    name = asked["name"]
    data = sent.read(asked["size"]) if asked["path"] is None else _read_file(asked["path"], name, limits.file_bytes)
    if len(data) > limits.file_bytes:
        raise FileUnreadable(f"{name} has more than {limits.file_bytes:,} bytes, the most that is read of a file.")
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
        from flowground.knowledge.extraction import documents  # noqa: PLC0415 - 0.1 s, and few files need it

        if kind == "pdf":
            return documents.read_pdf(data, name, most_chars=most)
        text = documents.read_html(data, name) if kind == "html" else documents.read_docx(data, name, most_chars=most)
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
    """A plain file's bytes, at most one more than `most`: no device, no pipe and no link, which might have no end or
    lead elsewhere."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise FileUnreadable(f"{name} is no plain file.")
            return file.read(most + 1)
    except OSError as error:
        raise FileUnreadable(f"{name} cannot be read: {error.strerror}.") from None


def _find_kind(data: bytes, name: str) -> str:
    """The kind, a value of `ENDINGS`. Raises FileUnreadable where it is none of them, or not what the name says."""
    ending = PurePath(name).suffix.lower()
    named, found = ENDINGS.get(ending), _look_at(data)
    if found and named not in (None, found):
        raise FileUnreadable(f"{name} is {_TITLES[found]}, not what its name says: rename it to end in .{found}.")
    if found:
        return found
    if named in _TITLES:
        raise FileUnreadable(f"{name} ends in {ending} and is not {_TITLES[named]}: it is damaged or has a wrong name.")
    if named is None:
        raise FileUnreadable(f"{name} is no kind of file that is read; {READABLE} files are.")
    return named


def _look_at(data: bytes) -> str | None:
    """The kind that the bytes show by themselves, `pdf` or `docx`; None for what may be text."""
    if b"%PDF-" in data[:1024]:
        return "pdf"
    if data.startswith(b"PK\x03\x04"):
        with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
            if "word/document.xml" in zipfile.ZipFile(io.BytesIO(data)).namelist():
                return "docx"
    return None


if __name__ == "__main__":
    serve()
