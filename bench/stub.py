"""A model server that answers at once, in OpenAI's format: `python -m bench.stub PORT [PACE]`.

Whoever asks for something LONG gets 10,000 words, PACE of them a second.

Written on the transport itself, so that it takes a small part of the cores that the measured process shares with it.
"""

import asyncio
import json
import sys
from typing import Any, cast

import uvloop

WORDS = "Here is a short answer of twelve words from the stub model."
LONG_ANSWER = "LONG"
LONG_WORDS = 10_000
LAST_LONG_WORDS = "These are the very last words."
_STEP = 0.02
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


def _begin() -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + _piece({"role": "assistant", "content": ""})


def _end() -> list[bytes]:
    usage: dict[str, Any] = {"object": "chat.completion.chunk", "choices": [], "usage": _USAGE}
    return [_piece({}, "stop"), _chunk(json.dumps(_BASE | usage)), _chunk("[DONE]") + b"0\r\n\r\n"]


def _streamed() -> list[bytes]:
    """One write a piece, as real servers do."""
    words = [_piece({"content": word if index == 0 else f" {word}"}) for index, word in enumerate(WORDS.split())]
    return [_begin(), *words, *_end()]


def write_long() -> list[str]:
    """The words of a long answer, each with what follows it: paragraphs, some bold words, a list now and then."""
    words = []
    for number in range(LONG_WORDS - len(LAST_LONG_WORDS.split())):
        word = f"**word{number}**" if number % 17 == 0 else f"word{number}"
        words.append(
            word + ("\n\n" if number % 80 == 79 else "\n- " if number % 400 > 360 and number % 8 == 0 else " ")
        )
    return [*words, *(f"{word} " for word in LAST_LONG_WORDS.split())]


PLAIN = _plain()
STREAMED = _streamed()
_LONG_PIECES = [_piece({"content": word}) for word in write_long()]


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in the order they come."""

    def __init__(self, pace: float) -> None:
        self._buffer = b""
        self._pace = pace
        self._writing: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (body := self._next_body()) is not None:
            asked = json.loads(body) if body else {}
            if LONG_ANSWER in str(asked.get("messages", "")):
                self._writing = asyncio.get_running_loop().create_task(self._write_long())
            elif asked.get("stream"):
                for part in STREAMED:
                    self._transport.write(part)
            else:
                self._transport.write(PLAIN)

    async def _write_long(self) -> None:
        """Never faster than the pace; some words at once when a clock's step is longer than a word's."""
        clock = asyncio.get_running_loop()
        began, written = clock.time(), 0
        self._transport.write(_begin())
        while written < len(_LONG_PIECES):
            due = min(len(_LONG_PIECES), int((clock.time() - began) * self._pace))
            for piece in _LONG_PIECES[written:due]:
                self._transport.write(piece)
            written = max(written, due)
            await asyncio.sleep(_STEP)
        for part in _end():
            self._transport.write(part)

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


async def serve(port: int, pace: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(pace), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 500))
