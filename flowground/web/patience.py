"""Closes connections whose client never finishes the head of a request: uvicorn would wait for it for ever.

A connection costs a file descriptor, and a process has few: enough clients that send half a request would keep
everybody else out. Half a body is the API's own business, and idle keep-alive connections uvicorn ends by itself.
"""

import asyncio
from contextlib import suppress
from typing import Any

import uvicorn

_LOOKS = 4
"""How often within its patience the server looks."""


class Patience:
    """Watches a server's connections from its own loop. Without a server (tests, other servers) it does nothing."""

    def __init__(self, server: uvicorn.Server | None, *, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Any, tuple[object, float]] = {}
        """Connection -> the request that ended last on it, None before the first, and since when it waits."""
        self._task = asyncio.create_task(self._watch(server)) if server else None

    async def end(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self, server: uvicorn.Server) -> None:
        while True:
            await asyncio.sleep(self._seconds / _LOOKS)
            self._look(list(server.server_state.connections), asyncio.get_running_loop().time())

    def _look(self, connections: list[Any], now: float) -> None:
        before, self._waiting = self._waiting, {}
        for connection in connections:
            # A websocket has no cycle; one whose answer is not complete is at work.
            last = getattr(connection, "cycle", connection)
            if last is not None and not getattr(last, "response_complete", False):
                continue
            request, since = before.get(connection, (last, now))
            if request is not last:
                since = now
            if now - since >= self._seconds:
                connection.transport.close()
            else:
                self._waiting[connection] = (last, since)
