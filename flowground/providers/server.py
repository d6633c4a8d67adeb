"""Calls to one model server over HTTP: kept connections, typed failures, few and short retries.

Requests use connections directly: an HTTP client would add cookies, redirects, authentication flows and merged headers
to every call. Only this module and `connection.py` know the transport.
"""

import asyncio
import email.utils
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import httpcore2
import httpx2

from flowground.core.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.core.words import cut, end_sentence
from flowground.providers.connection import AT_ONCE, BROKEN, Connection, ConnectionPool
from flowground.providers.egress import USUAL_EGRESS, EgressSettings, find_certificate_error
from flowground.providers.event_stream import read_error

_CONNECT_SECONDS = 10.0
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 4.0
_ERROR_BYTES = 65_536
_SAID_CHARS = 300
BUSY = (429, 529)
"""529 is Anthropic's "overloaded"."""


class NoFreeConnection(ProviderBusy):
    """All connections are in use, and none became free in time: the server itself is the busy one."""


class CertificateRefused(ProviderUnreachable):
    """The server's certificate is not trusted for its name; a retry would fail too."""


class Server:
    """One server. `name` is the provider's name in config.yaml, for messages; these never contain `api_key` or `url`.

    The key is sent in `key_header`; `headers` are sent with every call; `advice` begins the hint where nothing answers.
    Lives on one event loop; the first call opens the connections; `egress` is how calls leave this process.
    """

    def __init__(
        self,
        name: str,
        url: httpx2.URL,
        *,
        api_key: str | None,
        timeout: float,
        advice: str = "Check",
        key_header: bytes = b"Authorization",
        headers: Iterable[tuple[bytes, bytes]] = (),
        egress: EgressSettings = USUAL_EGRESS,
    ) -> None:
        self._name = name
        self._url = url
        self._secrets = [word for word in (api_key, str(url), url.raw_path.decode()) if word and len(word) > 1]
        self._hint = f"{advice} `providers.{name}.base_url` in config.yaml and that the server runs."
        self._egress = egress
        self._pool: ConnectionPool | None = None
        self._headers = [
            (b"Host", url.netloc),
            (b"User-Agent", b"flowground"),
            (b"Accept-Encoding", b"identity"),
            (b"Content-Type", b"application/json"),
        ]
        self._headers += headers
        if api_key:
            bearer = b"Bearer " if key_header == b"Authorization" else b""
            self._headers.append((key_header, bearer + api_key.encode()))
        self._seconds = timeout
        # Shorter than the whole timeout, so that the error says that no connection became free.
        self._connect_seconds = min(timeout * 0.9, _CONNECT_SECONDS)

    @asynccontextmanager
    async def post(
        self, body: bytes, *, is_streamed: bool, most_bytes: int, target: bytes | None = None, method: bytes = b"POST"
    ) -> AsyncGenerator["ServerAnswer", None]:
        """A successful answer: all of it in `data`, or only its head where the server streams it.

        `target` is a path with its query, where it is not the server's own. `data` may be cut a little after
        `most_bytes`. Leaving the block early closes the connection, which tells the server to stop. Raises
        ProviderErrors.
        """
        pool = self._pool or self._open_pool()
        try:
            connection = await pool.acquire(timeout=self._seconds)
        except TimeoutError:
            raise NoFreeConnection(
                f"All {AT_ONCE} calls that provider {self._name!r} may have at once are under way, and none ended "
                f"within {self._seconds:g} seconds.",
                retry_after=1,
                hint="Try again a little later.",
            ) from None
        try:
            asked = (method, target or self._url.raw_path)
            answer = await self._send(connection, body, asked, is_streamed=is_streamed, most_bytes=most_bytes)
            del body  # it may hold files: freed while the answer lasts
            if answer.is_refusal:
                raise self._explain_refusal(answer)
            yield answer
        finally:
            await pool.release(connection)

    def _open_pool(self) -> ConnectionPool:
        self._pool = ConnectionPool(self._url, self._egress, (self._connect_seconds, self._seconds))
        return self._pool

    async def close(self) -> None:
        """Closes the connections."""
        if self._pool:
            await self._pool.close()

    def clean(self, text: str) -> str:
        """A server's words as one short sentence, without our key and URL (some servers repeat them)."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return end_sentence(cut(" ".join(text.split()), _SAID_CHARS))

    async def _send(
        self, connection: Connection, body: bytes, asked: tuple[bytes, bytes], *, is_streamed: bool, most_bytes: int
    ) -> "ServerAnswer":
        headers = [*self._headers, (b"Content-Length", b"%d" % len(body))]
        answer = None
        try:
            async with asyncio.timeout(self._seconds):
                await connection.post(asked[1], headers, body, method=asked[0])
                answer = ServerAnswer(connection, self._explain)
                if answer.is_json or answer.is_refusal or not is_streamed:
                    await answer.read(_ERROR_BYTES if answer.is_refusal else most_bytes)
        except BROKEN as error:
            if not answer or not answer.is_refusal:  # the status of a refusal tells enough
                raise self._explain(error) from None
        return answer

    def _explain_refusal(self, answer: "ServerAnswer") -> ProviderError:
        status = answer.status
        reason, code = read_error(answer.data)
        end = f": {self.clean(reason)}" if reason else "."
        message = f"The provider {self._name!r} answered with status {status}{end}"
        if code == "content_filter":
            return ProviderRefused(
                f"The provider {self._name!r} does not answer this: its content filter refused it.",
                status=status,
                hint="Say it in other words, or change the filter at the provider.",
            )
        later = read_retry_after(answer.headers.get(b"retry-after", b"").decode("latin-1"))
        if status in BUSY and code != "insufficient_quota":
            return ProviderBusy(message, status=status, retry_after=later)
        return ProviderRefused(message, status=status, retry_after=later, hint=self._advise(status))

    def _advise(self, status: int) -> str | None:
        if status in (401, 403):
            return f"Check `providers.{self._name}.api_key` in config.yaml."
        if status == 404:
            return f"Check the model's name and `providers.{self._name}.base_url` in config.yaml."
        return None

    def _explain(self, error: Exception) -> ProviderError:
        if refused := find_certificate_error(error):
            return CertificateRefused(
                f"The certificate of provider {self._name!r} is not trusted: {refused.verify_message}.",
                hint=f"Check that `providers.{self._name}.base_url` in config.yaml names the server as its certificate "
                "does. For an authority of your own, name its certificates in `outgoing.ca_file`.",
            )
        if isinstance(error, httpcore2.ConnectError | httpcore2.ProxyError):
            return ProviderUnreachable(f"Nothing answers at the address of provider {self._name!r}.", hint=self._hint)
        if isinstance(error, httpcore2.ConnectTimeout):
            return ProviderTimeout(
                f"The provider {self._name!r} did not accept a connection within {self._connect_seconds:g} seconds.",
                hint=self._hint,
            )
        if isinstance(error, httpcore2.TimeoutException | TimeoutError):
            return self.explain_timeout()
        return ProviderUnreachable(f"The connection to provider {self._name!r} broke.", hint=self._hint)

    def explain_timeout(self) -> ProviderTimeout:
        return ProviderTimeout(
            f"The provider {self._name!r} did not answer within {self._seconds:g} seconds.",
            hint=f"`providers.{self._name}.timeout` in config.yaml sets the time.",
        )


class ServerAnswer:
    """The answer to a connection's last call; `data` is the part of the body that `read` took."""

    def __init__(self, connection: Connection, explain: Callable[[Exception], ProviderError]) -> None:
        self.status, self.headers = connection.status, connection.headers
        self.is_refusal = not 200 <= connection.status < 300
        self.is_json = self.headers.get(b"content-type", b"").startswith(b"application/json")
        self.data = bytearray()
        self._explain = explain
        # The request's headers refuse compression; a server that compresses anyway costs a decoder.
        self._read = _decode(connection) if b"content-encoding" in self.headers else connection.read

    async def read_chunk(self) -> bytes:
        """The next bytes, none at the end. Raises ProviderErrors."""
        try:
            return await self._read()
        except BROKEN as error:
            raise self._explain(error) from None

    async def read(self, most: int) -> None:
        """Reads the whole body, or not much more than `most` bytes of it."""
        while len(self.data) <= most and (chunk := await self.read_chunk()):
            self.data += chunk


