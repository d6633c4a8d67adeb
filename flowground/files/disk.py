"""Bytes in the data folder: each file once, named by its digest, written beside and renamed, synced.

Several processes, of several machines, may share the folder: nothing but renames and links is relied on.
"""

import hashlib
import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from flowground.media_types import HEAD

_ARRIVING = "arriving"
_GOING = ".going"
_LEFT_SECONDS = 86_400
"""After which a file that is still arriving is one of a process that died."""
_TRIES = 20
"""To put a file into its folder, which goes with the last other file in it."""


class Arriving:
    """A file that is being written. Blocks; every call belongs to a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        arriving = folder / _ARRIVING
        arriving.mkdir(parents=True, exist_ok=True)
        self._path = arriving / secrets.token_hex(16)
        self._file = self._path.open("xb")
        self._digest = hashlib.sha256()
        self.head, self.tail, self.size = b"", b"", 0

    def write(self, piece: bytes) -> None:
        """The next bytes; `head`, `tail` and `size` know them."""
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)
        self.head += piece[: HEAD - len(self.head)]
        self.tail = (self.tail + piece)[-HEAD:]

    def finish(self) -> str:
        """All of it is there; its digest."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def place(self) -> None:
        """Gives it its place, where it is not there: as often as one may have taken it away."""
        path = find_path(self._folder, self._digest.hexdigest())
        for _ in range(_TRIES):
            if path.exists():
                return
            with suppress(FileNotFoundError):  # `drop` took the folder away between
                path.parent.mkdir(parents=True, exist_ok=True)
                self._put(path)
                _flush_folder(path.parent)
                return
        raise FileNotFoundError(path)

    def _put(self, path: Path) -> None:
        try:
            os.link(self._path, path)
        except FileExistsError:
            return
        except FileNotFoundError:
            raise
        except OSError:  # a file system without links
            beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
            shutil.copyfile(self._path, beside)
            beside.replace(path)

    def close(self) -> None:
        """What was written beside goes."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def find_path(folder: Path, digest: str) -> Path:
    """The place of the bytes with this digest (SHA-256 in hexadecimal digits), whether they are there or not."""
    return folder / digest[:2] / digest[2:4] / digest


def open_file(folder: Path, digest: str) -> BinaryIO | None:
    """The bytes, to be read; None where they are gone. They may be aside while it is looked who has them."""
    path = find_path(folder, digest)
    for at in (path, _name_aside(path), path):
        with suppress(FileNotFoundError):
            return at.open("rb")
    return None


def put_aside(folder: Path, digest: str) -> None:
    """Nobody finds the bytes at their place, until `put_back` or `drop`."""
    path = find_path(folder, digest)
    with suppress(FileNotFoundError):
        path.replace(_name_aside(path))


def put_back(folder: Path, digest: str) -> None:
    """What was put aside is somebody's: it stands at its place again."""
    path = find_path(folder, digest)
    with suppress(FileNotFoundError):
        _name_aside(path).replace(path)


def drop(folder: Path, digest: str) -> None:
    """What was put aside is nobody's: it goes, and its folders where they are empty."""
    path = _name_aside(find_path(folder, digest))
    path.unlink(missing_ok=True)
    for above in (path.parent, path.parent.parent):
        with suppress(OSError):  # others are there
            above.rmdir()


def drop_left(folder: Path) -> None:
    """What processes that died had begun to write."""
    before = time.time() - _LEFT_SECONDS
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder / _ARRIVING):
            with suppress(FileNotFoundError):
                if entry.stat().st_mtime < before:
                    os.unlink(entry.path)


def _name_aside(path: Path) -> Path:
    return path.with_name(f"{path.name}{_GOING}")


def _flush_folder(folder: Path) -> None:
    with suppress(OSError):  # no system but POSIX opens folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
