"""The store's threads: one writes, a few read, and one moves SQLite's log into its file."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from itertools import groupby
from threading import Event, Lock, Thread

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from flowground.errors import StoreUnavailable
from flowground.store.database.connections import DatabaseFile, ThreadConnection
from flowground.store.database.jobs import Job, JobQueue, settle
from flowground.store.database.outage import Outage, explain, may_repeat, say_busy, say_silent, say_unknown
from flowground.store.sql import open_batch

_log = logging.getLogger(__name__)
_TRIES = 3
"""Connections that may break under one batch before it fails: a server that restarts ends more than one."""
_WRITE_BATCH = 256
"""Jobs in one transaction at most: the last of them waits for all."""
MOST_WRITES = 4096
"""Writes that may wait: some seconds' work. More are refused at once, so that no outage fills the memory."""
_STUCK = 1.5
"""Multiples of `seconds`. A call that lasts longer marks the writer as stuck: new writes are refused at once."""
_READ_BATCH = 8
"""Reads one thread takes at once: fewer wake-ups under load, and still no long wait behind a slow one."""
_MOST_READS = 8192
_PAUSE_SECONDS = 0.25
"""Between two moves of SQLite's log."""
_CLOSE_SECONDS = 4.0


class Writer:
    """The one thread that writes. It takes whatever waits, runs it in one transaction, commits, and wakes who waited.

    One commit for many: that is what makes 500 stored runs a second cheap, without weakening what a commit promises.

    When it fails, who is at fault decides what follows. A job's own error is that job's, and the others go on. Trouble
    with the database is nobody's: the batch fails as one, at once. A connection that was cut is replaced and the batch
    repeated; a job whose commit may have landed is looked for first, and is not repeated when it cannot be recognized.
    """

    def __init__(
        self, engine: Engine, file: DatabaseFile | None, *, seconds: float, after_commit: Callable[[], None]
    ) -> None:
        """`file` is SQLite's: nothing is committed once it was moved. `seconds` is how long anybody waits for a write;
        `after_commit` is called on the writer's thread."""
        self._seconds = seconds
        self._file = file
        self._after_commit = after_commit
        self.outage = Outage("written", file)
        self._connection = ThreadConnection(engine, seconds=seconds)
        self._jobs = JobQueue(most=MOST_WRITES)
        self._lock = Lock()
        """Held while a job is begun or withdrawn: never both."""
        self._is_committing = False
        self._thread = _start_thread(self._work, name="store-writer")

    def put(self, job: Job) -> None:
        """Raises StoreUnavailable when too much waits already, RuntimeError after `close`."""
        if self._jobs.is_full or self._connection.is_busy(seconds=_STUCK * self._seconds):
            self._connection.cut_if_overdue()
            raise StoreUnavailable()
        self._jobs.put(job)

    def give_up(self, job: Job) -> StoreUnavailable:
        """What to tell who waited too long for this job; it is not begun any more, unless it `stays`."""
        with self._lock:
            job.is_withdrawn = not (job.has_begun or job.kind.stays)
        self._connection.cut_if_overdue()
        self.outage.note_failure(f"no answer within {self._seconds:g} s")
        return say_busy() if job.is_withdrawn else say_unknown()

    def close(self) -> None:
        """Finishes what waits. A database that does not let go is left after some seconds: the thread is a daemon."""
        self._jobs.close()
        join_threads([self._thread], lambda: self._jobs.length)

    def _work(self) -> None:
        while batch := self._jobs.take(_WRITE_BATCH):
            self._write(batch)
            settle(batch)
            self._after_commit()
        self._connection.close()

    def _write(self, batch: Sequence[Job]) -> None:
        error = self._try(batch)
        if error is None:
            self.outage.note_success()
        elif explain(error, is_writing=True):
            self._fail(batch, error)
        elif len(batch) == 1 and not batch[0].tells_landing:
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
        """One transaction for the batch; its error, when nothing of it is stored or nobody can know.

        A connection that breaks is replaced while `tries` are left. `may_be_stored`: some of it, by an earlier try.
        """
        self._connection.began, self._is_committing = time.monotonic(), False
        try:
            self._run_in_transaction(batch, may_be_stored=may_be_stored)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for the job
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
        """On a new connection. `may_have_landed`: the old one broke in the commit."""
        for job in batch:
            job.error = say_unknown() if may_have_landed and not job.tells_landing else None
        error = self._try([job for job in batch if job.error is None], tries=tries, may_be_stored=True)
        return say_unknown() if error is not None and may_have_landed else error

    def _run_in_transaction(self, batch: Sequence[Job], *, may_be_stored: bool) -> None:
        connection = self._connection.open()
        with connection.begin():
            jobs = self._begin(batch)
            if may_be_stored:
                jobs = [job for job in jobs if not job.has_landed(connection)]
            _run_all(connection, jobs, may_fail=len(batch) == 1)
            if self._file:
                self._file.require_place()
            self._is_committing = True

    def _begin(self, batch: Sequence[Job]) -> list[Job]:
        """Those that nobody withdrew; from now on nobody can."""
        with self._lock:
            jobs = [job for job in batch if not job.is_withdrawn]
            for job in jobs:
                job.has_begun = True
        return jobs


