"""Media types of files, found by their bytes; safe file names; and patterns of paths such as `knowledge/**/*.{md,pdf}`.

A file's name or its sender's word only decides which kind of plain text it is. A path is matched part by part, so no
pattern takes longer than the path is long.
"""

import fnmatch
import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from pathlib import PurePosixPath

from flowground.core.words import join_words

HEAD = 65_536
"""Bytes at the beginning of a file, and at its end, that are read to find its media type."""
UNKNOWN = "application/octet-stream"
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Images that browsers may show from this server: none of these types can hold a script."""
PathPattern = tuple["re.Pattern[str] | None", ...]
"""One regular expression for each part of a path; None stands for `**`."""
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
    (b"\x1f\x8b", "application/gzip"),
    (b"{\\rtf", "application/rtf"),
    (b"\xd0\xcf\x11\xe0", "application/msword"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_OFFICE = "application/vnd.openxmlformats-officedocument."
_IN_ZIP: tuple[tuple[bytes, str], ...] = (
    (b"word/document.xml", f"{_OFFICE}wordprocessingml.document"),
    (b"xl/workbook.xml", f"{_OFFICE}spreadsheetml.sheet"),
    (b"ppt/presentation.xml", f"{_OFFICE}presentationml.presentation"),
)
_TEXTS = {
    ".md": "text/markdown", ".markdown": "text/markdown", ".csv": "text/csv", ".tsv": "text/csv",
    ".json": "application/json", ".html": "text/html", ".htm": "text/html",
}  # fmt: skip
_ENDINGS = {**_TEXTS, ".pdf": "application/pdf"} | {
    f".{ending}": kind for ending, (_, kind) in zip(("docx", "xlsx", "pptx"), _IN_ZIP, strict=True)
}
TYPES = frozenset(
    {
        *(kind for _, kind in _MAGIC), *_RIFF.values(), *(kind for _, kind in _IN_ZIP), *_TEXTS.values(),
        "application/pdf", "application/zip", "audio/mp4", "image/heic", "image/avif", "text/plain", "video/mp4",
        UNKNOWN,
    }
)  # fmt: skip
"""All media types that are distinguished."""
_NAME_CHARS = 150
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories of invisible characters: controls, marks that turn the direction of writing, surrogates and the
like."""
_TITLES = {"image": "images", "text": "text files", "audio": "sound", "video": "video"}
_MOST_PATTERNS = 64
_PATTERN_CHARS = 300
_BRACES = re.compile(r"\{([^{}]*)\}")


def find_media_type(head: bytes, tail: bytes, name: str) -> str:
    """The media type, one of `TYPES`, of a file that begins with `head` and ends with `tail`."""
    if b"%PDF-" in head[:1024]:
        return "application/pdf"
    for begin, kind in _MAGIC:
        if head.startswith(begin):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _read_brand(head[8:12])
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return next((kind for inner, kind in _IN_ZIP if inner in head or inner in tail), "application/zip")
    if _is_text(head):
        return _TEXTS.get(PurePosixPath(name.lower()).suffix, "text/plain")
    return UNKNOWN


def _read_brand(brand: bytes) -> str:
    if brand[:3] in (b"hei", b"hev", b"mif"):
        return "image/heic"
    if brand in (b"avif", b"avis"):
        return "image/avif"
    return "audio/mp4" if brand == b"M4A " else "video/mp4"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if b"\0" in head or head.startswith((b"MZ", b"\x7fELF")):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if len(head) == HEAD and error.start >= HEAD - 3:
            return True  # the last character is incomplete
        return sum(byte < 9 or 13 < byte < 32 for byte in head[:4096]) == 0  # text in an older encoding
    return True


def is_accepted(media_type: str, accepts: Collection[str]) -> bool:
    """Whether a pattern such as `image/*` or `application/pdf` covers this media type."""
    return any(pattern in ("*/*", media_type, f"{media_type.partition('/')[0]}/*") for pattern in accepts)


def check_pattern(pattern: str) -> str:
    """The pattern, if it covers any file. Raises ValueError."""
    majors = {kind.partition("/")[0] for kind in TYPES}
    if pattern == "*/*" or pattern in TYPES or (pattern.endswith("/*") and pattern[:-2] in majors):
        return pattern
    known = ", ".join(sorted(TYPES))
    raise ValueError(f"`{pattern[:60]}` is no kind of file; there are image/*, text/*, */* and {known}")


