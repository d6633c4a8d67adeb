"""Work that waits for a database thread: a plain function of a connection, and the future of who asked for it."""

from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection


class Job:
    """One call of `function(connection, *args, **kwargs)`; its outcome is handed over by `settle`."""

    __slots__ = ("args", "error", "function", "future", "kwargs", "loop", "result")

    def __init__(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        *,
        loop: AbstractEventLoop,
    ) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.loop = loop
        self.future: Future[Any] = loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self, connection: Connection) -> None:
        self.result = self.function(connection, *self.args, **self.kwargs)


def settle(jobs: Iterable[Job]) -> None:
    """Wakes everyone who waits for these jobs: one wake-up a loop, however many jobs."""
    by_loop: dict[AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, its_jobs in by_loop.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, its_jobs)


def _resolve(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():  # whoever waited was cancelled; the work is done all the same
            continue
        if job.error is None:
            job.future.set_result(job.result)
        else:
            job.future.set_exception(job.error)
