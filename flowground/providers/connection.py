"""Connections to model servers: HTTP/1.1 (RFC 9112) over asyncio's transports, kept between calls.

This is our own code because of measurements: with the same provider, a run costs 4 % more CPU time with aiohttp, and
several times that with httpx2's client. aiohttp also prints a proxy's password in its error, and reads 757 MB of chunk
extensions where this reads 4 (docs/decisions.md).

httptools parses the answers, in C. The errors are httpcore2's: its connections use the same `AsyncioBackend` for calls
of tools (`flowground.tools.outgoing`). With anyio a call costs a third more CPU time.
"""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest
from typing import Any, cast

import httpcore2
import httptools
import httpx2

from flowground.providers.egress import EgressSettings, convert_url, read_proxy

BROKEN = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.TimeoutException,
    httpx2.DecodingError,
    OSError,
)
"""What calls raise where a connection fails."""
Headers = Iterable[tuple[bytes, bytes]]
SocketAddress = tuple[Any, ...]
"""An address as `getaddrinfo` returns it: the family first, host and port last."""
Seconds = tuple[float, float]
"""To open a connection, and between two pieces of an answer's body."""
AT_ONCE = 256
"""The most calls to one server at once; further ones wait."""
_KEPT = 128
"""The most idle connections that are kept."""
_KEPT_SECONDS = 30
_READ_BYTES = 65_536
_BARREN_BYTES = 100_000
"""The most bytes in a row without a byte of body: heads, and lines around chunks. httptools keeps an unfinished line in
memory."""
_TOGETHER = 16_384
"""Bodies up to so many bytes are sent together with their head."""
_AHEAD = 262_144
"""The most bytes that may have arrived unread; then reading stops, and the server waits."""
_STAGGER = 0.25
"""Seconds until the next address of a host is tried beside the one before (RFC 8305)."""


