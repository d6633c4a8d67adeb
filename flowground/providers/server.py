"""One HTTP server that answers POSTs: kept connections, typed failures, few and short repeats.

This is the hot path, so requests go to httpcore2's connections themselves. httpx2 would add cookies, redirects,
authentication flows and header merges to every call: `python -m bench.model_call` measures it (docs/decisions.md). Only
this file and `lanes.py` know what carries a call.
"""

import asyncio
import email.utils
import random
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast

import httpcore2
import httpx2

from flowground.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from flowground.providers.chat_format import read_error
from flowground.providers.lanes import AT_ONCE, Lane, Lanes, convert_url
from flowground.words import cut

_BROKEN = (
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.TimeoutException,
    httpx2.DecodingError,
    OSError,
)
_CONNECT_SECONDS = 10.0
_FIRST_WAIT = 0.25
_LONGEST_WAIT = 4.0
_ERROR_BYTES = 65_536
_SAID_CHARS = 300


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
        self._address = convert_url(url)
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
        # Before the whole time is up: httpcore2 closes what it gives up itself, but not what it is taken from.
        self._connect_seconds = min(timeout * 0.9, _CONNECT_SECONDS)
        self._times = {
            "timeout": {"connect": self._connect_seconds, "read": timeout, "write": timeout, "pool": timeout}
        }

    @asynccontextmanager
    async def post(self, body: bytes, *, is_streamed: bool, most_bytes: int) -> AsyncGenerator["ServerAnswer", None]:
        """A successful answer: all of it as `data`, or its head where it is to be streamed and the server does so.

        `data` may have a little more than `most_bytes`, and is not all then. Leaving before the end closes the
        connection, which tells the server to stop. Raises ProviderErrors.
        """
        lanes = self._lanes = self._lanes or Lanes(self._url, trust_env=self._trust_env)
        try:
            lane = await lanes.take(patience=self._seconds)
        except TimeoutError:
            raise NoFreeLane(
                f"All {AT_ONCE} calls that provider {self._name!r} may have at once are under way, and none ended "
                f"within {self._seconds:g} seconds.",
                retry_after=1,
                hint="Try again a little later.",
            ) from None
        try:
            answer = await self._send(lane, body, is_streamed=is_streamed, most_bytes=most_bytes)
            async with aclosing(answer.response), aclosing(answer.chunks):
                if answer.is_refusal:
                    raise self._explain_refusal(answer)
                yield answer
        finally:
            await lanes.give(lane)

    async def close(self) -> None:
        """Closes the connections."""
        if self._lanes:
            await self._lanes.close()

    def clean(self, said: str) -> str:
        """A server's words on one line, short, without our key and address (some servers repeat them)."""
        for secret in self._secrets:
            said = said.replace(secret, "…")
        return cut(" ".join(said.split()), _SAID_CHARS)

    async def _send(self, lane: Lane, body: bytes, *, is_streamed: bool, most_bytes: int) -> "ServerAnswer":
        """Where reading ends early, httpcore2 has closed the response."""
        request = httpcore2.Request(
            b"POST",
            self._address,
            headers=[*self._headers, (b"Content-Length", b"%d" % len(body))],
            content=body,
            extensions=self._times,
        )
        answer = None
        try:
            async with asyncio.timeout(self._seconds):
                answer = ServerAnswer(await lane.handle_async_request(request), self._explain)
                if answer.is_json or answer.is_refusal or not is_streamed:
                    await answer.read(_ERROR_BYTES if answer.is_refusal else most_bytes)
        except _BROKEN as error:
            if not answer or not answer.is_refusal:  # that one tells enough by its status
                raise self._explain(error) from None
        return answer

    def _explain_refusal(self, answer: "ServerAnswer") -> ProviderError:
        status = answer.response.status
        said, code = read_error(answer.data)
        end = f": {self.clean(said)}" if said else "."
        message = f"The provider {self._name!r} answered with status {status}{end}"
        later = read_retry_after(answer.headers.get(b"retry-after", b"").decode("latin-1"))
        if status == 429 and code != "insufficient_quota":
            return ProviderBusy(message, status=status, retry_after=later)
        return ProviderRefused(message, status=status, retry_after=later, hint=self._advise(status))

    def _advise(self, status: int) -> str | None:
        if status in (401, 403):
            return f"Check `providers.{self._name}.api_key` in config.yaml."
        if status == 404:
            return f"Check the model's name and `providers.{self._name}.base_url` in config.yaml."
        return None

    def _explain(self, error: Exception) -> ProviderError:
        if refused := _find_certificate_error(error):
            return CertificateRefused(
                f"The certificate of provider {self._name!r} is not trusted: {refused.verify_message}.",
                hint=f"Check that `providers.{self._name}.base_url` in config.yaml names the server as its certificate "
                "does. For an authority of your own, name its certificates in SSL_CERT_FILE.",
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
    """One answer, whose body comes in `chunks`; `data` is what `read` took of it."""

    def __init__(self, response: httpcore2.Response, explain: Callable[[Exception], ProviderError]) -> None:
        self.response = response
        self.is_refusal = not 200 <= response.status < 300
        self.data = bytearray()
        self.headers = {name.lower(): value for name, value in response.headers}
        self.is_json = self.headers.get(b"content-type", b"").startswith(b"application/json")
        self._explain = explain
        # Compression is refused in the request's headers; a server that compresses all the same costs a decoder.
        chunks = _decode(response) if b"content-encoding" in self.headers else aiter(cast(Any, response.stream))
        self.chunks = cast(AsyncGenerator[bytes, None], chunks)

    async def read_chunk(self) -> bytes | None:
        """The next bytes, None at the end. Raises ProviderErrors."""
        try:
            return await anext(self.chunks, None)
        except _BROKEN as error:
            raise self._explain(error) from None

    async def read(self, most: int) -> None:
        """Takes the whole body, or not much more than `most` bytes of it."""
        while len(self.data) <= most and (chunk := await self.read_chunk()) is not None:
            self.data += chunk


def _decode(response: httpcore2.Response) -> AsyncGenerator[bytes, None]:
    return httpx2.Response(response.status, headers=response.headers, content=response.stream).aiter_bytes()


class Patience:
    """Repeats of one call: at most `retries`, at most four seconds of waiting in all."""

    def __init__(self, retries: int) -> None:
        self._left = retries
        self._pause = _FIRST_WAIT
        self._waited = 0.0

    async def wait(self, error: ProviderError) -> None:
        """Waits before the next try, or raises `error` when another one would not help or would last too long."""
        is_passing = isinstance(error, ProviderBusy | ProviderUnreachable) or (error.status or 0) >= 500
        is_lasting = isinstance(error, NoFreeLane | CertificateRefused)
        pause = error.retry_after if error.retry_after is not None else self._pause * random.uniform(0.5, 1)  # noqa: S311 -- spreads callers
        if not is_passing or is_lasting or self._left <= 0 or self._waited + pause > _LONGEST_WAIT:
            raise error
        self._left -= 1
        self._waited += pause
        self._pause *= 2
        await asyncio.sleep(pause)


def _find_certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """The certificate's part in a failed connection, however deep it was wrapped."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def read_retry_after(value: str) -> float | None:
    """Seconds of a `Retry-After` header, which is a number or a date (RFC 9110, 10.2.3)."""
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
