"""The process is told to end: running answers get their grace, then everything stops, so that it really ends.

During the grace nobody new is let in, and who is in goes on: uvicorn would close every page's websocket at once, and
their readers would not see the rest of an answer that is still written. uvicorn is told to end when the grace is over;
it waits for open responses for ever unless it has a limit, and Streamlit gives it none.
"""

import asyncio
import signal
import threading
from types import FrameType

import uvicorn

from flowground.runtime import Runtime

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_AFTER_GRACE = 3
"""Seconds that ended answers have to reach their readers before uvicorn cuts the connections."""


class Ending:
    """Made while the loop runs, on its thread; takes the signals over from uvicorn and passes them on."""

    def __init__(self, runtime: Runtime, *, server: uvicorn.Server | None, grace: float) -> None:
        self._runtime = runtime
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None
        self._server = server
        if server is None:
            return
        if server.config.timeout_graceful_shutdown is None:
            server.config.timeout_graceful_shutdown = _AFTER_GRACE
        self._handle_exit = server.handle_exit
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    async def finish(self) -> None:
        """Waits for what a signal began; without a signal running answers get their grace now."""
        if self._stopping is None:
            self._stop(self._grace)
        while (stopping := self._stopping) is not None and not stopping.done():
            await asyncio.wait({stopping})

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._end_by, number)

    def _end_by(self, number: int) -> None:
        """The first signal begins the grace, the second ends it."""
        assert self._server is not None  # noqa: S101 - without a server no signal is taken over
        for listening in self._server.servers:
            listening.close()
        self._stop(self._grace if self._stopping is None else 0)
        assert self._stopping is not None  # noqa: S101 - set just above
        self._stopping.add_done_callback(lambda _: self._handle_exit(number, None))

    def _stop(self, grace: float) -> None:
        self._stopping = self._loop.create_task(self._runtime.stop_runs(grace))


def running_server() -> uvicorn.Server | None:
    """The uvicorn server that runs in this thread; found by its signal handler, it has no other public place."""
    if threading.current_thread() is not threading.main_thread():
        return None
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None
