"""A few threads that read, each with a connection of its own, apart from anyio's pool, which serves files too."""

import time
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from sqlalchemy import Connection, Engine

from flowground.errors import StoreUnavailable
from flowground.store.database.connections import cut, is_overdue, join_while_it_works
from flowground.store.database.databases import File
from flowground.store.database.jobs import Job, settle
from flowground.store.database.outage import Outage, describe, does_not_answer, may_repeat

_BATCH = 8
"""Reads one thread takes at once: fewer wake-ups under load, and still no long wait behind a slow one."""
WAITING = 8192
"""Reads that may wait; more are refused at once."""


class Readers:
    """Runs jobs that only read; the connections refuse everything else."""

    def __init__(self, engine: Engine, file: File | None, *, seconds: float, threads: int = 3) -> None:
        """`file` is SQLite's; `seconds` is how long anybody waits for a read."""
        self._seconds = seconds
        self.outage = Outage("read", file)
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._readers = [_ReadingThread(engine, self._lock, self.outage) for _ in range(threads)]
        self._threads = [
            Thread(target=self._work, args=(reader,), name=f"store-reader-{n}", daemon=True)
            for n, reader in enumerate(self._readers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, job: Job) -> None:
        """Raises StoreUnavailable when too much waits already, RuntimeError after `close`."""
        if self._waiting.qsize() >= WAITING:
            raise does_not_answer()
        with self._lock:
            if self._closed:
                raise RuntimeError("the store is closed")
            self._waiting.put(job)

    def give_up(self, _: Job) -> StoreUnavailable:
        """What to tell who waited too long for a job; ends the calls that have run for too long."""
        with self._lock:
            for reader in self._readers:
                if is_overdue(reader.began, self._seconds):
                    cut(reader.driver)
        self.outage.failed(f"no answer within {self._seconds:g} s")
        return does_not_answer()

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
        join_while_it_works(self._threads, self._waiting.qsize)

    def _work(self, reader: "_ReadingThread") -> None:
        while (job := self._waiting.get()) is not None:
            batch = self._more(job)
            for job in batch:
                reader.read(job)
            settle(batch)
        reader.disconnect()

    def _more(self, job: Job) -> list[Job]:
        batch = [job]
        while len(batch) < _BATCH:
            try:
                more = self._waiting.get_nowait()
            except Empty:
                break
            if more is None:
                self._waiting.put(None)  # the end mark is for later, or for another thread
                break
            batch.append(more)
        return batch


class _ReadingThread:
    """What one thread reads with: its connection, and since when its present job runs."""

    def __init__(self, engine: Engine, lock: Lock, outage: Outage) -> None:
        self._engine = engine
        self._lock = lock
        self._outage = outage
        self._connection: Connection | None = None
        self.driver: Any = None
        self.began: float | None = None

    def read(self, job: Job) -> None:
        """Runs one job. A broken connection is replaced and the read repeated."""
        for last in (False, True):
            if job.future is not None and job.future.done():  # nobody waits any more
                return
            self.began = time.monotonic()
            try:
                self._run(job)
                self._outage.worked()
                return
            except Exception as error:  # noqa: BLE001 (handed to whoever waits for the job)
                told = self._outage.trouble(error)
                again = self._connection is not None and not last and may_repeat(error, self.driver)
                self.disconnect()
                if again:
                    continue
                if told:
                    self._outage.failed(describe(told if told.code == "store_moved" else error))
                job.error = told or error
                return
            finally:
                self.began = None

    def disconnect(self) -> None:
        with self._lock:  # what another thread cuts is still this reader's
            connection, self._connection, self.driver = self._connection, None, None
            if connection is not None:
                connection.invalidate()
                connection.close()

    def _run(self, job: Job) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
            self.driver = self._connection.connection.driver_connection
        job.run(self._connection)
        if self._connection.in_transaction():
            self._connection.rollback()
