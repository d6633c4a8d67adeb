"""How many connections may stand open without a whole request: silent ones, half heads, half bodies, kept-alive ones.

Each is a file descriptor, and up to 64 kB of half a head, that strangers could otherwise keep until nobody else gets
one. Whoever sent a whole request is out of this: at work, answered as it comes.
"""

import asyncio
import socket
import struct
from collections import OrderedDict
from contextlib import suppress
from typing import Protocol

from flowground.web.address import name_address

_SHARE = 4
"""A quarter of the process's descriptors."""
_MOST = 1_000
"""Also where there are more descriptors: 64 MB of half heads."""
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER: a reset; the kernel keeps nothing of what was not read."""


class Connection(Protocol):
    """What is known here of uvicorn's."""

    transport: asyncio.Transport
    client: tuple[str, int] | None


class WaitingConnections:
    """On one loop. Beyond the bound, of the address that has most, the one that was heard of longest ago is cut."""

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


def cut_off(transport: asyncio.Transport) -> None:
    """Ends a connection at once; what its client has not read is lost."""
    if (connection := transport.get_extra_info("socket")) is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


def _address(connection: Connection) -> str:
    """Of the connection's other end: behind a proxy they all are the proxy's."""
    return name_address({"client": connection.client})