def is_outage(error: ProviderError) -> bool:
    """Whether a call failed because its server is unreachable, or busy for everybody."""
    failed = isinstance(error, ProviderBusy | ProviderUnreachable | ProviderTimeout) or (error.status or 0) >= 500
    return failed and not isinstance(error, NoFreeConnection)


class RetryPolicy:
    """Retries of one call: at most `retries`, each where `take_retry` allows it, after at most four seconds of
    waiting in total."""

    def __init__(self, retries: int, take_retry: Callable[[], bool] = lambda: True) -> None:
        self._left, self._take_retry = retries, take_retry
        self._pause = _FIRST_WAIT
        self._waited = 0.0

    async def wait(self, error: ProviderError) -> None:
        """Waits before the next try, or raises `error` where a retry would not help or the wait would be too long."""
        is_passing = is_outage(error) and not isinstance(error, ProviderTimeout)
        is_lasting = isinstance(error, CertificateRefused)
        pause = error.retry_after if error.retry_after is not None else self._pause * random.uniform(0.5, 1)  # noqa: S311 -- spreads callers
        is_over = is_lasting or self._left <= 0 or self._waited + pause > _LONGEST_WAIT
        if not is_passing or is_over or not self._take_retry():
            raise error
        self._left -= 1
        self._waited += pause
        self._pause *= 2
        await asyncio.sleep(pause)


def read_retry_after(value: str) -> float | None:
    """Seconds of a `Retry-After` header, which is a number or a date (RFC 9110, 10.2.3)."""
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _decode(connection: Connection) -> Callable[[], Awaitable[bytes]]:
    """A function that reads the body of a compressed answer."""

    async def receive() -> AsyncGenerator[bytes, None]:
        while data := await connection.read():
            yield data

    response = httpx2.Response(connection.status, headers=list(connection.headers.items()), content=receive())
    chunks = response.aiter_bytes()

    async def read() -> bytes:
        return await anext(chunks, b"")

    return read
