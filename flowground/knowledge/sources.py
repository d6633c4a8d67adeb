"""Which files are meant: patterns such as `knowledge/**/*.{md,pdf}` under one folder, and nothing outside it."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowground.path_patterns import PathPattern, add_empty, compile_path, expand_braces, follow_part

MOST_FILES = 20_000
"""Of one knowledge. More are not indexed, and that is said."""
_MOST_ENTRIES = 200_000
_DEPTH = 32
_FRESH_NS = 2_000_000_000
"""A file that is written twice within this time may look the same: clocks are coarse."""


@dataclass(frozen=True, slots=True)
class GivenFile:
    """A file that lies elsewhere than its `source` says. `name` is what it is called where it is read, by its ending;
    `wrong` is why there is none, `title` stands above its headings."""

    source: str
    path: str
    signature: str
    name: str
    wrong: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was found; `signature` differs when it is written again. `name` and `title` are as `GivenFile`
    says."""

    path: Path
    signature: str
    name: str
    title: str = ""


@dataclass(slots=True)
class SourceList:
    """What patterns found, by the path from the folder with `/`; `left_out` says why something was not taken."""

    files: dict[str, SourceFile] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def find_sources(folder: Path, patterns: Sequence[str], given: Iterable[GivenFile] = ()) -> SourceList:
    """The plain files that any of the patterns means, and those that are given. Hidden ones and linked folders are not
    looked at."""
    found = SourceList()
    root = folder.resolve()
    compiled = [compile_path(one) for pattern in patterns for one in expand_braces(pattern)]
    left = [_MOST_ENTRIES]
    for path, entry in _walk(root, "", [(one, add_empty(one, {0})) for one in compiled], left, found):
        if len(found.files) >= MOST_FILES:
            found.left_out[path] = f"there are more than {MOST_FILES:,} files"
            break
        _take(root, path, entry, found)
    if left[0] < 0:
        found.left_out["…"] = f"the folders hold more than {_MOST_ENTRIES:,} entries"
    for one in given:
        _take_given(one, found)
    return found


def _take_given(given: GivenFile, found: SourceList) -> None:
    if given.source in found.files:
        found.left_out[f"{given.source} (in the flows folder)"] = "an uploaded file has its name"
    if given.wrong:
        found.left_out[given.source] = given.wrong
    elif os.path.exists(given.path):
        found.files[given.source] = SourceFile(Path(given.path), given.signature, given.name)
    else:
        found.left_out[given.source] = "it is not there"


_States = list[tuple[PathPattern, set[int]]]


def _walk(
    folder: Path, path: str, states: _States, left: list[int], found: SourceList
) -> "Iterator[tuple[str, os.DirEntry[str]]]":
    try:
        with os.scandir(folder) as listed:
            entries = sorted(listed, key=lambda entry: entry.name)
    except OSError as error:
        found.left_out[path or "."] = f"the folder cannot be read: {error.strerror}"
        return
    for entry in entries:
        left[0] -= 1
        if left[0] < 0:
            return
        if entry.name.startswith("."):
            continue
        after = [(one, now) for one, before in states if (now := follow_part(one, before, entry.name))]
        inner = f"{path}/{entry.name}" if path else entry.name
        if after and entry.is_dir(follow_symlinks=False):
            if inner.count("/") < _DEPTH:
                yield from _walk(folder / entry.name, inner, after, left, found)
        elif any(len(one) in now for one, now in after) and not os.path.isdir(entry.path):
            yield inner, entry


def _take(root: Path, path: str, entry: "os.DirEntry[str]", found: SourceList) -> None:
    try:
        real = Path(entry.path).resolve(strict=True) if entry.is_symlink() else Path(entry.path)
        if not real.is_relative_to(root):
            found.left_out[path] = "it is a link that leads out of the flows folder"
            return
        about = real.stat()
    except (OSError, RuntimeError) as error:
        found.left_out[path] = f"it cannot be read: {getattr(error, 'strerror', None) or 'its link leads in a circle'}"
        return
    is_fresh = time.time_ns() - about.st_mtime_ns < _FRESH_NS
    signature = "" if is_fresh else f"{about.st_mtime_ns}-{about.st_size}-{about.st_ino}"
    found.files[path] = SourceFile(real, signature, path)