def list_endings(accepts: Collection[str]) -> list[str]:
    """What a browser's file dialog offers: the patterns, and name endings for types that not every system knows. Empty
    where every file may be chosen."""
    if is_accepted(UNKNOWN, accepts) or is_accepted("text/plain", accepts):
        return []  # plain text may have any ending
    return [*accepts, *(ending for ending, kind in _ENDINGS.items() if is_accepted(kind, accepts))]


def name_accepted(accepts: Collection[str]) -> str:
    """The accepted files in words: "images or PDF"."""
    if "*/*" in accepts:
        return "files of every kind"
    return join_words(dict.fromkeys(map(_name_pattern, accepts)), "or")


def _name_pattern(pattern: str) -> str:
    major, _, minor = pattern.partition("/")
    if minor == "*":
        return _TITLES.get(major, "documents")
    if pattern in dict(map(reversed, _IN_ZIP)):  # type: ignore[arg-type]  # `map` forgets that they are pairs
        return {"w": "DOCX", "s": "XLSX", "p": "PPTX"}[minor.removeprefix(_OFFICE.partition("/")[2])[0]]
    return {"plain": "plain text", "mpeg": "MP3"}.get(minor, minor.upper() if len(minor) <= 4 else minor)


def clean_name(name: str) -> str:
    """The file's name without path and invisible characters, at most 150 characters with its ending."""
    seen = "".join(" " if unicodedata.category(char) in _UNSEEN else char for char in name[-4_000:])
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", seen))[-1]
    plain = " ".join(re.sub(r'[<>:"|?*]', "_", last).split()).strip(". ")
    if len(plain) > _NAME_CHARS:
        ending = PurePosixPath(plain).suffix[:20]
        plain = plain[: _NAME_CHARS - len(ending)].rstrip(". ") + ending
    return plain or "file"


def explain_pattern(pattern: str) -> str | None:
    """What is wrong with a path pattern, as the end of a sentence about it; None where it is right."""
    if not pattern or len(pattern) > _PATTERN_CHARS or not pattern.isprintable():
        return f"has 1 to {_PATTERN_CHARS} printable characters"
    if pattern.startswith(("/", "~")) or "\\" in pattern or re.match(r"[A-Za-z]:", pattern):
        return "counts from the flows folder and has `/` between its parts, like knowledge/**/*.md"
    if any(part in ("", ".", "..") for part in pattern.split("/")):
        return "stays inside the flows folder: it has no part that is empty, `.` or `..`"
    if len(expand_braces(pattern)) > _MOST_PATTERNS:
        return f"stands for {_MOST_PATTERNS} patterns at most"
    if any(one.count("{") or one.count("}") for one in expand_braces(pattern)):
        return "has a brace without its other one"
    return None


def match_path(path: str, pattern: str) -> bool:
    """Whether the pattern covers this path; a wrong pattern covers none."""
    for one in _compile_pattern(pattern) if len(pattern) <= _PATTERN_CHARS else ():
        states = add_empty(one, {0})
        for part in path.split("/"):
            states = follow_part(one, states, part)
        if len(one) in states:
            return True
    return False


@lru_cache(64)
def _compile_pattern(pattern: str) -> tuple[PathPattern, ...]:
    """The compiled alternatives of a pattern, cached because thousands of paths are matched against it; none for a
    wrong one."""
    return () if explain_pattern(pattern) else tuple(map(compile_path, expand_braces(pattern)))


def expand_braces(pattern: str) -> list[str]:
    """`*.{md,txt}` as `*.md` and `*.txt`; for a pattern with too many alternatives, more than the limit."""
    done: list[str] = []
    waiting = [pattern]
    while waiting and len(done) <= _MOST_PATTERNS:
        one = waiting.pop()
        if found := _BRACES.search(one):
            waiting += [one[: found.start()] + choice + one[found.end() :] for choice in found[1].split(",")]
        else:
            done.append(one)
    return sorted(done)


def compile_path(pattern: str) -> PathPattern:
    """The expressions of a pattern without braces."""
    return tuple(None if part == "**" else re.compile(fnmatch.translate(part)) for part in pattern.split("/"))


def follow_part(pattern: PathPattern, states: set[int], name: str) -> set[int]:
    """The pattern's states after one more part of a path."""
    after = set()
    for at in states:
        if at < len(pattern):
            part = pattern[at]
            if part is None:
                after.add(at)
            elif part.match(name):
                after.add(at + 1)
    return add_empty(pattern, after)


def add_empty(pattern: PathPattern, states: set[int]) -> set[int]:
    """The states, with those that a `**` standing for no part adds."""
    closed = set(states)
    for at in range(len(pattern)):
        if at in closed and pattern[at] is None:
            closed.add(at + 1)
    return closed
