"""Work that waits for a database thread: a plain function of a connection, and the future of who asked for it."""

import logging
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Connection

from flowground.errors import StoreUnavailable
from flowground.store.database.connections import ThreadConnection
from flowground.store.sql import PLAIN_JOB, JobKind

_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 4.0


@dataclass(slots=True, eq=False)
class Job:
    """One call of `function(connection, *args, **kwargs)`; `settle` brings its outcome to `future`.

    Without a future nobody waits: a failure is logged. `has_begun`: a thread has taken it. `is_withdrawn`: who asked
    was told that it will not be done.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    future: Future[Any] | None = field(kw_only=True)
    result: Any = None
    error: BaseException | None = None
    has_begun: bool = False
    is_withdrawn: bool = False

    @property
    def kind(self) -> JobKind:
        """That of `sql.mark_one_way`, where the function was marked."""
        return getattr(self.function, "job_kind", PLAIN_JOB)

    def run(self, connection: Connection) -> None:
        self.result = self.function(connection, *self.args, **self.kwargs)

    def has_landed(self, connection: Connection) -> bool:
        """Whether an earlier try of the job was committed, as far as the job can tell."""
        landed = self.kind.landed
        return landed is not None and landed(connection, *self.args, **self.kwargs)

    @property
    def tells_landing(self) -> bool:
        return self.kind.landed is not None


class JobQueue:
    """Jobs in the order they were put, until the end. Threads share it."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        """None is the end mark: no job lies behind it."""
        self._lock = Lock()
        self._is_closed = False

    @property
    def length(self) -> int:
        return self._jobs.qsize()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that more should be refused."""
        return self._jobs.qsize() >= self._most

    def put(self, job: Job) -> None:
        """Raises RuntimeError after `close`."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the store is closed")
            self._jobs.put(job)

    def take(self, most: int) -> list[Job]:
        """What waits, at least one job and at most this many; none: it is the end."""
        batch: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == most:
                return batch
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return batch
        self._jobs.put(None)  # for the next call, and for the other threads
        return batch

    def close(self) -> None:
        """What waits is still taken."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._jobs.put(None)


def settle(jobs: Iterable[Job]) -> None:
    """Wakes everyone who waits for these jobs: one wake-up a loop, however many jobs."""
    by_loop: dict[AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.future is not None:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
        elif job.error is not None and not isinstance(job.error, StoreUnavailable):  # an outage is told once
            _log.warning("a write nobody waited for failed: %s", job.error)
    for loop, its_jobs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, its_jobs)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():  # whoever waited was cancelled; the work is done all the same
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)


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
