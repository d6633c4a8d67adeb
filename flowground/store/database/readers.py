"""The threads that read."""

import time

from sqlalchemy import Engine

from flowground.errors import StoreUnavailable
from flowground.store.database.connections import DatabaseFile, ThreadConnection
from flowground.store.database.jobs import Job, JobQueue, join_threads, settle, start_thread
from flowground.store.database.outage import Outage, may_repeat, say_silent

_READ_BATCH = 8
"""Reads one thread takes at once: fewer wake-ups under load, and still no long wait behind a slow one."""
_MOST_READS = 8192


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
            start_thread(self._work, connection, name=f"store-reader-{n}")
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
