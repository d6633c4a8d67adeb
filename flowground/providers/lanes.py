"""Connections to one server, each in a transport of its own that serves one call at a time.

A pool looks through all its connections at every call, twice, and asks the system about each: at 32 calls at once that
was a fifth of a run's CPU time. Here the connection used last is taken again, whatever their number.
"""

import asyncio
from urllib.request import getproxies, proxy_bypass

import httpx2

_ONE = httpx2.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
AT_ONCE = 256
"""Calls under way at most; more wait their turn."""
_KEPT = 128
"""Idle connections kept at most."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Lanes:
    """Lives on one event loop. `trust_env` False ignores proxies and certificates named by the environment."""

    def __init__(self, url: httpx2.URL, *, trust_env: bool) -> None:
        self._trust_env = trust_env
        self._proxy = _proxy(url) if trust_env else None
        # Certificates are read once; a plain http address needs none.
        self._verify = httpx2.create_ssl_context(trust_env=trust_env) if url.scheme == "https" or self._proxy else False
        self._idle: list[httpx2.AsyncHTTPTransport] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._closed = False

    async def take(self, *, patience: float) -> httpx2.AsyncHTTPTransport:
        """A transport for one call; `give` it back when the answer is closed.

        Raises TimeoutError when for `patience` seconds all calls at once are under way.
        """
        if self._turns.locked():
            async with asyncio.timeout(patience):
                await self._turns.acquire()
        else:
            await self._turns.acquire()
        if self._idle:
            return self._idle.pop()
        return httpx2.AsyncHTTPTransport(verify=self._verify, limits=_ONE, proxy=self._proxy, trust_env=self._trust_env)

    async def give(self, lane: httpx2.AsyncHTTPTransport) -> None:
        self._turns.release()
        if self._closed or len(self._idle) >= _KEPT:
            await lane.aclose()
        else:
            self._idle.append(lane)

    async def close(self) -> None:
        """Closes idle connections now, the others as they come back."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()


def _proxy(url: httpx2.URL) -> str | None:
    """The environment's proxy for the address, as httpx2's client would find it; never for loopback."""
    if url.host in _LOOPBACK or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all") or None
