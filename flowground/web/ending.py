"""The process is told to end: running answers get their grace, then everything stops, so that it really ends.

During the grace nobody new is let in, and who is in goes on: uvicorn would close every page's websocket at once, and
their readers would not see the rest of an answer that is still written. uvicorn is told to end when the grace is over.
"""

import asyncio

from flowground.runtime import Runtime
from flowground.shims.uvicorn_server import UvicornServer

_AFTER_GRACE = 3
"""Seconds that ended answers have to reach their readers before uvicorn cuts the connections."""


class Ending:
    """Made while the loop runs, on its thread; takes the signals over from uvicorn and passes them on."""

    def __init__(self, runtime: Runtime, *, server: UvicornServer | None, grace: float) -> None:
        self._runtime = runtime
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None
        self._server = server
        if server is not None:
            server.take_signals(self._end_by, cut_after=_AFTER_GRACE)

    async def finish(self) -> None:
        """Waits for what a signal began; without a signal running answers get their grace now."""
        if self._stopping is None:
            self._stop(self._grace)
        while (stopping := self._stopping) is not None and not stopping.done():
            await asyncio.wait({stopping})

    def _end_by(self, number: int) -> None:
        """The first signal begins the grace, the second ends it."""
        server = self._server
        assert server is not None  # noqa: S101 - without a server no signal is taken over
        server.stop_listening()
        stopping = self._stop(self._grace if self._stopping is None else 0)
        stopping.add_done_callback(lambda _: server.end(number))

    def _stop(self, grace: float) -> asyncio.Task[None]:
        self._stopping = self._loop.create_task(self._runtime.stop_runs(grace))
        return self._stopping
