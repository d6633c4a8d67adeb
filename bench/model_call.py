"""What one call of a model's server costs, by client: `python -m bench.model_call`. Figures in docs/decisions.md.

All clients keep their connection and send the same bytes to the same stub, in rounds that take turns, so that a busy
machine slows all of them alike.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import cast

import httpcore2
import httptools
import httpx2
import uvloop

from bench.processes import process
from flowground.core.messages import Message
from flowground.providers.base import ModelCall
from flowground.providers.openai import OpenAI, OpenAISettings

Call = Callable[[], Awaitable[object]]
"""One request, its answer read to the end."""

CALL = ModelCall("stub-model", (Message("user", "Say something short."),), {"temperature": 0.1})
_BODY = {"model": "stub-model", "messages": [{"role": "user", "content": "Say something short."}], "temperature": 0.1}
_TIMES = {"timeout": {"connect": 10, "read": 60, "write": 60, "pool": 60}}


def body(*, stream: bool) -> bytes:
    return json.dumps(_BODY | ({"stream": True} if stream else {})).encode()


@asynccontextmanager
async def app(url: str, *, stream: bool) -> AsyncIterator[Call]:
    """What the app does: an answer in words at the end, not bytes only."""
    provider = OpenAI("stub", url, OpenAISettings(), key="sk-bench")

    async def call() -> None:
        if not stream:
            await provider.complete(CALL)
            return
        async with aclosing(provider.stream(CALL)) as pieces:
            async for _ in pieces:
                pass

    yield call
    await provider.close()


@asynccontextmanager
async def httpx2_client(url: str, *, stream: bool) -> AsyncIterator[Call]:
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:

        async def call() -> None:
            async with client.stream("POST", f"{url}/chat/completions", content=body(stream=stream)) as answer:
                await answer.aread()

        yield call


@asynccontextmanager
async def httpcore2_connection(url: str, *, stream: bool) -> AsyncIterator[Call]:
    """The layer below httpx2's client, without its pool and its requests."""
    address, sent = httpcore2.URL(f"{url}/chat/completions"), body(stream=stream)
    connection = httpcore2.AsyncHTTPConnection(address.origin, keepalive_expiry=30)
    headers = [(b"Host", f"{address.host.decode()}:{address.port}".encode()), (b"Content-Length", b"%d" % len(sent))]

    async def call() -> None:
        request = httpcore2.Request("POST", address, headers=headers, content=sent, extensions=_TIMES)
        connection.has_expired()
        answer = await connection.handle_async_request(request)
        async for _ in answer.aiter_stream():
            pass
        await answer.aclose()

    yield call
    await connection.aclose()


def _head(url: str, sent: bytes) -> tuple[str, int, bytes]:
    parts = httpx2.URL(f"{url}/chat/completions")
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.host}:{parts.port}\r\nContent-Length: {len(sent)}\r\n\r\n"
    return parts.host, cast(int, parts.port), head.encode() + sent


class _Parsed(asyncio.Protocol):
    """A connection whose answers httptools reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def ask(self, data: bytes) -> asyncio.Future[None]:
        self.parser = httptools.HttpResponseParser(self)
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport.write(data)
        return self.end

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        self.end.set_result(None)


@asynccontextmanager
async def raw_httptools(url: str, *, stream: bool) -> AsyncIterator[Call]:
    """The least there is: no errors told, one time limit, answers dropped as they are parsed."""
    host, port, sent = _head(url, body(stream=stream))
    transport, protocol = await asyncio.get_running_loop().create_connection(_Parsed, host, port)

    async def call() -> None:
        async with asyncio.timeout(60):
            await protocol.ask(sent)

    yield call
    transport.close()


CLIENTS = {
    "the app's provider": app,
    "httpx2, its client": httpx2_client,
    "httpcore2, one connection": httpcore2_connection,
    "asyncio protocol and httptools": raw_httptools,
}


async def measure(url: str, *, stream: bool, calls: int, rounds: int) -> dict[str, float]:
    """Client -> CPU time of one call in µs, the median of the rounds. One call at a time: CPU, not concurrency."""
    found: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        opened = {}
        for name, client in CLIENTS.items():
            opened[name] = await stack.enter_async_context(client(url, stream=stream))
            await opened[name]()
        for number in range(rounds):
            order = list(opened.items())
            for name, call in order if number % 2 else reversed(order):
                began = time.process_time()
                for _ in range(calls):
                    await call()
                found.setdefault(name, []).append((time.process_time() - began) / calls * 1e6)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.model_call", description=__doc__)
    parser.add_argument("--calls", type=int, default=300, help="in one round (default: 300)")
    parser.add_argument("--rounds", type=int, default=9, help="of each client, in turn (default: 9)")
    given = parser.parse_args()
    with process("bench.stub") as (stub, _):
        for stream in (False, True):
            found = uvloop.run(measure(f"{stub}/v1", stream=stream, calls=given.calls, rounds=given.rounds))
            print(f"\nCPU a {'streamed' if stream else 'whole'} answer, µs")
            for name, taken in found.items():
                print(f"  {name:32} {taken:6.0f}")


if __name__ == "__main__":
    main()
