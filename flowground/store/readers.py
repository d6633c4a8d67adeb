"""A few threads that read, each with a connection of its own, apart from anyio's pool, which serves files too."""

from queue import Empty, SimpleQueue
from threading import Lock, Thread

from sqlalchemy import Connection, Engine

from flowground.store.jobs import Job, settle

_BATCH = 8
"""Reads one thread takes at once: fewer wake-ups under load, and still no long wait behind a slow one."""


class Readers:
    """Runs jobs that only read; the connections refuse everything else."""

    def __init__(self, engine: Engine, *, threads: int = 3) -> None:
        self._engine = engine
        self._waiting: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = Lock()
        self._closed = False
        self._threads = [Thread(target=self._work, name=f"store-reader-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def put(self, job: Job) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError("the store is closed")
            self._waiting.put(job)

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                for _ in self._threads:
                    self._waiting.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        connection: Connection | None = None
        while (job := self._waiting.get()) is not None:
            batch = self._more(job)
            for job in batch:
                connection = self._read(job, connection)
            settle(batch)
        if connection is not None:
            connection.close()

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

    def _read(self, job: Job, connection: Connection | None) -> Connection | None:
        """Runs one job; gives the connection to go on with. A broken connection is replaced and the read repeated."""
        for attempt in (1, 2):
            if job.future is not None and job.future.cancelled():
                break
            try:
                connection = connection or self._engine.connect()
                job.run(connection)
                if connection.in_transaction():
                    connection.rollback()
                break
            except Exception as error:  # noqa: BLE001 (handed to whoever waits for the job)
                if connection is not None:
                    connection.invalidate()
                    connection.close()
                    connection = None
                if attempt == 2:
                    job.error = error
        return connection
