"""A model server that says exactly the bytes a test gives it, and remembers what it was asked.

Calls of a model's adapter: what it says, what its server is sent, and how it fails.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from flowground.core.errors import FlowgroundError
from flowground.core.messages import FilePart
from flowground.providers.base import Completion, ModelCall, Piece, Provider, ProviderContext, ProviderSettings

Part = bytes | float | asyncio.Barrier
"""Bytes to send; or seconds to wait before the next ones, or a barrier at which so many calls wait for each other."""

HANG_UP = b""
"""As the last part: close the connection after the answer."""


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: Any
    method: str = "POST"


@dataclass
class Wire:
    """Answers the calls in order, and the last answer again and again.

    `came` is set when a call has come, `left` when a client goes away early.
    """

    answers: Sequence[Sequence[Part]]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    url: str = ""
    came: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (asked := await _read(reader)) is not None:
                self.asked.append(asked)
                self.came.set()
                answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
                for part in answer:
                    if isinstance(part, bytes):
                        writer.write(part)
                        await writer.drain()
                    elif isinstance(part, asyncio.Barrier):
                        await part.wait()
                    elif await _left_within(part, reader):
                        self.left.set()
                        return
                if answer[-1] == HANG_UP:
                    return
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def wire(*answers: Sequence[Part], context: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Serves on loopback, encrypted with a `context`; `url` says http all the same."""
    said = Wire(answers)
    server = await asyncio.start_server(said._serve, "127.0.0.1", 0, ssl=context)
    said.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield said
    finally:
        server.close()


def whole(body: Any, *, status: str = "200 OK", headers: str = "Content-Type: application/json\r\n") -> bytes:
    """A full response; `body` is bytes or what JSON shall say."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(data)}\r\n\r\n".encode() + data


def chunked(*events: Any, end: bool = True) -> bytes:
    """The head and the events of a streamed answer; without `end` more is to come."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(event(body) for body in events) + (b"0\r\n\r\n" if end else b"")


def event(body: Any) -> bytes:
    """One event in one transfer chunk; bytes go as they are."""
    data = body if isinstance(body, bytes) else b"data: " + json.dumps(body).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


async def _left_within(seconds: float, reader: asyncio.StreamReader) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if reader.at_eof() or reader.exception():
            return True
        await asyncio.sleep(0.01)
    return False


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, *_ = first.split(" ")
    return Asked(path, headers, json.loads(body) if body else None, method)


Fault = TypeVar("Fault", bound=FlowgroundError)
Opened = AbstractAsyncContextManager[tuple[Provider, Wire]]


@asynccontextmanager
async def opening(
    kind: type[ProviderSettings], path: str, answers: Sequence[Sequence[Part]], settings: Mapping[str, Any]
) -> AsyncIterator[tuple[Provider, Wire]]:
    """A provider of this kind whose server, at this path of its own, answers so."""
    async with wire(*answers) as server:
        entry = kind.model_validate({"base_url": f"{server.url}{path}", **settings})
        provider = entry.open("mine", ProviderContext(Path()))
        try:
            yield provider, server
        finally:
            await provider.close()


async def hear(provider: Provider, call: ModelCall) -> list[Piece]:
    async with aclosing(provider.stream(call)) as pieces:
        return [piece async for piece in pieces]


async def hear_end(opened: Opened, call: ModelCall) -> Completion:
    """The end of a stream."""
    async with opened as (provider, _):
        end = (await hear(provider, call))[-1]
        assert isinstance(end, Completion)
        return end


async def find_sent(opened: Opened, call: ModelCall) -> Any:
    """The body that the server of a whole answer is sent."""
    async with opened as (provider, server):
        await provider.complete(call)
        return server.asked[0].body


async def fault_of(answer: Awaitable[object], kind: type[Fault]) -> Fault:
    with pytest.raises(kind) as fault:
        await answer
    return fault.value


async def faults_of(provider: Provider, call: ModelCall, kind: type[Fault]) -> list[Fault]:
    """What the plain and the streamed call raise."""
    calls = (fault_of(provider.complete(call), kind), fault_of(hear(provider, call), kind))
    return list(await asyncio.wait_for(asyncio.gather(*calls), 60))


def make_files() -> list[FilePart]:
    """A picture and a document, three bytes each."""

    async def read() -> bytes:
        return b"abc"

    return [FilePart(kind, kind, kind, 3, "", read) for kind in ("image/png", "application/pdf")]
