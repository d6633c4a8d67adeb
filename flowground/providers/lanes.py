"""Connections to one server, each of which serves one call at a time.

They are httpcore2's, the layer below httpx2's clients. A pool looks through all its connections at every call, twice,
and asks the system about each: at 32 calls at once that was a fifth of a run's CPU time. Here the connection used last
is taken again, whatever their number.
"""

import asyncio
import ssl
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from flowground.providers.sockets import AsyncioBackend

Lane = httpcore2.AsyncHTTPConnection | httpcore2.AsyncConnectionPool
"""A connection; through a proxy a pool of one, which knows how to reach the server behind it."""

_KEPT_SECONDS = 30
AT_ONCE = 256
"""Calls under way at most; more wait their turn."""
_KEPT = 128
"""Idle connections kept at most."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Lanes:
    """Lives on one event loop. `trust_env` False ignores proxies and certificates named by the environment."""

    def __init__(self, url: httpx2.URL, *, trust_env: bool) -> None:
        self._origin = convert_url(url).origin
        proxy = _find_proxy(url) if trust_env else None
        # Certificates are read once; a plain http address needs none.
        self._ssl = httpx2.create_ssl_context(trust_env=trust_env) if url.scheme == "https" or proxy else None
        self._proxy = _read_proxy(proxy, self._ssl) if proxy else None
        self._idle: list[Lane] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._is_closed = False

    async def take(self, *, patience: float) -> Lane:
        """A connection for one call; `give` it back when the answer is closed.

        Raises TimeoutError when for `patience` seconds all calls at once are under way.
        """
        if self._turns.locked():
            async with asyncio.timeout(patience):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        try:
            while self._idle:
                lane = self._idle.pop()
                if _is_usable(lane):
                    return lane
                await lane.aclose()
        except BaseException:
            self._turns.release()
            raise
        return self._open()

    async def give(self, lane: Lane) -> None:
        self._turns.release()
        if self._is_closed or len(self._idle) >= _KEPT or not _is_usable(lane):
            await lane.aclose()
        else:
            self._idle.append(lane)

    async def close(self) -> None:
        """Closes idle connections now, the others as they come back."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def _open(self) -> Lane:
        kept: dict[str, Any] = {"keepalive_expiry": _KEPT_SECONDS, "network_backend": AsyncioBackend()}
        if self._proxy is None:
            return httpcore2.AsyncHTTPConnection(self._origin, self._ssl, **kept)
        return httpcore2.AsyncConnectionPool(self._ssl, self._proxy, max_connections=1, **kept)


def convert_url(url: httpx2.URL) -> httpcore2.URL:
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _is_usable(lane: Lane) -> bool:
    """Whether it can serve another call: it is open, was not closed by its server, and was idle for less than 30 s."""
    return isinstance(lane, httpcore2.AsyncConnectionPool) or (lane.is_available() and not lane.has_expired())


def _read_proxy(address: str, context: ssl.SSLContext | None) -> httpcore2.Proxy:
    """A proxy as the environment names it, with name and password of its address."""
    proxy = httpx2.Proxy(address)
    secure = context if proxy.url.scheme == "https" else None
    return httpcore2.Proxy(convert_url(proxy.url), auth=proxy.raw_auth, ssl_context=secure)


def _find_proxy(url: httpx2.URL) -> str | None:
    """The environment's proxy for the address, as httpx2's client would find it; never for loopback."""
    if url.host in _LOOPBACK or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all") or None