class ConnectionPool:
    """Connections to one server, each of which serves one call at a time, on one event loop.

    The pools of HTTP clients search all connections at every call, twice, and ask the system about each: with 32 calls
    at once that was a fifth of a run's CPU time. This pool takes the connection used last, however many there are.
    """

    def __init__(self, url: httpx2.URL, egress: EgressSettings, timeouts: Seconds) -> None:
        self._url, self._timeouts = convert_url(url), timeouts
        proxy = egress.find_proxy(url)
        # Certificates are read once; a plain http address needs none.
        context = egress.make_ssl() if url.scheme == "https" or proxy else None
        if context:
            context.set_alpn_protocols(["http/1.1"])
        self._ssl = context if url.scheme == "https" else None
        self._proxy = read_proxy(proxy, context) if proxy else None
        self._idle: list[Connection] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._is_closed = False

    async def acquire(self, *, timeout: float) -> "Connection":
        """A connection for one call; `release` it after its answer is closed.

        Raises TimeoutError when no connection is free for `timeout` seconds.
        """
        if self._turns.locked():
            async with asyncio.timeout(timeout):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_usable():
                    return connection
                await connection.aclose()
        except BaseException:
            self._turns.release()
            raise
        return Connection(self._url, self._ssl, self._proxy, self._timeouts)

    async def release(self, connection: "Connection") -> None:
        """Keeps a connection that can be reused, and closes any other."""
        self._turns.release()
        if self._is_closed or len(self._idle) >= _KEPT or not connection.is_usable():
            await connection.aclose()
        else:
            self._idle.append(connection)

    async def close(self) -> None:
        """Closes idle connections now, the others when they are released."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().aclose()


class Connection:
    """A connection for one POST at a time, with the answer as its bytes come.

    `status`, `headers` (names in small letters) and the bytes of `read` belong to the last call. The first call opens
    the connection, through the proxy where there is one. It can be reused once its answer was read to the end.
    """

    def __init__(
        self, url: httpcore2.URL, context: ssl.SSLContext | None, proxy: httpcore2.Proxy | None, timeouts: Seconds
    ) -> None:
        self._url, self._ssl, self._proxy = url, context, proxy
        self._connect_seconds, self._read_seconds = timeouts
        self._stream: Stream | None = None
        self._used = 0.0
        self._body: list[bytes] = []
        self._is_whole = self._is_kept = False

    async def post(self, target: bytes, headers: Headers, body: bytes, *, method: bytes = b"POST") -> None:
        """Sends a request, and returns when the answer's head has arrived; the caller sets the timeout.

        Raises httpcore2's NetworkError, ProtocolError, ProxyError, ConnectTimeout.
        """
        self._stream = self._stream or await self._connect()
        if self._proxy and not self._ssl:
            there = self._url
            target = bytes(httpcore2.URL(scheme=there.scheme, host=there.host, port=there.port, target=target))
            headers = [*self._proxy.headers, *headers]
        await self._ask(self._stream, method, target, headers, body)

    async def read(self) -> bytes:
        """The next bytes of the answer's body, none at its end. Raises what `post` raises, and ReadTimeout."""
        while not (self._body or self._is_whole):
            await self._receive(self._read_seconds)
        data, self._body = b"".join(self._body), []
        return data

    def is_usable(self) -> bool:
        """Whether the connection can serve another call: its answer is complete, nothing came since, and 30 s have not
        passed."""
        stands = self._is_whole and self._is_kept and time.monotonic() - self._used < _KEPT_SECONDS
        return stands and not (self._body or cast(Stream, self._stream).get_extra_info("is_readable"))

    async def aclose(self) -> None:
        """Closes the connection at once, whatever is unread."""
        self._is_kept = False
        if self._stream:
            await self._stream.aclose()

    async def _connect(self) -> "Stream":
        seconds, proxy, origin = self._connect_seconds, self._proxy, self._url.origin
        place = proxy.url.origin if proxy else origin
        if place.scheme not in (b"http", b"https"):
            raise httpcore2.ProxyError("the proxy speaks no HTTP")
        stream = await AsyncioBackend().connect_tcp(place.host.decode("ascii"), place.port, seconds)
        if proxy and proxy.ssl_context:
            stream = await stream.start_tls(proxy.ssl_context, place.host.decode("ascii"), seconds)
        if proxy and self._ssl:
            self._stream = stream  # so that it is closed where the proxy refuses
            there = b"%b:%d" % (origin.host, origin.port)
            await self._ask(stream, b"CONNECT", there, [(b"Host", there), *proxy.headers], b"")
            if not 200 <= self.status < 300:
                raise httpcore2.ProxyError(f"the proxy answered with status {self.status}")
        return await stream.start_tls(self._ssl, origin.host.decode("ascii"), seconds) if self._ssl else stream

    async def _ask(self, stream: "Stream", method: bytes, target: bytes, headers: Headers, body: bytes) -> None:
        self.status, self.headers = 0, dict[bytes, bytes]()
        self._is_whole = self._is_kept = False
        self._body = []
        self._barren = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_chunked_length=True)
        lines = [b"%b %b HTTP/1.1\r\n" % (method, target), *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        head = b"".join(lines)
        try:
            for data in [head + body] if len(body) < _TOGETHER else [head, body]:
                await stream.write(data)
        except httpcore2.WriteError:
            pass  # a server may answer and close before it has the whole request
        while not self.status:
            await self._receive(None)

    async def _receive(self, seconds: float | None) -> None:
        data = await cast(Stream, self._stream).read(_READ_BYTES, seconds)
        if not data:
            self._end_with_connection()
            return
        self._barren += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._is_whole, self._is_kept = True, False
        except httptools.HttpParserError as error:
            self._is_kept = False
            if not self._is_whole:
                raise httpcore2.RemoteProtocolError(str(error)) from error
        if self._barren > _BARREN_BYTES:
            raise httpcore2.RemoteProtocolError("the server sends no end of lines around its answer")

    def _end_with_connection(self) -> None:
        """Ends an answer whose length is the connection's; any other unfinished answer is a failure."""
        said = b"content-length" in self.headers or b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()
        if said or not self.status:
            raise httpcore2.RemoteProtocolError("the server closed the connection before its answer was complete")
        self._is_whole = True

    # Callbacks of httptools while it parses.

    def on_message_begin(self) -> None:
        if self._is_whole:
            self._is_kept = False  # an answer without a request

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # trailers are ignored
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()  # 100 Continue, before the answer
        elif not self._is_whole:
            self.status, self._is_kept = status, self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self._is_whole:
            self._body.append(data)
            self._barren = 0

    def on_message_complete(self) -> None:
        if self.status:
            self._is_whole, self._used = True, time.monotonic()


class AsyncioBackend(httpcore2.AsyncNetworkBackend):
    """Opens connections on the running event loop."""

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, *_: Any, **__: Any) -> "Stream":
        """A connection to the first address of the host that accepts one. Raises ConnectTimeout and ConnectError."""
        async with _translate(timeout):
            return await connect_first(await self.resolve(host, port))

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        """The allowed addresses of the host, in the system's order."""
        return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))


