"""A closed loop of clients over raw HTTP/1.1: light, so that the measured process gets the cores."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from bench.watch import Watch


@dataclass(frozen=True, slots=True)
class Figures:
    """One load. Times in milliseconds; `first` is the first token of a stream; `cpu` is per request."""

    clients: int
    count: int
    errors: int
    p50: float
    p95: float
    per_second: float
    first: float | None
    cpu: float | None


class _Client(asyncio.Protocol):
    """One keep-alive connection that has one request under way."""

    def __init__(self, mark: bytes | None) -> None:
        self._mark = mark
        self._done: asyncio.Future[float | None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of asyncio's

    def ask(self, request: bytes) -> "asyncio.Future[float | None]":
        """Resolves, when the answer is whole, with the moment at which the mark was seen."""
        self._buffer = bytearray()
        self._body_at: int | None = None
        self._whole_at: int | None = None
        self._first: float | None = None
        self._done = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._done

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._mark and self._first is None and self._mark in self._buffer:
            self._first = time.perf_counter()
        if self._body_at is None and (at := self._buffer.find(b"\r\n\r\n")) >= 0:
            self._body_at = at + 4
            _, named, after = bytes(self._buffer[:at]).lower().partition(b"content-length:")
            self._whole_at = self._body_at + int(after.split(b"\r\n", 1)[0]) if named else None
        if self._body_at is not None and self._is_whole():
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(exc or ConnectionError("closed in the middle of an answer"))

    def close(self) -> None:
        self._transport.close()

    def _is_whole(self) -> bool:
        if self._whole_at is not None:
            return len(self._buffer) >= self._whole_at
        return self._buffer.endswith(b"0\r\n\r\n")

    def _finish(self) -> None:
        assert self._done is not None
        if self._buffer.startswith(b"HTTP/1.1 200"):
            self._done.set_result(self._first)
        else:
            self._done.set_exception(RuntimeError(bytes(self._buffer[:2000]).decode("utf-8", "replace")))


def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """The bytes of one request."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = {"host": parts.netloc, "content-type": "application/json", "content-length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in (lines | (headers or {})).items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass(slots=True)
class Load:
    """What is asked: one request's bytes, sent again and again; `mark` is what the first token looks like."""

    url: str
    request: bytes
    mark: bytes | None = None
    watch: Watch | None = None

    async def once(self) -> None:
        """One request on a connection of its own. Raises when it is not answered with 200."""
        client = await self._connect()
        try:
            await client.ask(self.request)
        finally:
            client.close()

    async def warm_up(self, *, seconds: float) -> None:
        """One client asks for so long, and nothing is counted."""
        client = await self._connect()
        await self._run([client], seconds)
        client.close()

    async def measure(self, clients: int, *, seconds: float) -> Figures:
        """`clients` connections, each asking again as soon as it is answered. Raises when the first answer fails."""
        connections = [await self._connect() for _ in range(clients)]
        await connections[0].ask(self.request)
        await self._run(connections, min(seconds, 0.5))  # warms up
        cpu = self.watch.cpu() if self.watch else 0
        began = time.perf_counter()
        taken, firsts, errors = await self._run(connections, seconds)
        lasted = time.perf_counter() - began
        used = (self.watch.cpu() - cpu) * 1000 / len(taken) if self.watch else None
        for connection in connections:
            connection.close()
        return Figures(
            clients=clients,
            count=len(taken),
            errors=errors,
            p50=percentile(taken, 50) * 1000,
            p95=percentile(taken, 95) * 1000,
            per_second=len(taken) / lasted,
            first=percentile(firsts, 50) * 1000 if firsts else None,
            cpu=used,
        )

    async def _connect(self) -> _Client:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        _, client = await asyncio.get_running_loop().create_connection(lambda: _Client(self.mark), host, port)
        return client

    async def _run(self, connections: list[_Client], seconds: float) -> tuple[list[float], list[float], int]:
        taken: list[float] = []
        firsts: list[float] = []
        errors = 0
        end = time.perf_counter() + seconds

        async def ask_again(client: _Client) -> None:
            nonlocal errors
            while True:
                began = time.perf_counter()
                try:
                    first = await client.ask(self.request)
                except (RuntimeError, OSError):
                    errors += 1
                else:
                    taken.append(time.perf_counter() - began)
                    if first is not None:
                        firsts.append(first - began)
                if time.perf_counter() >= end:
                    return

        await asyncio.gather(*map(ask_again, connections))
        return taken, firsts, errors


async def take_turns(
    loads: Mapping[str, Load], clients: int, *, count: int, seconds: float
) -> dict[str, list[Figures]]:
    """`count` figures of each, measured in turn, the order changing, so that a busy machine hits all alike."""
    measured: dict[str, list[Figures]] = {name: [] for name in loads}
    for number in range(count):
        for name in list(loads) if number % 2 == 0 else reversed(list(loads)):
            measured[name].append(await loads[name].measure(clients, seconds=seconds))
    return measured


def percentile(values: list[float], at: float) -> float:
    """The value at or next to a percentile; the list must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(at / 100 * (len(ordered) - 1)))]
