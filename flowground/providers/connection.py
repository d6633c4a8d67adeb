"""A kept connection to a server: one POST at a time, and its answer as the bytes come. HTTP/1.1 (RFC 9112).

httptools reads the answers, in C. httpcore2 reads them with h11, in Python, which costs twice what all else of a call
costs (`python -m bench.model_call`); ways through a proxy are httpcore2's all the same. Both fail with its errors.
"""

import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from typing import NamedTuple, cast

import httpcore2
import httptools

from flowground.providers.sockets import AsyncioBackend, Stream

Headers = Iterable[tuple[bytes, bytes]]


class Times(NamedTuple):
    """Seconds: until a connection stands, and between two pieces of an answer's body."""

    connect: float
    answer: float


_KEPT_SECONDS = 30
_READ_BYTES = 65_536
_BARREN_BYTES = 100_000
"""What may come at once without a byte of body: heads, lines around chunks. httptools keeps an unfinished line."""


class KeptConnection:
    """`status`, `headers` (their names in small letters) and what `read` gives are of the last call.

    Made without a connection, which the first call opens. Usable again when its answer was read to its end.
    """

    def __init__(self, origin: httpcore2.Origin, context: ssl.SSLContext | None, times: Times) -> None:
        self._origin, self._context, self._times = origin, context, times
        self._stream: Stream | None = None
        self._used = 0.0
        self._is_whole = self._is_kept = False

    async def post(self, target: bytes, headers: Headers, body: bytes, *, method: bytes = b"POST") -> None:
        """Returns when the answer's head is there, however long that takes: the caller bounds it.

        Raises httpcore2's NetworkError, ProtocolError, ConnectTimeout.
        """
        stream = self._stream = self._stream or await self._connect()
        self.status, self.headers = 0, dict[bytes, bytes]()
        self._is_whole = self._is_kept = False
        self._body: list[bytes] = []
        self._barren = 0
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True, lenient_chunked_length=True)
        lines = [b"%b %b HTTP/1.1\r\n" % (method, target), *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
        try:
            await stream.write(b"".join(lines))
            await stream.write(body)
        except httpcore2.WriteError:
            pass  # a server may refuse before it has all, and close: its answer tells more
        while not self.status:
            await self._receive(None)

    async def read(self) -> bytes:
        """The next bytes of the answer's body, none at its end. Raises as `post`, and ReadTimeout."""
        while not (self._body or self._is_whole):
            await self._receive(self._times.answer)
        data, self._body = b"".join(self._body), []
        return data

    def is_usable(self) -> bool:
        """Whether it can serve another call: its answer was whole, nothing came since, and that is not 30 s ago."""
        stands = self._is_whole and self._is_kept and time.monotonic() - self._used < _KEPT_SECONDS
        return stands and not (self._body or cast(Stream, self._stream).get_extra_info("is_readable"))

    async def aclose(self) -> None:
        self._is_kept = False
        if self._stream:
            await self._stream.aclose()

    async def _connect(self) -> Stream:
        host, seconds = self._origin.host.decode("ascii"), self._times.connect
        stream = await AsyncioBackend().connect_tcp(host, self._origin.port, seconds)
        return await stream.start_tls(self._context, host, seconds) if self._context else stream

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
        """The end of an answer that said none itself; of any other, and of none, it is a failure."""
        said = b"content-length" in self.headers or b"chunked" in self.headers.get(b"transfer-encoding", b"").lower()
        if said or not self.status:
            raise httpcore2.RemoteProtocolError("the server closed the connection before its answer was complete")
        self._is_whole = True

    # What httptools calls while it reads.

    def on_message_begin(self) -> None:
        if self._is_whole:
            self._is_kept = False  # an answer that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # else it stands behind the body
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers.clear()  # "go on", before the answer
        elif not self._is_whole:
            self.status, self._is_kept = status, self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if not self._is_whole:
            self._body.append(data)
            self._barren = 0

    def on_message_complete(self) -> None:
        if self.status:
            self._is_whole, self._used = True, time.monotonic()


class ProxiedConnection:
    """As KeptConnection, through a proxy. `pool` has one connection, and knows how to reach the server behind it."""

    status: int
    headers: dict[bytes, bytes]

    def __init__(self, url: httpcore2.URL, pool: httpcore2.AsyncConnectionPool, times: Times) -> None:
        self._url, self._pool = url, pool
        # Of a whole call its caller bounds the time; a pool that is left then closes what it had.
        self._times = {"timeout": {"connect": times.connect, "read": times.answer}}
        self._response: httpcore2.Response | None = None
        self._is_whole = False

    async def post(self, target: bytes, headers: Headers, body: bytes, *, method: bytes = b"POST") -> None:
        self._is_whole = False
        there = self._url
        url = httpcore2.URL(scheme=there.scheme, host=there.host, port=there.port, target=target)
        request = httpcore2.Request(method, url, headers=list(headers), content=body, extensions=self._times)
        response = self._response = await self._pool.handle_async_request(request)
        request.stream = ()  # it may hold files
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers}
        self._chunks = cast(AsyncGenerator[bytes, None], aiter(cast(AsyncIterable[bytes], response.stream)))

    async def read(self) -> bytes:
        data = b"" if self._is_whole else await anext(self._chunks, b"")
        if not data and not self._is_whole:
            self._is_whole = True
            await self._end()
        return data

    def is_usable(self) -> bool:
        return self._is_whole

    async def aclose(self) -> None:
        await self._end()
        await self._pool.aclose()

    async def _end(self) -> None:
        if response := self._response:
            self._response = None
            await self._chunks.aclose()
            await response.aclose()