class Stream(asyncio.Protocol, httpcore2.AsyncNetworkStream):
    """The bytes of one connection, for one reader at a time."""

    _transport: asyncio.Transport
    """Set by `connection_made`, which the event loop calls first."""

    def __init__(self) -> None:
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._is_ended = self._is_full = False
        self._error: Exception | None = None
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """The next bytes, none at the end. Raises ReadTimeout and ReadError."""
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

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Returns once the system has taken most of the bytes. Raises WriteTimeout and WriteError."""
        if buffer and (self._is_ended or self._transport.is_closing()):
            raise httpcore2.WriteError(str(self._error or "the connection is closed")) from self._error
        self._transport.write(buffer)
        if self._room:
            await _wait(self._room, timeout, httpcore2.WriteTimeout)

    async def aclose(self) -> None:
        """Closes at once, without sending the rest."""
        self._transport.abort()
        await asyncio.sleep(0)  # the event loop closes the socket in its next turn

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> "Stream":
        """The same connection, encrypted. Raises ConnectTimeout and ConnectError."""
        secure, loop = Stream(), asyncio.get_running_loop()
        try:
            async with _translate(timeout):
                transport = await loop.start_tls(self._transport, secure, ssl_context, server_hostname=server_hostname)
        except BaseException:
            await self.aclose()
            raise
        secure.connection_made(cast(asyncio.Transport, transport))
        return secure

    def get_extra_info(self, info: str) -> Any:
        """Answers httpcore2's questions: `ssl_object`, and `is_readable` for whether an idle connection has ended."""
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
        _wake(self._news)

    def eof_received(self) -> None:
        self._is_ended = True
        _wake(self._news)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_ended, self._error = True, exc
        _wake(self._news)
        self.resume_writing()

    def pause_writing(self) -> None:
        self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        _wake(self._room)
        self._room = None


async def connect_first(addresses: Sequence[SocketAddress]) -> Stream:
    """A connection to the first address that accepts one; families alternate, and each address starts a little after
    the one before.

    Raises the OSError of the last address that failed.
    """
    by_family = {family: [item for item in addresses if item[0] == family] for family, *_ in addresses}
    left = deque(item for row in zip_longest(*by_family.values()) for item in row if item)
    started, problem = list[asyncio.Task[Any]](), OSError("the host has no address")
    loop = asyncio.get_running_loop()
    try:
        while left or started:
            if left:
                family, *_, (host, port, *_) = left.popleft()
                started.append(asyncio.create_task(loop.create_connection(Stream, host, port, family=family)))
            done, _ = await asyncio.wait(
                started, timeout=_STAGGER if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                started.remove(task)
                try:
                    return cast(Stream, task.result()[1])
                except OSError as error:
                    problem = error
    finally:
        for task in started:
            task.cancel()
            task.add_done_callback(_abandon)
    raise problem


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting and not waiting.done():
        waiting.set_result(None)


async def _wait(news: asyncio.Future[None], seconds: float | None, kind: type[Exception]) -> None:
    """Waits for `news`; after `seconds` raises an error of this kind. Cheaper than asyncio.timeout."""
    late = asyncio.get_running_loop().call_later(seconds, _give_up, news, kind) if seconds else None
    try:
        await news
    finally:
        if late:
            late.cancel()


def _give_up(news: asyncio.Future[None], kind: type[Exception]) -> None:
    if not news.done():
        news.set_exception(kind())


@asynccontextmanager
async def _translate(seconds: float | None) -> AsyncIterator[None]:
    """Raises httpcore2's errors in the place of the system's."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpcore2.ConnectError(str(error)) from error


def _abandon(task: asyncio.Task[Any]) -> None:
    """Closes a connection that was opened after another one had been chosen."""
    if not task.cancelled() and not task.exception():
        task.result()[0].abort()
