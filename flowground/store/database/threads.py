"""How the store's threads begin and end: one writes, a few read, one moves SQLite's log."""

import logging
import time
from collections.abc import Callable, Sequence
from threading import Thread

from flowground.store.database.connections import ThreadConnection

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 4.0


def start_thread(work: Callable[..., None], *arguments: ThreadConnection, name: str) -> Thread:
    thread = Thread(target=work, args=arguments, name=name, daemon=True)
    thread.start()
    return thread


def join_threads(threads: Sequence[Thread], work_left: Callable[[], int]) -> None:
    """Waits for the threads' end, for as long as `work_left` changes at least every 4 s; then they are left alone."""
    before, end = work_left(), time.monotonic() + _CLOSE_SECONDS
    while alive := [thread for thread in threads if thread.is_alive()]:
        alive[0].join(0.05)
        if (now := work_left()) != before:
            before, end = now, time.monotonic() + _CLOSE_SECONDS
        elif time.monotonic() > end:
            _log.error("the database does not let go of %s: ending without it", alive[0].name)
            return
