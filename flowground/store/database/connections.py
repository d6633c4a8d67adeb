"""What is done to threads and connections of a database that does not answer."""

import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 4.0
_OVERDUE_SHARE = 0.8


def cut(driver: Any) -> None:
    """Ends the call that another thread makes on this connection of psycopg or sqlite3, with an error there.

    psycopg waits in its own loop for the socket: a socket whose two sides are shut down ends that (psycopg 3.3).
    SQLite ends a statement that runs; it does not end waiting for a lock, which has its own end.
    """
    if driver is None:
        return
    with suppress(Exception):  # it was closed or broke by itself meanwhile
        if hasattr(driver, "interrupt"):
            driver.interrupt()
            return
        with socket.socket(fileno=os.dup(driver.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def is_overdue(began: float | None, seconds: float) -> bool:
    """Whether a call that began then (monotonic; None: there is none) has taken 80 % of the time that anybody waits.

    Not all of it: whoever waited out the time began to wait a little before the call did.
    """
    return began is not None and time.monotonic() - began > _OVERDUE_SHARE * seconds


def join_while_it_works(threads: Sequence[Thread], done: Callable[[], int]) -> None:
    """Waits for the threads' end, for as long as `done` grows at least every 4 s; the rest is left to its fate."""
    before, end = done(), time.monotonic() + _CLOSE_SECONDS
    while alive := [thread for thread in threads if thread.is_alive()]:
        alive[0].join(0.05)
        if done() != before:
            before, end = done(), time.monotonic() + _CLOSE_SECONDS
        elif time.monotonic() > end:
            _log.error("the database does not let go of %s: ending without it", alive[0].name)
            return
