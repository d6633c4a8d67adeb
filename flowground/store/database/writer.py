"""The one thread that writes. It takes whatever waits, runs it in one transaction, commits, and wakes who waited.

One commit for many: that is what makes 500 stored runs a second cheap, without weakening what a commit promises.

When it fails, who is at fault decides what follows. A job's own error is that job's, and the others go on. Trouble with
the database is nobody's: the batch fails as one, at once. A connection that was cut is replaced and the batch repeated;
a job whose commit may have landed is looked for first, and is not repeated when it cannot be recognized.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Connection, Engine

from flowground.errors import StoreUnavailable
from flowground.store.database.connections import cut, is_overdue, join_while_it_works
from flowground.store.database.databases import File
from flowground.store.database.jobs import Job, settle
from flowground.store.database.outage import Outage, busy, describe, may_repeat, trouble
from flowground.store.database.statements import together

_TRIES = 3
"""Connections that may break under one batch before it fails: a server that restarts ends more than one."""
_BATCH = 256
"""Jobs in one transaction at most: the last of them waits for all."""
WAITING = 4096
"""Jobs that may wait: some seconds' work. More are refused at once, so that no outage fills the memory."""


class Writer:
    """Runs jobs in the order they were put. `close` finishes what waits."""

    def __init__(self, engine: Engine, file: File | None, *, seconds: float, written: Callable[[], None]) -> None:
        """`file` is SQLite's: nothing is committed once it was moved. `seconds` is how long anybody waits for a write;
        `written` is called after each commit, on the writer's thread."""
        self._engine = engine
        self._seconds = seconds
        self._file = file
        self._written = written
        self.outage = Outage("written", file)
        self._connection: Connection | None = None
        self._driver: Any = None
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._began: float | None = None
        """When the try that is being made began; None between two tries."""
        self._committing = False
        self.settled = 0
        self._thread = Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Raises StoreUnavailable when too much waits already, RuntimeError after `close`."""
        began = self._began
        if self._waiting.qsize() >= WAITING or (began is not None and time.monotonic() - began > 1.5 * self._seconds):
            self._cut_overdue()
            raise StoreUnavailable()
        with self._lock:  # no job may come to lie behind the end mark
            if self._closed:
                raise RuntimeError("the store is closed")
            self._waiting.put(job)

    def give_up(self, job: Job) -> StoreUnavailable:
        """What to tell who waited too long for this job; it is not begun any more, unless it `stays`."""
        with self._lock:
            unknown = job.begun or getattr(job.function, "stays", False)
            job.withdrawn = not unknown
        self._cut_overdue()
        self.outage.failed(f"no answer within {self._seconds:g} s")
        return _outcome_unknown() if unknown else busy()

    def close(self) -> None:
        """Finishes what waits. A database that does not let go is left after some seconds: the thread is a daemon."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._waiting.put(None)
        join_while_it_works([self._thread], lambda: self.settled)

    def _work(self) -> None:
        last = False
        while not last:
            batch, last = self._take()
            if batch:
                self._write(batch)
                settle(batch)
                self.settled += len(batch)
                self._written()
        self._disconnect()

    def _take(self) -> tuple[list[Job], bool]:
        """Everything that waits, at least one; and whether it is the end."""
        batch: list[Job] = []
        job = self._waiting.get()
        try:
            while job is not None:
                batch.append(job)
                if len(batch) == _BATCH:
                    return batch, False
                job = self._waiting.get_nowait()
        except Empty:
            return batch, False
        return batch, True

    def _write(self, batch: Sequence[Job]) -> None:
        error = self._try(batch)
        if error is None:
            self.outage.worked()
        elif trouble(error, writing=True):
            self._fail(batch, error)
        elif len(batch) == 1 and not batch[0].tells_landing:
            batch[0].error = error
        else:
            self._write_one_by_one(batch)

    def _write_one_by_one(self, batch: Sequence[Job]) -> None:
        for number, job in enumerate(batch):
            error = self._try([job], tries=1, repeated=True)
            if error is not None and trouble(error, writing=True):
                self._fail(batch[number:], error)
                return
            job.error = error or job.error

    def _fail(self, jobs: Iterable[Job], error: BaseException) -> None:
        told = self.outage.trouble(error)
        self.outage.failed(describe(told if told and told.code == "store_moved" else error))
        for job in jobs:
            job.error = job.error or self.outage.trouble(error)

    def _try(self, batch: Sequence[Job], *, tries: int = _TRIES, repeated: bool = False) -> Exception | None:
        """One transaction for the batch; its error, when nothing of it is stored or nobody can know.

        A connection that breaks is replaced while `tries` are left. `repeated`: some of it may be stored already.
        """
        self._began, self._committing = time.monotonic(), False
        try:
            self._transaction(batch, repeated=repeated)
        except Exception as error:  # noqa: BLE001 (handed to whoever waits for the job)
            unknown = self._committing
            again = self._connection is not None and tries > 1 and may_repeat(error, self._driver)
            if again or trouble(error, writing=True):
                self._disconnect()
            return self._repeat(batch, unknown=unknown, tries=tries - 1) if again else error
        finally:
            self._began = None
        return None

    def _repeat(self, batch: Sequence[Job], *, unknown: bool, tries: int) -> Exception | None:
        """On a new connection. `unknown`: the commit may have landed before the old one broke."""
        for job in batch:
            job.error = _outcome_unknown() if unknown and not job.tells_landing else None
        error = self._try([job for job in batch if job.error is None], tries=tries, repeated=True)
        return _outcome_unknown() if error is not None and unknown else error

    def _transaction(self, batch: Sequence[Job], *, repeated: bool) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._driver = self._connection.connection.driver_connection
        connection = self._connection
        with connection.begin():
            jobs = self._begin(batch)
            if repeated:
                jobs = [job for job in jobs if not job.has_landed(connection)]
            self._run(connection, jobs, alone=len(batch) == 1)
            if self._file:
                self._file.require_place()
            self._committing = True

    def _begin(self, batch: Sequence[Job]) -> list[Job]:
        with self._lock:
            jobs = [job for job in batch if not job.withdrawn]
            for job in jobs:
                job.begun = True
        return jobs

    @staticmethod
    def _run(connection: Connection, jobs: Iterable[Job], *, alone: bool) -> None:
        for one_way, alike in groupby(jobs, lambda job: getattr(job.function, "one_way", False)):
            if one_way:
                with together(connection):
                    for job in alike:
                        job.run(connection)
                continue
            for job in alike:
                if alone:
                    job.run(connection)
                else:
                    _run_apart(connection, job)

    def _cut_overdue(self) -> None:
        with self._lock:  # `_disconnect` takes it too: what is cut here is still this writer's
            if is_overdue(self._began, self._seconds):
                cut(self._driver)

    def _disconnect(self) -> None:
        with self._lock:
            connection, self._connection, self._driver = self._connection, None, None
            if connection is not None:
                connection.invalidate()
                connection.close()


def _run_apart(connection: Connection, job: Job) -> None:
    """Runs the job so that its own failure takes back nothing but what it did itself."""
    job.error = None
    try:
        with connection.begin_nested():
            job.run(connection)
    except Exception as error:
        if trouble(error, writing=True):
            raise
        job.error = error


def _outcome_unknown() -> StoreUnavailable:
    return StoreUnavailable(
        "The database did not answer in time: whether this was stored is not known.",
        code="unknown_outcome",
        hint="Look whether it is there before you send it again.",
    )
