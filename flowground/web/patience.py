"""Ends connections whose client never finishes the head of a request, or never reads its answer.

uvicorn 0.54 would wait for both for ever. A connection costs a file descriptor, and a process has few: enough clients
that send half a request would keep everybody else out; an answer that nobody reads keeps its memory too, or its run.
Half a body is the API's own business, and idle keep-alive connections uvicorn ends by itself.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import uvicorn

from flowground.web.waiting_connections import cut_off

if sys.platform != "win32":
    import fcntl
    import termios

_LOOKS = 4
"""How often within its patience the server looks."""


class ClientPatience:
    """Watches a server's connections from its own loop. Without a server (tests, other servers) it does nothing."""

    def __init__(self, server: uvicorn.Server | None, *, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: dict[Any, tuple[object, float]] = {}
        """Connection -> the request that ended last on it, None before the first, and since when it waits."""
        self._unread: dict[Any, tuple[object, float]] = {}
        """Connection -> bytes that its client has not read, and since when they are as many."""
        self._task = asyncio.create_task(self._watch(server)) if server else None

    async def end(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self, server: uvicorn.Server) -> None:
        while True:
            await asyncio.sleep(self._seconds / _LOOKS)
            now = asyncio.get_running_loop().time()
            connections: list[Any] = list(server.server_state.connections)
            waiting = {each: each.cycle for each in connections if _waits_for_head(each)}
            self._waiting, ended = self._find_overdue(self._waiting, waiting, now)
            for connection in ended:
                connection.transport.close()
            unread = {each: left for each in connections if (left := _left_to_read(each))}
            self._unread, ended = self._find_overdue(self._unread, unread, now)
            for connection in ended:
                cut_off(connection.transport)

    def _find_overdue(
        self, before: dict[Any, tuple[object, float]], states: dict[Any, Any], now: float
    ) -> tuple[dict[Any, tuple[object, float]], list[Any]]:
        """Each connection's state and since when it is in it; and those connections that were in theirs too long."""
        kept: dict[Any, tuple[object, float]] = {}
        ended = []
        for connection, state in states.items():
            was, since = before.get(connection, (state, now))
            if was != state:
                since = now
            if now - since >= self._seconds:
                ended.append(connection)
            else:
                kept[connection] = (state, since)
        return kept, ended


def _waits_for_head(connection: Any) -> bool:
    """A websocket has no cycle; a connection whose answer is not complete is at work."""
    last = getattr(connection, "cycle", connection)
    return last is None or getattr(last, "response_complete", False)


def _left_to_read(connection: Any) -> int:
    """Bytes here and in the kernel while nothing is added to them, so that fewer means: the client reads.

    Nothing is added while uvicorn waits for room, and after the end of an answer. Websockets have pings of their own.
    """
    cycle = getattr(connection, "cycle", None)
    if cycle is None:
        return 0
    transport = connection.transport
    is_still = connection.flow.write_paused or cycle.response_complete or transport.is_closing()
    here: int = transport.get_write_buffer_size() if is_still else 0
    return here and here + _in_kernel(transport)


def _in_kernel(transport: asyncio.Transport) -> int:
    """Bytes that the kernel has taken and the client has not: up to 4 MB on Linux, 0 where nobody can tell."""
    connection = transport.get_extra_info("socket")
    if sys.platform == "win32" or connection is None:
        return 0
    with suppress(OSError):
        said = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int.from_bytes(said, sys.byteorder)
    return 0
