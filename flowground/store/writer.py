"""The threads of the store: one that writes waiting jobs in shared transactions, and a few that read."""

import logging
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Connection, Engine

from flowground.core.errors import StoreUnavailable
from flowground.store.connections import DatabaseFile, ThreadConnection
from flowground.store.outage import Outage, busy_error, explain, may_repeat, unavailable_error, unknown_outcome_error
from flowground.store.sql import PLAIN_JOB, JobKind, begin, commit, find_driver, hold_counters, open_batch, rollback

MOST_WRITES = 4096
"""Most writes that may wait: some seconds' work. Further ones are refused at once, so that no outage fills the
memory."""
_log = logging.getLogger(__name__)
_CLOSE_SECONDS = 4.0
_TRIES = 3
"""Tries of one batch while its connections break: a server that restarts ends more than one connection."""
_WRITE_BATCH = 256
"""Most jobs in one transaction: the last of them waits for all."""
_STUCK = 1.5
"""Multiple of `seconds`: a call that has taken longer, and whose caller gave up, marks the writer as stuck: new writes
are refused at once."""
_READ_BATCH = 8
"""Most reads that one thread takes at once: fewer wake-ups under load, and still no long wait behind a slow read."""
_MOST_READS = 8192


@dataclass(slots=True, eq=False)
class Job:
    """One call of `function(connection, *args, **kwargs)`; `settle` brings its outcome to `future`.

    Without a future nobody waits, and a failure is logged. `has_begun`: a thread runs it. `is_withdrawn`: its caller
    was answered that it will not be done.
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
        """The function's mark; `PLAIN_JOB` for a function without one."""
        return getattr(self.function, "job_kind", PLAIN_JOB)

    def run(self, connection: Connection) -> None:
        self.result = self.function(connection, *self.args, **self.kwargs)

    def has_landed(self, connection: Connection) -> bool:
        """Whether an earlier try of the job was committed, as far as the job can find out."""
        landed = self.kind.landed
        return landed is not None and landed(connection, *self.args, **self.kwargs)


class JobQueue:
    """A queue of jobs, shared by threads, that can be closed."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        """None is the end mark: no job follows it."""
        self._lock = Lock()
        self._is_closed = False

    @property
    def is_full(self) -> bool:
        """Whether so many jobs wait that further ones should be refused."""
        return self._jobs.qsize() >= self._most

    def put(self, job: Job) -> None:
        """Adds a job. Raises RuntimeError after `close`."""
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the store is closed")
            self._jobs.put(job)

    def get_batch(self, most: int) -> list[Job]:
        """The waiting jobs, at least one and at most this many; an empty list means the end."""
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

    def close(self, threads: Sequence[Thread]) -> None:
        """Refuses new jobs, and waits until these threads have done the waiting ones. A database that blocks is left
        after some seconds: the threads are daemons."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._jobs.put(None)
        join_threads(threads, self._jobs.qsize)