def _run_all(connection: Connection, jobs: Iterable[Job], *, may_fail: bool) -> None:
    """`may_fail`: the transaction, by a job's own error."""
    for is_one_way, alike in groupby(jobs, lambda job: job.kind.is_one_way):
        with open_batch(connection) if is_one_way else nullcontext():
            for job in alike:
                if is_one_way or may_fail:
                    job.run(connection)
                else:
                    _run_apart(connection, job)


def _run_apart(connection: Connection, job: Job) -> None:
    """Runs the job so that its own failure takes back nothing but what it did itself."""
    try:
        with connection.begin_nested():
            job.run(connection)
    except Exception as error:
        if explain(error, is_writing=True):
            raise
        job.error = error


class Readers:
    """A few threads that read, each with a connection of its own, which refuses everything else.

    Apart from anyio's pool of threads, which serves files too.
    """

    def __init__(self, engine: Engine, file: DatabaseFile | None, *, seconds: float, threads: int = 3) -> None:
        """`file` is SQLite's; `seconds` is how long anybody waits for a read."""
        self._seconds = seconds
        self.outage = Outage("read", file)
        self._jobs = JobQueue(most=_MOST_READS)
        self._connections = [ThreadConnection(engine, seconds=seconds) for _ in range(threads)]
        self._threads = [
            _start_thread(self._work, connection, name=f"store-reader-{n}")
            for n, connection in enumerate(self._connections)
        ]

    def put(self, job: Job) -> None:
        """Raises StoreUnavailable when too much waits already, RuntimeError after `close`."""
        if self._jobs.is_full:
            raise say_silent()
        self._jobs.put(job)

    def give_up(self, _: Job) -> StoreUnavailable:
        """What to tell who waited too long for a job; ends the calls that have run for too long."""
        for connection in self._connections:
            connection.cut_if_overdue()
        self.outage.note_failure(f"no answer within {self._seconds:g} s")
        return say_silent()

    def close(self) -> None:
        """As the writer's."""
        self._jobs.close()
        join_threads(self._threads, lambda: self._jobs.length)

    def _work(self, connection: ThreadConnection) -> None:
        while batch := self._jobs.take(_READ_BATCH):
            for job in batch:
                self._read(job, connection)
            settle(batch)
        connection.close()

    def _read(self, job: Job, held: ThreadConnection) -> None:
        """Runs one job. A broken connection is replaced and the read repeated."""
        for is_last in (False, True):
            if job.future is not None and job.future.done():  # nobody waits any more
                return
            held.began = time.monotonic()
            try:
                job.run(held.open())
                self.outage.note_success()
                return
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for the job
                is_worth_it = not is_last and may_repeat(error, held.driver)
                held.close()
                if not is_worth_it:
                    job.error = self.outage.report(error) or error
                    return
            finally:
                held.began = None


class Checkpoints:
    """Moves SQLite's write-ahead log into the database file, off the writer's path.

    SQLite would do it inside every thousandth page's commit: 10 ms in which every writer waits, the whole tail of a
    busy server's latency. A passive checkpoint disturbs neither writers nor readers. Under endless load it never quite
    catches up; then the writer's own limit (`connections._WAL_PAGES`) does the short rest. What is left at the end is
    done by whoever opens the database next.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._committed = Event()
        self._closed = Event()
        self._thread = _start_thread(self._work, name="store-checkpoints")

    def note_commit(self) -> None:
        self._committed.set()

    def close(self) -> None:
        self._closed.set()
        self._committed.set()
        join_threads([self._thread], lambda: 0)

    def _work(self) -> None:
        with self._engine.connect() as connection:
            while not self._closed.wait(_PAUSE_SECONDS):
                self._committed.wait()
                self._committed.clear()
                try:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").close()
                except SQLAlchemyError:  # busy or out of space: the next one, or the writer's own
                    continue


def _start_thread(work: Callable[..., None], *arguments: ThreadConnection, name: str) -> Thread:
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
