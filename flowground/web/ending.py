"""The process is told to end: running answers get their grace, then everything stops, so that it really ends.

uvicorn waits for open responses for ever unless told otherwise, and Streamlit does not tell it: one open stream would
keep the process alive.
"""

import asyncio
import math
import signal
import threading
from types import FrameType

import uvicorn

from flowground.runtime import Runtime

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_AFTER_GRACE = 3
"""Seconds that cancelled answers have to be stored and said before uvicorn cuts their connections."""


class Ending:
    """Made while the loop runs, on its thread; takes the signals over from uvicorn and passes them on."""

    def __init__(self, runtime: Runtime, *, server: uvicorn.Server | None, grace: float) -> None:
        self._runtime = runtime
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._stopping: asyncio.Task[None] | None = None
        if server is None:
            return
        if server.config.timeout_graceful_shutdown is None:
            server.config.timeout_graceful_shutdown = math.ceil(grace) + _AFTER_GRACE
        self._handle_exit = server.handle_exit
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    async def finish(self) -> None:
        """Waits for what a signal began; without a signal running answers get their grace now."""
        if self._stopping is None:
            self._stop(self._grace)
        while (stopping := self._stopping) is not None and not stopping.done():
            await asyncio.wait({stopping})

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._handle_exit(number, frame)
        self._loop.call_soon_threadsafe(self._stop_once_more)

    def _stop_once_more(self) -> None:
        """The first signal begins the grace, the second ends it."""
        self._stop(self._grace if self._stopping is None else 0)

    def _stop(self, grace: float) -> None:
        self._stopping = self._loop.create_task(self._runtime.stop_runs(grace))


def running_server() -> uvicorn.Server | None:
    """The uvicorn server that runs in this thread; found by its signal handler, it has no other public place."""
    if threading.current_thread() is not threading.main_thread():
        return None
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return server if isinstance(server, uvicorn.Server) else None