def settle(jobs: Iterable[Job]) -> None:
    """Wakes the callers of these jobs, with one wake-up for each loop."""
    by_loop: dict[AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.future is not None:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
        elif job.error is not None and not isinstance(job.error, StoreUnavailable):  # an outage is logged by `Outage`
            _log.warning("a write nobody waited for failed: %s", job.error)
    for loop, its_jobs in by_loop.items():
        with suppress(RuntimeError):  # a closed loop has no callers
            loop.call_soon_threadsafe(_resolve, its_jobs)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future is None or job.future.done():  # the caller was cancelled; the job is done nevertheless
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
    """Waits for the threads' end while `work_left` changes at least every 4 s; otherwise they are left running."""
    before, end = work_left(), time.monotonic() + _CLOSE_SECONDS
    while alive := [thread for thread in threads if thread.is_alive()]:
        alive[0].join(0.05)
        if (now := work_left()) != before:
            before, end = now, time.monotonic() + _CLOSE_SECONDS
        elif time.monotonic() > end:
            _log.error("the database does not let go of %s: ending without it", alive[0].name)
            return


class Writer:
    """The one thread that writes. It takes the waiting jobs, runs them in one transaction, commits, and wakes their
    callers.

    One commit for many jobs makes 500 stored runs a second cheap, without weakening what a commit promises.

    The cause of a failure decides what follows. A job's own error ends only that job. A failure of the database fails
    the whole batch at once. After a cut connection the batch is repeated on a new one; a job whose commit may have
    succeeded is looked for first, and is not repeated when it cannot be recognized.
    """

    def __init__(
        self, engine: Engine, file: DatabaseFile | None, *, seconds: float, after_commit: Callable[[], None]
    ) -> None:
        """`file` is SQLite's: nothing is committed once it was moved. `seconds` is the longest wait for a write;
        `after_commit` is called on the writer's thread."""
        self._seconds = seconds
        self._file = file
        self._after_commit = after_commit
        self.outage = Outage("written", file)
        self._connection = ThreadConnection(engine.execution_options(isolation_level="AUTOCOMMIT"), seconds=seconds)
        self._jobs = JobQueue(most=MOST_WRITES)
        self._lock = Lock()
        """Held while a job is begun or withdrawn, so that both never happen."""
        self._is_committing = False
        self._thread = start_thread(self._work, name="store-writer")

    def put(self, job: Job) -> None:
        """Adds a job. Raises StoreUnavailable when too many wait already, RuntimeError after `close`."""
        if self._jobs.is_full or self._connection.is_stuck(seconds=_STUCK * self._seconds):
            self._connection.cut_if_overdue()
            raise StoreUnavailable()
        self._jobs.put(job)

    def give_up(self, job: Job) -> StoreUnavailable:
        """The error for a caller who waited too long for this job. The job is withdrawn, unless it has begun or
        `stays`."""
        with self._lock:
            job.is_withdrawn = not (job.has_begun or job.kind.stays)
        self._connection.mark_given_up()
        self._connection.cut_if_overdue()
        self.outage.record_failure(f"no answer within {self._seconds:g} s")
        return busy_error() if job.is_withdrawn else unknown_outcome_error()

    def close(self) -> None:
        """Finishes the waiting jobs."""
        self._jobs.close([self._thread])

    def _work(self) -> None:
        while batch := self._jobs.get_batch(_WRITE_BATCH):
            self._write(batch)
            settle(batch)
            self._after_commit()
        self._connection.close()

    def _write(self, batch: Sequence[Job]) -> None:
        error = self._try(batch)
        if error is None:
            self.outage.record_success()
        elif explain(error, is_writing=True):
            self._fail(batch, error)
        elif len(batch) == 1 and batch[0].kind.landed is None:
            batch[0].error = error
        else:
            self._write_one_by_one(batch)

    def _write_one_by_one(self, batch: Sequence[Job]) -> None:
        for number, job in enumerate(batch):
            error = self._try([job], tries=1, may_be_stored=True)
            if error is not None and explain(error, is_writing=True):
                self._fail(batch[number:], error)
                return
            job.error = error

    def _fail(self, jobs: Iterable[Job], error: BaseException) -> None:
        self.outage.report(error)
        for job in jobs:
            job.error = job.error or self.outage.explain(error)

    def _try(self, batch: Sequence[Job], *, tries: int = _TRIES, may_be_stored: bool = False) -> Exception | None:
        """Runs one transaction for the batch; returns its error when nothing is stored, or when that cannot be known.

        A broken connection is replaced while `tries` are left. `may_be_stored`: an earlier try may have stored some
        jobs.
        """
        self._connection.began, self._is_committing = time.monotonic(), False
        try:
            self._run_in_transaction(batch, may_be_stored=may_be_stored)
        except Exception as error:  # noqa: BLE001 - handed to the caller of the job
            is_worth_it = tries > 1 and may_repeat(error, self._connection.driver)
            if is_worth_it or explain(error, is_writing=True):
                self._connection.close()
            if not is_worth_it:
                return error
            return self._try_again(batch, may_have_landed=self._is_committing, tries=tries - 1)
        finally:
            self._connection.began = None
        return None

    def _try_again(self, batch: Sequence[Job], *, may_have_landed: bool, tries: int) -> Exception | None:
        """Tries the batch on a new connection. `may_have_landed`: the old one broke during the commit."""
        for job in batch:
            job.error = unknown_outcome_error() if may_have_landed and job.kind.landed is None else None
        error = self._try([job for job in batch if job.error is None], tries=tries, may_be_stored=True)
        return unknown_outcome_error() if error is not None and may_have_landed else error

    def _run_in_transaction(self, batch: Sequence[Job], *, may_be_stored: bool) -> None:
        connection = self._connection.open()
        is_one_trip = not may_be_stored and all(job.kind.is_one_way and job.kind.landed for job in batch)
        try:
            with open_batch(connection) if is_one_trip else nullcontext():
                begin(connection)
                jobs = self._begin(batch)
                if may_be_stored:
                    jobs = [job for job in jobs if not job.has_landed(connection)]
                if is_one_trip:
                    for job in jobs:
                        job.run(connection)
                else:
                    _run_all(connection, jobs, may_fail=len(batch) == 1)
                self._commit(connection)
        except BaseException:
            rollback(connection)
            raise

    def _commit(self, connection: Connection) -> None:
        if self._file:
            self._file.require_place()
        self._is_committing = True
        commit(connection)

    def _begin(self, batch: Sequence[Job]) -> list[Job]:
        """The jobs that were not withdrawn; none of them can be withdrawn afterwards."""
        with self._lock:
            jobs = [job for job in batch if not job.is_withdrawn]
            for job in jobs:
                job.has_begun = True
        return jobs


def _run_all(connection: Connection, jobs: Iterable[Job], *, may_fail: bool) -> None:
    """Runs the jobs. `may_fail`: a job's own error fails the transaction."""
    jobs = list(jobs)
    if any(job.kind.is_counted for job in jobs):
        hold_counters(connection)
    for is_one_way, alike in groupby(jobs, lambda job: job.kind.is_one_way):
        with open_batch(connection) if is_one_way else nullcontext():
            for job in alike:
                if is_one_way or may_fail:
                    job.run(connection)
                else:
                    _run_apart(connection, job)


def _run_apart(connection: Connection, job: Job) -> None:
    """Runs the job in a savepoint, so that its own failure undoes nothing else."""
    driver = find_driver(connection)
    driver.execute("SAVEPOINT apart")
    try:
        job.run(connection)
    except Exception as error:
        if explain(error, is_writing=True):
            raise
        driver.execute("ROLLBACK TO SAVEPOINT apart")
        job.error = error
    driver.execute("RELEASE SAVEPOINT apart")


class Readers:
    """A few threads that read, each with a connection of its own that refuses writes.

    They are separate from anyio's thread pool, which serves files too.
    """

    def __init__(self, engine: Engine, file: DatabaseFile | None, *, seconds: float, threads: int = 3) -> None:
        """`file` is SQLite's; `seconds` is the longest wait for a read."""
        self._seconds = seconds
        self.outage = Outage("read", file)
        self._jobs = JobQueue(most=_MOST_READS)
        self._connections = [ThreadConnection(engine, seconds=seconds) for _ in range(threads)]
        self._threads = [
            start_thread(self._work, connection, name=f"store-reader-{n}")
            for n, connection in enumerate(self._connections)
        ]

    def put(self, job: Job) -> None:
        """Adds a job. Raises StoreUnavailable when too many wait already, RuntimeError after `close`."""
        if self._jobs.is_full:
            raise unavailable_error()
        self._jobs.put(job)

    def give_up(self, _: Job) -> StoreUnavailable:
        """The error for a caller who waited too long for a job; cuts calls that have taken too long."""
        for connection in self._connections:
            connection.cut_if_overdue()
        self.outage.record_failure(f"no answer within {self._seconds:g} s")
        return unavailable_error()

    def close(self) -> None:
        """Finishes the waiting jobs."""
        self._jobs.close(self._threads)

    def _work(self, connection: ThreadConnection) -> None:
        while batch := self._jobs.get_batch(_READ_BATCH):
            for job in batch:
                self._read(job, connection)
            settle(batch)
        connection.close()

    def _read(self, job: Job, held: ThreadConnection) -> None:
        """Runs one job. A broken connection is replaced and the read repeated once."""
        for is_last in (False, True):
            if job.future is not None and job.future.done():  # its caller stopped waiting
                return
            held.began = time.monotonic()
            try:
                job.run(held.open())
                self.outage.record_success()
                return
            except Exception as error:  # noqa: BLE001 - handed to the caller of the job
                is_worth_it = not is_last and may_repeat(error, held.driver)
                held.close()
                if not is_worth_it:
                    job.error = self.outage.report(error) or error
                    return
            finally:
                held.began = None
