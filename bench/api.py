"""The run API under load, beside the floor and the stub alone."""

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from bench.load import Figures, Load, post
from bench.watch import Watch
from tests.servers import AppServer

CLIENTS = (1, 8, 32, 128)
_WARM_SECONDS = 4.0
_TOKEN_MARK = b'"token"'
_MESSAGE = json.dumps({"input_value": "Tell me about something interesting.", "input_type": "chat"}).encode()


@dataclass(frozen=True, slots=True)
class Pair:
    """Whole answers and streams of one server, by number of clients."""

    plain: Mapping[int, Figures]
    stream: Mapping[int, Figures]


def stub_loads(url: str) -> tuple[Load, Load]:
    """The stub alone, whole answers and streams: what of the figures belongs to it and to the load client."""
    address = f"{url}/v1/chat/completions"
    body = b'{"model": "stub-model", "messages": [], "stream": %s}'
    streamed = Load(address, post(address, body % b"true"), mark=b'"Here"')
    return Load(address, post(address, body % b"false")), streamed


def floor_loads(url: str, watch: Watch) -> tuple[Load, Load]:
    address = f"{url}/run"
    streamed = post(f"{address}?stream=true", _MESSAGE)
    return Load(url, post(address, _MESSAGE), watch=watch), Load(url, streamed, mark=_TOKEN_MARK, watch=watch)


def run_load(server: AppServer, token: str, *, stream: bool = False) -> Load:
    """Runs of the bench flow, each in a session of its own."""
    address = f"{server.url}/api/v1/run/bench" + ("?stream=true" if stream else "")
    watch, mark = Watch(server.pid) if server.process else None, _TOKEN_MARK if stream else None
    return Load(server.url, post(address, _MESSAGE, {"x-api-key": token}), mark=mark, watch=watch)


async def first_run(server: AppServer, token: str, *, deadline: float = 60) -> float:
    """Seconds from starting the process to the first successful run; the process stays up."""
    began = time.perf_counter()
    server.launch()
    try:
        await answered(run_load(server, token), deadline=deadline)
    except RuntimeError as error:
        raise RuntimeError(f"{error} The app printed:\n{server.log}") from error
    return time.perf_counter() - began


async def answered(load: Load, *, deadline: float = 60) -> None:
    """Returns when a request succeeds."""
    end = time.perf_counter() + deadline
    while time.perf_counter() < end:
        with suppress(OSError, RuntimeError):
            await load.once()
            return
        await asyncio.sleep(0.01)
    raise RuntimeError(f"No request succeeded within {deadline:.0f} s.")


async def measure_pair(plain: Load, stream: Load, *, seconds: float) -> Pair:
    """Every program has `_WARM_SECONDS` of both before its first load, as it is slow for its first second or two."""
    for load in (plain, stream):
        await load.warm_up(seconds=_WARM_SECONDS / 2)
    return Pair(
        {clients: await plain.measure(clients, seconds=seconds) for clients in CLIENTS},
        {clients: await stream.measure(clients, seconds=seconds) for clients in CLIENTS},
    )
