"""What is set for the whole process: open files, memory, lines of the log, and how the process ends.

Measured with glibc 2.41 and Python 3.11: without these settings, a process keeps 550 MB for good after nine messages of
24 MB, since glibc keeps what it once got in large pieces, and reference cycles hold some of a page's memory after the
page ended.
"""

import asyncio
import ctypes
import gc
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from flowground.app.runtime import Runtime
from flowground.ui.shims.uvicorn_server import UvicornServer

_MOST_FILES = 65_536
"""Open files. No process of ours needs more, and children inherit the number, some of which try each descriptor."""
_MMAP_BYTES = 262_144
"""Pieces of memory from this many bytes on are returned to the system when they are freed."""
_MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h. Without a fixed value glibc raises it up to 32 MB."""
_NO_GLIBC = (AttributeError, OSError, TypeError)
"""What is raised without glibc; TypeError on Windows."""
_ENDED_PAGES = 32
"""Ended pages after which returning memory is worth the effort."""
_QUIET_SECONDS = 15.0
"""Seconds without an ended page after which memory is returned: many end together."""
_FEW_PAGES = 50
"""Most open pages for a full collection, which then takes some milliseconds; with more pages Python collects often."""

LONGEST = 2_000
"""Most characters of one message."""
_MOST_LINES = 100
"""Most lines of a traceback, counted from its end."""

_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Control characters, such as line ends and terminals' escapes, and characters that change the direction of text."""
_SESSION = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
"""Streamlit's id of a page, with which its owner reconnects; the log has its first eight digits."""

_CUT_SECONDS = 3
"""Seconds that ended answers have to reach their readers before uvicorn cuts the connections."""


def allow_open_files() -> int:
    """Raises the process's soft limit of open files as far as allowed, and returns it. Many systems start with 1,024.

    Every connection is a descriptor, every page four. Windows has no such limit.
    """
    if sys.platform == "win32":
        return _MOST_FILES
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # macOS has a second, unknown limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else soft


def enable_malloc_trim() -> None:
    """Makes malloc return large freed pieces to the system; does nothing without glibc."""
    with suppress(*_NO_GLIBC):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)


class MemoryTrimmer:
    """Returns free memory to the system once many pages have ended and it is quiet again. On one loop."""

    def __init__(self) -> None:
        self._open = 0
        self._ended = 0
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def record_page(self) -> Iterator[None]:
        """Counts a page while it is open."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
            self._ended += 1
            if self._ended >= _ENDED_PAGES:
                self.end()
                self._timer = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self._tidy)

    def end(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _tidy(self) -> None:
        self._timer, self._ended = None, 0
        if self._open <= _FEW_PAGES:
            gc.collect()
        # In a thread: it takes the allocator's locks, not the interpreter's.
        asyncio.get_running_loop().run_in_executor(None, _trim)


def _trim() -> None:
    with suppress(*_NO_GLIBC):
        ctypes.CDLL(None).malloc_trim(0)


def escape_log_lines() -> Callable[[], None]:
    """Makes every log message one line of bounded length, for all loggers; returns a function that undoes it.

    Streamlit and uvicorn log text of strangers as it is, which could forge, flood or colour the log. The record factory
    is one for all loggers, so no handler needs to be changed.
    """
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(_OneLine)
    return lambda: logging.setLogRecordFactory(before)


class _OneLine(logging.LogRecord):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if self.name == "uvicorn.access" and isinstance(self.args, tuple):
            # uvicorn 0.54 formats these itself, past getMessage.
            self.args = tuple(_escape(part) if isinstance(part, str) else part for part in self.args)

    def getMessage(self) -> str:  # noqa: N802 - logging's own name
        text = super().getMessage().rstrip("\r\n")
        return _escape(_SESSION.sub(r"\1…", text) if self.name.startswith("streamlit") else text)

    @property
    def exc_text(self) -> str | None:
        """The traceback, with its lines indented, so that none looks like a message."""
        return self.__dict__.get("exc_text")

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        if text:
            text = "\n".join(f"  {_escape(line)}" for line in text.split("\n")[-_MOST_LINES:])
        self.__dict__["exc_text"] = text


def _escape(text: str) -> str:
    escaped = _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text[:LONGEST])
    return escaped[:LONGEST] + (f"… ({len(text):,} characters)" if len(text) > LONGEST else "")


class Ending:
    """The end of the process: running answers get `grace` seconds, then everything stops.

    Create it while the loop runs, on its thread. It takes the signals over from uvicorn, and passes them on after the
    grace. Until then new connections are refused and open ones go on: uvicorn would close every page's websocket at
    once, so that people would not see the rest of an answer.
    """

    def __init__(self, runtime: Runtime, *, server: UvicornServer | None, grace: float) -> None:
        self._runtime = runtime
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None
        if server is not None:
            server.take_signals(partial(self._end_by, server), cut_after=_CUT_SECONDS)

    async def finish(self) -> None:
        """Waits until runs are stopped; without a signal, running answers get their grace now."""
        if self._stopping is None:
            self._stop(self._grace)
        while (stopping := self._stopping) is not None and not stopping.done():
            await asyncio.wait({stopping})

    def _end_by(self, server: UvicornServer, number: int) -> None:
        """The first signal begins the grace, the second ends it."""
        server.stop_listening()
        stopping = self._stop(self._grace if self._stopping is None else 0)
        stopping.add_done_callback(lambda _: server.end(number))

    def _stop(self, grace: float) -> asyncio.Task[None]:
        self._stopping = self._loop.create_task(self._runtime.stop_runs(grace))
        return self._stopping
