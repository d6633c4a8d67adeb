"""What a client may hold, and for how long, before a whole request of it is there and after its answer is made.

A connection is a file descriptor, and up to 64 kB of half a head; a process has few, and uvicorn 0.54 would wait for
ever. Enough clients that send half a request would keep everybody else out; an answer that nobody reads keeps its
memory too, or its run. Half a body is the API's own business, and idle keep-alive connections uvicorn ends by itself.
"""

import asyncio
import socket
import struct
from collections import Counter, OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flowground.shims.http_connections import Connection, count_unread, find_last_request, waits_for_head
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
        self._waiting: OrderedDict[Connection, str] = OrderedDict()
        """Connection -> its address, in the order in which they were heard of."""
        self._counts = Counter[str]()
        """How many wait of each address that has any."""

    def add(self, connection: Connection) -> None:
        """It waits from now on, as the one heard of last."""
        self.remove(connection)
        address = name_address({"client": connection.client})  # behind a proxy they all are the proxy's
        self._waiting[connection] = address
        self._counts[address] += 1
        if len(self._waiting) > self.most:
            self._cut_one()

    def hear(self, connection: Connection) -> None:
        """It said something, and is not through."""
        if connection in self._waiting:
            self._waiting.move_to_end(connection)

    def remove(self, connection: Connection) -> None:
        """It waits no longer; one that did not is left alone."""
        address = self._waiting.pop(connection, None)
        if address is not None:
            self._counts[address] -= 1
            if not self._counts[address]:
                del self._counts[address]

    def _cut_one(self) -> None:
        most = max(self._counts.values())
        oldest = next(each for each, address in self._waiting.items() if self._counts[address] == most)
        self.remove(oldest)
        cut_off(oldest.transport)


class ClientPatience:
    """Ends connections whose client never finishes the head of a request, or never reads its answer.

    From the server's own loop. Without a server (tests, other servers) it does nothing.
    """

    def __init__(self, server: UvicornServer | None, *, seconds: float) -> None:
        self._pause = seconds / _LOOKS
        self._waiting = _Unchanged(seconds)
        """Of a connection that waits the request that ended last on it, None before the first."""
        self._unread = _Unchanged(seconds)
        """Of a connection the bytes that its client has not read."""
        self._task = asyncio.create_task(self._watch(server)) if server else None

    async def end(self) -> None:
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self, server: UvicornServer) -> None:
        while True:
            await asyncio.sleep(self._pause)
            now = asyncio.get_running_loop().time()
            connections = server.connections
            waiting = {each: find_last_request(each) for each in connections if waits_for_head(each)}
            for connection in self._waiting.find_overdue(waiting, now):
                connection.transport.close()
            unread = {each: left for each in connections if (left := count_unread(each))}
            for connection in self._unread.find_overdue(unread, now):
                cut_off(connection.transport)


class _Unchanged:
    """How long each connection has been in the state in which it is."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[Any, tuple[object, float]] = {}
        """Connection -> its state, and since when."""

    def find_overdue(self, states: Mapping[Any, object], now: float) -> list[Any]:
        """Those that are in theirs for too long; they are seen as new ones if they stay. Others are forgotten."""
        before, self._since = self._since, {}
        for connection, state in states.items():
            was, since = before.get(connection, (state, now))
            self._since[connection] = (state, since if was == state else now)
        overdue = [connection for connection, (_, since) in self._since.items() if now - since >= self._seconds]
        for connection in overdue:
            del self._since[connection]
        return overdue


def cut_off(transport: asyncio.Transport) -> None:
    """Ends a connection at once; what its client has not read is lost."""
    if (connection := transport.get_extra_info("socket")) is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()
