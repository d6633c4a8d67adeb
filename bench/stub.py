"""A model server that answers at once, in OpenAI's format: `python -m bench.stub PORT`.

Written on the transport itself, so that it takes a small part of the cores that the measured process shares with it.
"""

import asyncio
import json
import sys
from typing import Any, cast

import uvloop

WORDS = "Here is a short answer of twelve words from the stub model."
_BASE = {"id": "chatcmpl-stub", "created": 1700000000, "model": "stub-model"}
_USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}


def _plain() -> bytes:
    message = {"role": "assistant", "content": WORDS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(_BASE | {"object": "chat.completion", "choices": [choice], "usage": _USAGE}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _chunk(data: str) -> bytes:
    event = f"data: {data}\n\n".encode()
    return f"{len(event):x}\r\n".encode() + event + b"\r\n"


def _piece(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _chunk(json.dumps(_BASE | {"object": "chat.completion.chunk", "choices": [choice]}))


def _streamed() -> list[bytes]:
    """One write a piece, as real servers do."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    words = [_piece({"content": word if index == 0 else f" {word}"}) for index, word in enumerate(WORDS.split())]
    usage: dict[str, Any] = {"object": "chat.completion.chunk", "choices": [], "usage": _USAGE}
    end = [_piece({}, "stop"), _chunk(json.dumps(_BASE | usage)), _chunk("[DONE]") + b"0\r\n\r\n"]
    return [head + _piece({"role": "assistant", "content": ""}), *words, *end]


PLAIN = _plain()
STREAMED = _streamed()


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in the order they come."""

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (body := self._next_body()) is not None:
            if body and json.loads(body).get("stream"):
                for part in STREAMED:
                    self._transport.write(part)
            else:
                self._transport.write(PLAIN)

    def _next_body(self) -> bytes | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return None
        _, named, after = head.lower().partition(b"content-length:")
        length = int(after.split(b"\r\n", 1)[0]) if named else 0
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        return rest[:length]


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
