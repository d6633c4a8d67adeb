"""What a client may hold, and for how long, before a whole request of it is there and after its answer is made.

A connection is a file descriptor, and up to 64 kB of half a head; a process has few, and uvicorn 0.54 would wait for
ever. Enough clients that send half a request would keep everybody else out; an answer that nobody reads keeps its
memory too, or its run. Half a body is the API's own business, and idle keep-alive connections uvicorn ends by itself.
"""

import asyncio
import socket
import struct
from collections import OrderedDict
from contextlib import suppress
from typing import Any

from flowground.shims.http_connections import Connection, last_request, left_to_read, waits_for_head
from flowground.shims.page_messages import SMALLEST
from flowground.shims.uvicorn_server import UvicornServer
from flowground.web.address import name_address

_LARGEST_HEAD = 65_536
"""Bytes, as h11 has it; the longest address and cookies of a browser are a fraction."""
_MOST_PIECES = 4_096
"""Frames of one message of a page; a browser or proxy that cuts 3 MB makes some hundreds."""
_MOST_UNREAD = 1_000_000
"""Bytes of answers to pings that a client may leave unread."""
_SHARE = 4
"""One in so many of the process's descriptors may be a connection without a whole request."""
_MOST = 1_000
"""Connections without a whole request, however many descriptors there are: they hold 64 MB of half heads."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: a reset; the kernel keeps nothing of what was not read."""
_LOOKS = 4
"""How often the server looks for silent clients within the seconds that it allows them."""


def bound_clients(server: UvicornServer, *, descriptors: int) -> None:
    """What is read of every client from now on. `descriptors` is how many files the process may have open."""
    server.believe_no_header()
    server.bound_heads(WaitingConnections(descriptors), largest=_LARGEST_HEAD)
    server.bound_frames(smallest=SMALLEST, pieces=_MOST_PIECES, unread=_MOST_UNREAD)


class WaitingConnections:
    """Silent ones, half heads, half bodies, kept-alive ones, on one loop. Whoever sent a whole request is out of this.

    Beyond the bound, of the address that has most, the one that was heard of longest ago is cut.
    """

    def __init__(self, descriptors: int) -> None:
        self.most = max(1, min(descriptors // _SHARE, _MOST))
        self._count = 0
        self._heard = 0
        self._by_address: dict[str, OrderedDict[Connection, int]] = {}
        """Address -> its connections in the order in which they were heard of, each with the number of that."""

    def add(self, connection: Connection) -> None:
        """It waits from now on, as the one heard of last."""
        waiting = self._by_address.setdefault(_address(connection), OrderedDict())
        self._count += connection not in waiting
        self._heard += 1
        waiting[connection] = self._heard
        waiting.move_to_end(connection)
        if self._count > self.most:
            self._cut_one()

    def hear(self, connection: Connection) -> None:
        """It said something, and is not through."""
        if connection in self._by_address.get(_address(connection), ()):
            self.add(connection)

    def remove(self, connection: Connection) -> None:
        """It waits no longer; one that did not is left alone."""
        address = _address(connection)
        waiting = self._by_address.get(address)
        if waiting and waiting.pop(connection, None):
            self._count -= 1
            if not waiting:
                del self._by_address[address]

    def _cut_one(self) -> None:
        largest = max(self._by_address.values(), key=lambda waiting: (len(waiting), -next(iter(waiting.values()))))
        oldest = next(iter(largest))
        self.remove(oldest)
        cut_off(oldest.transport)


class ClientPatience:
    """Ends connections whose client never finishes the head of a request, or never reads its answer.

    From the server's own loop. Without a server (tests, other servers) it does nothing.
    """

    def __init__(self, server: UvicornServer | None, *, seconds: float) -> None:
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

    async def _watch(self, server: UvicornServer) -> None:
        while True:
            await asyncio.sleep(self._seconds / _LOOKS)
            now = asyncio.get_running_loop().time()
            connections = server.connections
            waiting = {each: last_request(each) for each in connections if waits_for_head(each)}
            self._waiting, ended = self._find_overdue(self._waiting, waiting, now)
            for connection in ended:
                connection.transport.close()
            unread = {each: left for each in connections if (left := left_to_read(each))}
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


def cut_off(transport: asyncio.Transport) -> None:
    """Ends a connection at once; what its client has not read is lost."""
    if (connection := transport.get_extra_info("socket")) is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


def _address(connection: Connection) -> str:
    """Of the connection's other end: behind a proxy they all are the proxy's."""
    return name_address({"client": connection.client})
