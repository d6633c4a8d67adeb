"""A model server that calls three tools, then answers, in OpenAI's format: `python -m bench.agent_stub PORT [PERCENT]`.

PERCENT of the calls fail, each in the next of several ways, repeats of a call among them.
"""

import asyncio
import json
import sys
from itertools import count
from typing import cast

import uvloop

ANSWER = "Six times seven is 42."
_HEAD = "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"


def _write(status: str, body: str) -> bytes:
    return (_HEAD.format(status=status, length=len(body)) + body).encode()


def _answer(message: dict[str, object], finish: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
    usage = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42}
    whole = {"id": "chatcmpl-stub", "object": "chat.completion", "created": 1700000000, "model": "stub-model"}
    return _write("200 OK", json.dumps(whole | {"choices": [choice], "usage": usage}))


_CALLS = [
    {"id": f"call_{at}", "type": "function", "function": {"name": "Calculator", "arguments": '{"expression": "6*7"}'}}
    for at in range(3)
]
CALLING = _answer({"content": None, "tool_calls": _CALLS}, "tool_calls")
SAYING = _answer({"content": ANSWER}, "stop")
FAILURES = (
    _write("500 Internal Server Error", '{"error": {"message": "The stub fails."}}'),
    _write("400 Bad Request", '{"error": {"message": "The stub refuses."}}'),
    _write("200 OK", '{"choices": ['),
    _write("429 Too Many Requests", '{"error": {"message": "The stub is busy."}}'),
    b"",
)
"""An empty one: the connection is closed without an answer."""


class Turns:
    """Which call fails, and how: evenly, and so the same in every measurement."""

    def __init__(self, percent: float) -> None:
        self._every = round(100 / percent) if percent else 0
        self._asked = count(1)

    def answer(self, body: bytes) -> bytes:
        """What this call is answered; empty where it is cut."""
        number = next(self._asked)
        if self._every and number % self._every == 0:
            return FAILURES[number // self._every % len(FAILURES)]
        return SAYING if json.loads(body)["messages"][-1]["role"] == "tool" else CALLING


class AgentConnection(asyncio.Protocol):
    """One keep-alive connection; requests are answered in the order they come."""

    def __init__(self, turns: Turns) -> None:
        self._buffer, self._turns = b"", turns

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0) if found else 0
        if not found or len(rest) < length:
            return
        self._buffer = rest[length:]
        if answer := self._turns.answer(rest[:length]):
            self._transport.write(answer)
        else:
            self._transport.close()


async def serve(port: int, percent: float) -> None:
    turns = Turns(percent)
    server = await asyncio.get_running_loop().create_server(lambda: AgentConnection(turns), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1))
