"""`python -m bench.conversations`: what conversations cost over their socket; prints a table. Not part of CI.

Bytes against the answer's size, CPU of the server a message and a second of a growing answer, messages a second of one
process, and how long a hundred people at a model of 50 tokens a second wait for their first word.
"""

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

from bench.load import percentile
from bench.watch import Watch
from tests.running import chat_flow
from tests.servers import AppServer

_WORDS = [f"word{number % 90 + 10} " for number in range(4_000)]
_SHORT = [f"word{number} " for number in range(12)]
_TALKS = [f"word{number} " for number in range(150)]
_PROVIDERS: dict[str, Any] = {
    "at60": {"type": "scripted", "pieces": _WORDS, "delay": 1 / 60},
    "at500": {"type": "scripted", "pieces": _WORDS, "delay": 1 / 500},
    "short": {"type": "scripted", "pieces": _SHORT},
    "talks": {"type": "scripted", "pieces": _TALKS, "delay": 1 / 50},
}
_CONFIG: dict[str, Any] = {"providers": _PROVIDERS, "limits": {"page_runs_per_minute": 0}}


@dataclass
class Said:
    """One message: seconds to the first text and to the end, and bytes that came for it."""

    first: float
    whole: float
    size: int


async def open_chat(server: AppServer, flow: str) -> tuple[ClientConnection, str]:
    """A socket with a new conversation open, and the conversation's id."""
    address = f"{server.url.replace('http', 'ws', 1)}/chat?flow={flow}"
    socket = await connect(address, origin=Origin(server.url), max_size=None, compression=None)
    session = str(uuid4())
    await socket.send(json.dumps({"type": "open", "session": session}))
    await socket.recv()
    return socket, session


async def say(socket: ClientConnection, session: str, text: str = "What is the interesting thing here?") -> Said:
    began, first, size = time.perf_counter(), 0.0, 0
    await socket.send(json.dumps({"type": "say", "id": str(uuid4()), "session": session, "text": text}))
    while True:
        frame = await socket.recv(decode=False)
        size += len(frame) + (2 if len(frame) < 126 else 4)
        if not first and b'"type":"text"' in frame:
            first = time.perf_counter() - began
        if b'"type":"ended"' in frame:
            return Said(first or time.perf_counter() - began, time.perf_counter() - began, size)
        if b'"type":"refused"' in frame:
            raise RuntimeError(frame.decode())


async def measure_growth(server: AppServer, flow: str, *, viewers: int = 1) -> tuple[float, float]:
    """Bytes as a multiple of the answer, and milliseconds of CPU for each second and viewer beyond the first."""
    socket, session = await open_chat(server, flow)
    others = [await open_chat(server, flow) for _ in range(viewers - 1)]
    for other, _ in others:
        await other.send(json.dumps({"type": "open", "session": session}))
        await other.recv()
    watch = Watch(server.pid)
    before = watch.cpu()
    said = await say(socket, session)
    used = watch.cpu() - before
    for other, _ in others:
        await other.close()
    await socket.close()
    return said.size / len("".join(_WORDS)), used * 1000 / said.whole


async def measure_messages(server: AppServer, *, sockets: int, count: int) -> tuple[float, float, float]:
    """Messages a second, milliseconds of CPU each, and the median milliseconds to the first text."""

    async def talk() -> list[float]:
        socket, session = await open_chat(server, "short")
        firsts = [(await say(socket, session)).first for _ in range(count)]
        await socket.close()
        return firsts

    await talk()
    watch = Watch(server.pid)
    before, began = watch.cpu(), time.perf_counter()
    found = await asyncio.gather(*(talk() for _ in range(sockets)))
    taken, used = time.perf_counter() - began, watch.cpu() - before
    number = sockets * count
    return number / taken, used * 1000 / number, percentile([each for firsts in found for each in firsts], 50) * 1000


async def measure_crowd(server: AppServer, *, people: int) -> list[float]:
    """Milliseconds to the first text of each, who begin within two seconds and say three things."""

    async def chat() -> list[float]:
        socket, session = await open_chat(server, "talks")
        found = []
        for _ in range(3):
            await asyncio.sleep(random.uniform(0, 2))
            found.append((await say(socket, session)).first * 1000)
        await socket.close()
        return found

    return [each for found in await asyncio.gather(*(chat() for _ in range(people))) for each in found]


async def measure(server: AppServer, given: argparse.Namespace) -> list[str]:
    """The table's rows."""
    fast, _ = await measure_growth(server, "at500")
    slow, alone = await measure_growth(server, "at60")
    _, watched = await measure_growth(server, "at60", viewers=11)
    a_second, cpu, first = await measure_messages(server, sockets=8, count=given.messages)
    crowd = await measure_crowd(server, people=given.people)
    return [
        f"| bytes of a 4,000-word answer at 500 words/s | {fast:.2f} × its size | ≤ 2 |",
        f"| the same at 60 words/s | {slow:.2f} × its size | ≤ 5 |",
        f"| CPU a second of a 60 words/s answer, its run included | {alone:.1f} ms | – |",
        f"| each further viewer, a second | {(watched - alone) / 10:.2f} ms | ≤ 1 ms |",
        f"| CPU a 12-word message | {cpu:.2f} ms | ≤ 3 ms |",
        f"| messages a second of one process, 8 sockets | {a_second:.0f} | ≥ 60 |",
        f"| send to first text, p50, 8 sockets at full speed | {first:.0f} ms | – |",
        f"| send to first text, p95, {given.people} people, 50 tokens/s | {percentile(crowd, 95):.0f} ms | ≤ 500 ms |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--messages", type=int, default=50, help="of each of eight sockets")
    given = parser.parse_args()
    flows = {name: chat_flow(f"{name}:echo", name) for name in _PROVIDERS}
    with tempfile.TemporaryDirectory() as folder, AppServer(Path(folder), config=_CONFIG, flows=flows) as server:
        rows = asyncio.run(measure(server, given))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print("\n".join(("| what | measured | mark |", "| --- | --- | --- |", *rows, "", f"Load of the machine: {load}.")))


if __name__ == "__main__":
    main()
