"""What httpcore2's connections stand on: asyncio's own transports, in place of anyio's streams.

A call through anyio costs a third more CPU time: it opens a cancel scope and asks the system several times for every
read and write. `python -m bench.model_call` measures both (docs/decisions.md). What the bytes mean, and when a
connection may be used again, is httpcore2's; proxies too.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import Any, cast

import httpcore2

SocketAddress = tuple[Any, ...]
"""As `getaddrinfo` gives it: the family first, host and port last."""

_STAGGER = 0.25
"""Seconds until the next address of a host is tried beside the one before (RFC 8305)."""
_TOGETHER = 16_384
"""Bytes up to which what is written goes out as one: a call's head with its body."""
_AHEAD = 262_144
"""Bytes that may have arrived unread; from there on nothing more is taken, and the server waits."""


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections on the running loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's contract, here and below
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> "Stream":
        """A connection to the first address of the host that takes one. Raises ConnectTimeout and ConnectError."""
        assert local_address is None and socket_options is None  # noqa: S101, PT018 - we never ask for these
        async with _translate(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
            loop = asyncio.get_running_loop()
            return await connect_first(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """One connection, with one reader at a time."""

    _transport: asyncio.Transport
    """Set by `connection_made`, with which the loop begins."""

    def __init__(self) -> None:
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._unsent = b""
        self._is_ended = self._is_full = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - as above
        """The next bytes, none at the end. Raises ReadTimeout and ReadError."""
        self._send()
        if not self._unread and not self._is_ended:
            self._news = asyncio.get_running_loop().create_future()
            await _wait(self._news, timeout, httpcore2.ReadTimeout)
        if not self._unread:
            if self._error:
                raise httpcore2.ReadError(str(self._error)) from self._error
            return b""
        data = self._unread.popleft()
        if len(data) > max_bytes:
            self._unread.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._unread_bytes -= len(data)
        if self._is_full and self._unread_bytes < _AHEAD:
            self._is_full = False
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as above
        """Returns once the system has taken most of it; little is kept until more comes or an answer is read.

        Raises WriteTimeout and WriteError.
        """
        if not buffer:
            return
        if self._is_ended or self._transport.is_closing():
            raise httpcore2.WriteError(str(self._error or "the connection is closed")) from self._error
        self._unsent += buffer
        if len(self._unsent) >= _TOGETHER:
            self._send()
        if self._room:
            await _wait(self._room, timeout, httpcore2.WriteTimeout)

    async def aclose(self) -> None:
        """Closes at once: what was not sent yet is not wanted any more."""
        self.abort()
        await asyncio.sleep(0)  # the loop closes the socket in its next turn

    def abort(self) -> None:
        """As `aclose`; returns before the socket is closed."""
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> "Stream":
        """The same connection, encrypted. Raises ConnectTimeout and ConnectError."""
        secure, loop = Stream(), asyncio.get_running_loop()
        try:
            async with _translate(timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError):
                transport = await loop.start_tls(self._transport, secure, ssl_context, server_hostname=server_hostname)
        except BaseException:
            await self.aclose()
            raise
        secure.connection_made(cast(asyncio.Transport, transport))
        return secure

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks for: `ssl_object`, and `is_readable` for whether an idle connection has ended."""
        if info == "is_readable":
            return bool(self._unread) or self._is_ended or self._transport.is_closing()
        return self._transport.get_extra_info(info)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._unread.append(data)
        self._unread_bytes += len(data)
        if self._unread_bytes >= _AHEAD and not self._is_full:
            self._is_full = True
            self._transport.pause_reading()
        self._tell()

    def eof_received(self) -> None:
        self._is_ended = True
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended, self._error = True, exc
        self._tell()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._room and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _send(self) -> None:
        if self._unsent:
            self._transport.write(self._unsent)
            self._unsent = b""

    def _tell(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)
        self._news = None


async def _wait(news: asyncio.Future[None], seconds: float | None, kind: type[Exception]) -> None:
    """Waits for news; after `seconds` raises an error of this kind. Cheaper than asyncio.timeout."""
    loop = asyncio.get_running_loop()
    late = loop.call_later(seconds, _give_up, news, kind) if seconds else None
    try:
        await news
    finally:
        if late:
            late.cancel()


def _give_up(news: asyncio.Future[None], kind: type[Exception]) -> None:
    if not news.done():
        news.set_exception(kind())


@asynccontextmanager
async def _translate(seconds: float | None, late: type[Exception], failed: type[Exception]) -> AsyncIterator[None]:
    """Raises httpcore2's errors in place of the system's."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error


async def connect_first(addresses: Sequence[SocketAddress]) -> Stream:
    """A connection to the first that takes one; both families in turn, each address a little after the one before.

    Raises the OSError of the last to fail.
    """
    left, started = _alternate(addresses), list[asyncio.Task[Stream]]()
    problem = OSError("the host has no address")
    try:
        while left or started:
            if left:
                started.append(asyncio.create_task(_open(left.popleft())))
            waiting = _STAGGER if left else None
            done, _ = await asyncio.wait(started, timeout=waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                started.remove(task)
                try:
                    return task.result()
                except OSError as error:
                    problem = error
    finally:
        for task in started:
            task.cancel()
            task.add_done_callback(_abandon)
    raise problem


def _abandon(task: asyncio.Task[Stream]) -> None:
    """Closes a connection that came after another one was taken."""
    if not task.cancelled() and not task.exception():
        task.result().abort()


async def _open(address: SocketAddress) -> Stream:
    family, *_, (host, port, *_) = address
    _, stream = await asyncio.get_running_loop().create_connection(Stream, host, port, family=family)
    return stream


def _alternate(addresses: Sequence[SocketAddress]) -> deque[SocketAddress]:
    """The addresses, their families in turn, beginning with the system's first."""
    by_family = {family: [item for item in addresses if item[0] == family] for family, *_ in addresses}
    rows = zip_longest(*by_family.values())
    return deque(item for row in rows for item in row if item)
