"""The thread that writes: what waits, in one transaction."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from itertools import groupby
from threading import Lock

from sqlalchemy import Connection, Engine

from flowground.errors import StoreUnavailable
from flowground.store.database.connections import DatabaseFile, ThreadConnection
from flowground.store.database.jobs import Job, JobQueue, join_threads, settle, start_thread
from flowground.store.database.outage import Outage, explain, may_repeat, say_busy, say_unknown
from flowground.store.sql import open_batch

_TRIES = 3
"""Connections that may break under one batch before it fails: a server that restarts ends more than one."""
_WRITE_BATCH = 256
"""Jobs in one transaction at most: the last of them waits for all."""
MOST_WRITES = 4096
"""Writes that may wait: some seconds' work. More are refused at once, so that no outage fills the memory."""
_STUCK = 1.5
"""Multiples of `seconds`. A call that lasts longer, and that somebody has given up, marks the writer as stuck: new
writes are refused at once."""


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
        self._thread = start_thread(self._work, name="store-writer")

    def put(self, job: Job) -> None:
        """Raises StoreUnavailable when too much waits already, RuntimeError after `close`."""
        if self._jobs.is_full or self._connection.is_stuck(seconds=_STUCK * self._seconds):
            self._connection.cut_if_overdue()
            raise StoreUnavailable()
        self._jobs.put(job)

    def give_up(self, job: Job) -> StoreUnavailable:
        """What to tell who waited too long for this job; it is not begun any more, unless it `stays`."""
        with self._lock:
            job.is_withdrawn = not (job.has_begun or job.kind.stays)
        self._connection.note_given_up()
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
