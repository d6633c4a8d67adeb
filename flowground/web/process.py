"""What is set for the whole process: how many files it may have open, and that free memory goes back to the system.

Measured with glibc 2.41 and Python 3.11: after nine messages of 24 MB, a process that does nothing of this keeps 550 MB
for good, since glibc keeps what it once got in large pieces. Some of what belonged to a page that ended is held by
reference cycles until Python collects.
"""

import asyncio
import ctypes
import gc
import sys
from contextlib import suppress

_ENOUGH = 65_536
"""Files. No process of ours needs more, and children that look at each possible descriptor inherit the number."""
_LARGE = 262_144
"""Bytes of one piece of memory that is given back by itself as soon as it is free."""
_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h. Set once it stays; by itself it grows to 32 MB with what is freed."""
_ENDED = 32
"""Pages after whose end it is worth giving memory back."""
_QUIET = 15.0
"""Seconds in which no page ended: many end together, and uvicorn holds a closed connection for ten."""
_FEW = 50
"""Open pages up to which a full collection takes some milliseconds; with more, Python's own comes soon enough."""


def allow_open_files() -> int:
    """Raises the process's soft limit to what it may give itself; returns it. Systems start many with 1,024.

    Every connection is a descriptor, every page four. Windows has no such limit.
    """
    if sys.platform == "win32":
        return _ENOUGH
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a second limit that it does not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft


def give_large_pieces_back() -> None:
    """For the process; systems without glibc do as they always do."""
    with suppress(AttributeError, OSError):
        _load_libc().mallopt(_MMAP_THRESHOLD, _LARGE)


class Tidying:
    """Gives free memory back once many pages have ended and it is quiet again. On one loop."""

    def __init__(self) -> None:
        self._open = 0
        self._ended = 0
        self._timer: asyncio.TimerHandle | None = None

    def note_start(self) -> None:
        self._open += 1

    def note_end(self) -> None:
        self._open -= 1
        self._ended += 1
        if self._ended >= _ENDED:
            self.end()
            self._timer = asyncio.get_running_loop().call_later(_QUIET, self._tidy)

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _tidy(self) -> None:
        self._timer, self._ended = None, 0
        if self._open <= _FEW:
            gc.collect()
        # Beside the loop: it takes the allocator's locks, not the interpreter's.
        asyncio.get_running_loop().run_in_executor(None, _trim)


def _trim() -> None:
    with suppress(AttributeError, OSError):
        _load_libc().malloc_trim(0)


def _load_libc() -> ctypes.CDLL:
    if sys.platform == "win32":
        raise OSError("no libc")
    return ctypes.CDLL(None)
