"""Connections to one server, each of which serves one call at a time.

A pool, as clients have it, looks through all its connections at every call, twice, and asks the system about each: at
32 calls at once that was a fifth of a run's CPU time. Here the connection used last is taken again, however many are.
"""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.request import getproxies, proxy_bypass

import httpcore2
import httpx2

from flowground.providers.connection import KeptConnection, ProxiedConnection, Times
from flowground.providers.sockets import AsyncioBackend

Lane = KeptConnection | ProxiedConnection

AT_ONCE = 256
"""Calls under way at most; more wait their turn."""
_KEPT = 128
"""Idle connections kept at most."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Ways:
    """How calls leave this process, by `outgoing` of config.yaml.

    `proxy` is used instead of the environment's, never for loopback; `ca_file` has certificates that are trusted beside
    the usual ones. `trust_env` False ignores what the environment names.
    """

    proxy: str | None = None
    ca_file: Path | None = None
    trust_env: bool = True

    def find_proxy(self, url: httpx2.URL) -> str | None:
        """The proxy for an address; None where it is asked itself."""
        if url.host in _LOOPBACK:
            return None
        if self.proxy or not self.trust_env:
            return self.proxy
        return _find_proxy(url)

    def make_ssl(self) -> ssl.SSLContext:
        """Reads the certificates that are trusted: keep what it gives. Raises OSError where `ca_file` has none."""
        context = httpx2.create_ssl_context(trust_env=self.trust_env)
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        return context


USUAL_WAYS = Ways()


class Lanes:
    """Lives on one event loop."""

    def __init__(self, url: httpx2.URL, ways: Ways, times: Times) -> None:
        self._url, self._times = convert_url(url), times
        proxy = ways.find_proxy(url)
        # Certificates are read once; a plain http address needs none.
        self._ssl = ways.make_ssl() if url.scheme == "https" or proxy else None
        if self._ssl:
            self._ssl.set_alpn_protocols(["http/1.1"])
        self._proxy = read_proxy(proxy, self._ssl) if proxy else None
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
                if lane.is_usable():
                    return lane
                await lane.aclose()
        except BaseException:
            self._turns.release()
            raise
        return self._open()

    async def give(self, lane: Lane) -> None:
        self._turns.release()
        if self._is_closed or len(self._idle) >= _KEPT or not lane.is_usable():
            await lane.aclose()
        else:
            self._idle.append(lane)

    async def close(self) -> None:
        """Closes idle connections now, the others as they come back."""
        self._is_closed = True
        while self._idle:
            await self._idle.pop().aclose()

    def _open(self) -> Lane:
        if self._proxy is None:
            return KeptConnection(self._url.origin, self._ssl, self._times)
        backend = AsyncioBackend()
        pool = httpcore2.AsyncConnectionPool(self._ssl, self._proxy, max_connections=1, network_backend=backend)
        return ProxiedConnection(self._url, pool, self._times)


def convert_url(url: httpx2.URL) -> httpcore2.URL:
    return httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def read_proxy(address: str, context: ssl.SSLContext | None) -> httpcore2.Proxy:
    """A proxy as the environment or a setting names it, with name and password of its address."""
    proxy = httpx2.Proxy(address)
    secure = context if proxy.url.scheme == "https" else None
    return httpcore2.Proxy(convert_url(proxy.url), auth=proxy.raw_auth, ssl_context=secure)


def _find_proxy(url: httpx2.URL) -> str | None:
    """The environment's proxy for the address, as httpx2's client would find it."""
    if proxy_bypass(url.host):
        return None
    proxies = getproxies()
    return proxies.get(url.scheme) or proxies.get("all") or None
