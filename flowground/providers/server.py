"""One HTTP server that answers POSTs: kept connections, typed failures, few and short repeats.

This is the hot path, so requests go to httpx2's transport itself. Its client adds cookies, redirects, authentication
flows and a header merge to every call: measured, that doubles the CPU time of one (docs/decisions.md).
"""

import asyncio
import email.utils
import random
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import cast

import httpx2

from flowground.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.providers.chat_format import read_error
from flowground.providers.lanes import AT_ONCE, Lanes

_CONNECT_SECONDS = 10.0
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 4.0
_ERROR_BYTES = 65_536
_DRAIN_SECONDS = 0.25


class NoFreeLane(ProviderBusy):
    """As many calls as may be at once are under way, and none ended in time: it is this server that is busy."""


class CertificateRefused(ProviderUnreachable):
    """The server's certificate is not one we trust for its name; another try would meet the same one."""


class Server:
    """`name` is the provider's name in config.yaml, for messages; `api_key` and `url` never stand in one.

    Lives on one event loop; the transport opens with the first call. `trust_env` False ignores proxies and
    certificates named by the environment.
    """

    def __init__(
        self, name: str, url: httpx2.URL, *, api_key: str | None, timeout: float, hint: str, trust_env: bool = True
    ) -> None:
        self._name = name
        self._url = url
        self._secrets = [word for word in (api_key, str(url), url.raw_path.decode()) if word and len(word) > 1]
        self._hint = hint
        self._trust_env = trust_env
        self._lanes: Lanes | None = None
        self._headers = [
            (b"Host", url.netloc),
            (b"User-Agent", b"flowground"),
            (b"Accept-Encoding", b"identity"),
            (b"Content-Type", b"application/json"),
        ]
        if api_key:
            self._headers.append((b"Authorization", b"Bearer " + api_key.encode()))
        self._seconds = timeout
        # Before the whole time is up: httpx2 closes a connection that it gives up, but not one that it is taken from.
        self._connect_seconds = min(timeout * 0.9, _CONNECT_SECONDS)
        self._times = {
            "timeout": {"connect": self._connect_seconds, "read": timeout, "write": timeout, "pool": timeout}
        }

    async def post(self, body: bytes) -> "ServerAnswer":
        """A successful answer, its body still to come; the caller closes it. Raises ProviderErrors."""
        if self._lanes is None:
            self._lanes = Lanes(self._url, trust_env=self._trust_env)
        lanes = self._lanes
        try:
            lane = await lanes.take(patience=self._seconds)
        except TimeoutError:
            raise self._no_free_lane() from None
        deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._send(lane, body)
        except TimeoutError:
            await lanes.give(lane)
            raise self.timeout() from None
        except BaseException:
            await lanes.give(lane)
            raise
        answer = ServerAnswer(response, self._failure, closed=lambda: lanes.give(lane), deadline=deadline)
        if 200 <= response.status_code < 300:
            return answer
        async with aclosing(answer):
            raise await self._refusal(answer, response)

    async def close(self) -> None:
        """Closes the connections."""
        if self._lanes:
            lanes, self._lanes = self._lanes, None
            await lanes.close()

    def clean(self, said: str) -> str:
        """A server's words on one line, short, without our key and address (some servers repeat them)."""
        for secret in self._secrets:
            said = said.replace(secret, "…")
        said = " ".join(said.split())
        return said if len(said) <= 300 else said[:299] + "…"

    async def _send(self, lane: httpx2.AsyncHTTPTransport, body: bytes) -> httpx2.Response:
        request = httpx2.Request(
            "POST",
            self._url,
            headers=[*self._headers, (b"Content-Length", b"%d" % len(body))],
            stream=httpx2.ByteStream(body),
            extensions=self._times,
        )
        try:
            return await lane.handle_async_request(request)
        except (httpx2.HTTPError, OSError) as error:
            raise self._failure(error) from None

    async def _refusal(self, answer: "ServerAnswer", response: httpx2.Response) -> ProviderError:
        data = b""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(answer.deadline):
                while len(data) < _ERROR_BYTES and (chunk := await answer.chunk()) is not None:
                    data += chunk
        status = response.status_code
        said, code = read_error(data)
        message = f"The provider {self._name!r} answered with status {status}" + (
            f": {self.clean(said)}" if said else "."
        )
        later = retry_after(response.headers.get("retry-after"))
        if status == 429 and code != "insufficient_quota":
            return ProviderBusy(message, status=status, retry_after=later)
        return ProviderRefused(message, status=status, retry_after=later, hint=self._advice(status))

    def _advice(self, status: int) -> str | None:
        if status in (401, 403):
            return f"Check `providers.{self._name}.api_key` in config.yaml."
        if status == 404:
            return f"Check the model's name and `providers.{self._name}.base_url` in config.yaml."
        return None

    def _failure(self, error: Exception) -> ProviderError:
        if refused := _certificate_error(error):
            return CertificateRefused(
                f"The certificate of provider {self._name!r} is not trusted: {refused.verify_message}.",
                hint=f"Check that `providers.{self._name}.base_url` in config.yaml names the server as its certificate "
                "does. An authority of your own: name its certificates in SSL_CERT_FILE.",
            )
        if isinstance(error, httpx2.ConnectError | httpx2.ProxyError):
            return ProviderUnreachable(f"Nothing answers at the address of provider {self._name!r}.", hint=self._hint)
        if isinstance(error, httpx2.ConnectTimeout):
            return ProviderTimeout(
                f"The provider {self._name!r} took no connection within {self._connect_seconds:g} seconds.",
                hint=self._hint,
            )
        if isinstance(error, httpx2.TimeoutException):
            return self.timeout()
        return ProviderUnreachable(f"The connection to provider {self._name!r} broke.", hint=self._hint)

    def timeout(self) -> ProviderTimeout:
        return ProviderTimeout(
            f"The provider {self._name!r} did not answer within {self._seconds:g} seconds.",
            hint=f"`providers.{self._name}.timeout` in config.yaml sets the time.",
        )

    def _no_free_lane(self) -> NoFreeLane:
        return NoFreeLane(
            f"All {AT_ONCE} calls that provider {self._name!r} may have at once are under way, and none ended within "
            f"{self._seconds:g} seconds.",
            retry_after=1,
            hint="Try again a little later.",
        )


