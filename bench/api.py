"""The run API under load, beside the floor and the stub alone."""

import asyncio
import json
import time
from collections.abc import Mapping
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


async def measure_stub(url: str, *, seconds: float) -> Pair:
    """The stub alone: what of the figures belongs to it and to the load client."""
    address = f"{url}/v1/chat/completions"

    def asking(stream: bool) -> Load:
        body = json.dumps({"model": "stub-model", "messages": [], "stream": stream}).encode()
        return Load(address, post(address, body), mark=b'"Here"' if stream else None)

    return await _both(asking(False), asking(True), seconds=seconds)


async def measure_floor(url: str, watch: Watch, *, seconds: float) -> Pair:
    return await _both(
        Load(f"{url}/run", post(f"{url}/run", _MESSAGE), watch=watch),
        Load(f"{url}/run", post(f"{url}/run?stream=true", _MESSAGE), mark=_TOKEN_MARK, watch=watch),
        seconds=seconds,
    )


async def measure_app(server: AppServer, token: str, *, seconds: float) -> Pair:
    return await _both(run_load(server, token), run_load(server, token, stream=True, mark=_TOKEN_MARK), seconds=seconds)


def run_load(server: AppServer, token: str, *, stream: bool = False, mark: bytes | None = None) -> Load:
    """Runs of the bench flow, each in a session of its own."""
    address = f"{server.url}/api/v1/run/bench" + ("?stream=true" if stream else "")
    watch = Watch(server.pid) if server.process else None
    return Load(server.url, post(address, _MESSAGE, {"x-api-key": token}), mark=mark, watch=watch)


async def first_run(server: AppServer, token: str, *, deadline: float = 60) -> float:
    """Seconds from starting the process to the first successful run; the process stays up."""
    began = time.perf_counter()
    process = server.launch()
    load = run_load(server, token)
    while time.perf_counter() - began < deadline:
        try:
            await load.once()
        except (OSError, RuntimeError) as error:
            if process.poll() is not None:
                raise RuntimeError(f"The app ended. It printed:\n{server.log}") from error
            await asyncio.sleep(0.01)
        else:
            return time.perf_counter() - began
    raise RuntimeError(f"No run succeeded within {deadline} s. The app printed:\n{server.log}")


async def _both(plain: Load, stream: Load, *, seconds: float) -> Pair:
    """Every program has `_WARM_SECONDS` of both before its first load, as it is slow for its first second or two."""
    for load in (plain, stream):
        await load.warm_up(seconds=_WARM_SECONDS / 2)
    return Pair(
        {clients: await plain.measure(clients, seconds=seconds) for clients in CLIENTS},
        {clients: await stream.measure(clients, seconds=seconds) for clients in CLIENTS},
    )
