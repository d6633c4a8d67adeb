"""A model server that says exactly the bytes a test gives it, and remembers what it was asked."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

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