class ServerAnswer:
    """The body of one answer. Closing it early closes the connection, which tells the server to stop.

    `closed` is awaited once, when nothing of the answer is wanted any more. `deadline` is the loop's time at which the
    call's time is up, for those who want the whole of it.
    """

    def __init__(
        self,
        response: httpx2.Response,
        failure: Callable[[Exception], ProviderError],
        *,
        closed: Callable[[], Awaitable[None]],
        deadline: float,
    ) -> None:
        self.deadline = deadline
        self.is_json = response.headers.get("content-type", "").startswith("application/json")
        self._stream = cast(httpx2.AsyncByteStream, response.stream)
        self._failure = failure
        self._closed: Callable[[], Awaitable[None]] | None = closed
        # Compression is refused in the request's headers; a server that compresses all the same costs a decoder.
        chunks = response.aiter_bytes() if "content-encoding" in response.headers else aiter(self._stream)
        self._chunks = cast(AsyncGenerator[bytes, None], chunks)

    async def chunk(self) -> bytes | None:
        """The next bytes, None at the end. Raises ProviderErrors."""
        try:
            return await anext(self._chunks, None)
        except (httpx2.HTTPError, OSError) as error:
            raise self._failure(error) from None

    async def drain(self) -> None:
        """Reads on to the end, if that comes at once: only then can the connection serve another call."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while await self.chunk() is not None:
                    pass
        except (TimeoutError, ProviderError):
            pass  # what was wanted is here; the connection will be closed instead of kept

    async def aclose(self) -> None:
        try:
            await self._chunks.aclose()
        finally:
            try:
                await self._stream.aclose()
            finally:
                closed, self._closed = self._closed, None
                if closed:
                    await closed()


class Patience:
    """Repeats of one call: at most `retries`, at most four seconds of waiting in all."""

    def __init__(self, retries: int) -> None:
        self._left = retries
        self._pause = _FIRST_WAIT
        self._waited = 0.0

    async def wait(self, error: ProviderError) -> None:
        """Waits before the next try, or raises `error` when another one would not help or would last too long."""
        passing = isinstance(error, ProviderBusy | ProviderUnreachable) or (error.status or 0) >= 500
        lasting = isinstance(error, NoFreeLane | CertificateRefused)
        pause = error.retry_after if error.retry_after is not None else self._pause * random.uniform(0.5, 1)  # noqa: S311 -- spreads callers
        if not passing or lasting or self._left <= 0 or self._waited + pause > _LONGEST_WAIT:
            raise error
        self._left -= 1
        self._waited += pause
        self._pause *= 2
        await asyncio.sleep(pause)


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The certificate's part in a failed connection, however deep it was wrapped."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def retry_after(value: str | None) -> float | None:
    """Seconds of a `Retry-After` header, which is a number or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
