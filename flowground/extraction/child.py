"""The child process: reads one file after the other, and nothing else.

It is started as a file. One line of JSON on stdin names a file (`name`, and `path`, or `size` bytes that follow); one
line on stdout answers, `{"failed": sentence}` or what the text is, with `size` bytes of it in UTF-8 behind. Its first
argument holds the limits. It ends when stdin closes.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from flowground.extraction import ExtractionLimits, FileUnreadable
from flowground.extraction.docx import read_docx
from flowground.extraction.kinds import find_kind
from flowground.extraction.markup import read_html
from flowground.extraction.plain import decode, read_csv, read_json

try:
    import resource
except ImportError:  # Windows: only the time is limited there
    resource = None  # type: ignore[assignment]  # there is none on Windows

_OPEN_FILES = 32


def serve() -> None:
    """Answers until stdin closes."""
    limits = ExtractionLimits(**json.loads(sys.argv[1]))
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _bound_process(limits)
    while line := sys.stdin.buffer.readline():
        _bound_time(limits)
        try:
            said, text = _read(json.loads(line), sys.stdin.buffer, limits)
        except FileUnreadable as error:
            said, text = {"failed": error.message}, b""
        except MemoryError:
            said, text = {"memory": True}, b""
        except RecursionError:
            said, text = {"nested": True}, b""
        answer.write(json.dumps(said).encode() + b"\n")
        answer.write(text)
        answer.flush()


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


def _read(asked: Mapping[str, Any], given: IO[bytes], limits: ExtractionLimits) -> tuple[dict[str, Any], bytes]:
    name = asked["name"]
    data = given.read(asked["size"]) if asked["path"] is None else _read_file(asked["path"], name, limits.file_bytes)
    kind = find_kind(data, name)
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
    match kind:
        case "pdf":
            from flowground.extraction.pdf import read_pdf  # noqa: PLC0415 - 80 ms, and few files need it

            return read_pdf(data, name, most_chars=most)
        case "docx":
            return read_docx(data, name, most_chars=most), []
        case "html":
            return read_html(data, name, most_chars=most), []
        case "csv":
            return read_csv(data, name, most_chars=most), []
        case "json":
            return read_json(data, name), []
        case _:
            return decode(data[: most * 4 + 4], name), []


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


if __name__ == "__main__":
    serve()
