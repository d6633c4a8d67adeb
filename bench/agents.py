"""`python -m bench.agents`: what an agent's step adds to its model's time, and 32 agents at once whose model fails.

Each run goes through the API and is stored on SQLite: an agent, whose model calls three tools at once and then answers.
A step is one component or one call of a tool; the marks are 5 ms for each time that the model is asked, an end with a
name for every run, and as much memory (PSS, ±3 %) after the tenth thousand steps as after the second. Not part of CI.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import httpx2
import uvloop

from bench.agent_stub import ANSWER
from bench.processes import process
from bench.watch import Watch
from tests.servers import AppServer

STEPS = 6
"""Of a run: three components and three calls."""
ASKS = 2
MARKS = (2_000, 10_000)
FLOW = """\
name: Agent
description: The agent that bench/ measures.
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, model: "stub:stub-model", input_value: "${ChatInput}", tools: [Calculator], n_messages: 0}
  Calculator: {type: Calculator}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
"""
_ASK = {"model": "stub-model", "messages": [{"role": "user", "content": "What is six times seven?"}]}
_RUN = {"input_value": "What is six times seven?"}
_UNNAMED = "no name"


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """`run` and `model`: median ms of a run and of one call of its model, one at a time, without failures.

    `ends`: how the runs at once ended, by name; `memory`: MB at the marks, in steps.
    """

    run: float
    model: float
    ends: Counter[str]
    memory: dict[int, float]

    @property
    def a_step(self) -> float:
        """Milliseconds over the model's own, each time that it is asked."""
        return self.run / ASKS - self.model


@dataclass(frozen=True, slots=True)
class AgentLoad:
    """Runs of the flow by a server's API."""

    client: httpx2.AsyncClient
    address: str
    token: str

    async def run(self) -> str:
        """How it ended: `success`, or the code of its failure."""
        try:
            answer = await self.client.post(self.address, json=_RUN, headers={"x-api-key": self.token})
            told = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            return f"{_UNNAMED}: {type(error).__name__}"
        return name_end(answer.status_code, told)

    async def run_many(self, runs: int, *, clients: int) -> Counter[str]:
        """So many, `clients` at once."""
        left, ends = iter(range(runs)), Counter[str]()

        async def ask() -> None:
            for _ in left:
                ends[await self.run()] += 1

        await asyncio.gather(*(ask() for _ in range(clients)))
        return ends


def name_end(status: int, told: object) -> str:
    """`success` where the whole answer is there, the code of a failure that has one, else that it has no name."""
    detail = told.get("detail") if isinstance(told, dict) else None
    if status == 200 and isinstance(told, dict) and told.get("text") == ANSWER:
        return "success"
    code = detail.get("code") if isinstance(detail, dict) else None
    return str(code) if status >= 400 and code else f"{_UNNAMED}: {status} {json.dumps(told)[:200]}"


async def measure_step(load: AgentLoad, model: str, *, rounds: int) -> tuple[float, float]:
    """Median ms of a run and of a call of its model, which take turns."""
    runs, calls = [], []
    for number in range(rounds + 10):
        began = time.perf_counter()
        await load.client.post(f"{model}/v1/chat/completions", json=_ASK)
        asked = time.perf_counter()
        if (end := await load.run()) != "success":
            raise RuntimeError(f"A run that should not fail ended as {end}.")
        if number >= 10:
            calls.append(1000 * (asked - began))
            runs.append(1000 * (time.perf_counter() - asked))
    return median(runs), median(calls)


async def measure_crowd(
    load: AgentLoad, watch: Watch, *, clients: int, marks: tuple[int, ...]
) -> tuple[Counter[str], dict[int, float]]:
    """How all runs ended up to the last mark, and the memory at each."""
    ends, memory = Counter[str](), dict[int, float]()
    for mark in marks:
        ends += await load.run_many(max(0, mark // STEPS - ends.total()), clients=clients)
        memory[mark] = await asyncio.to_thread(watch.memory)
    return ends, memory


@contextmanager
def _open(percent: float) -> Iterator[tuple[AppServer, str]]:
    """The app with a model of which so many percent of the calls fail, and the model's address."""
    with process("bench.agent_stub", str(percent)) as (stub, _), tempfile.TemporaryDirectory() as name:
        provider = {"type": "openai", "base_url": f"{stub}/v1", "api_key": "anything"}
        server = AppServer(Path(name), config={"providers": {"stub": provider}}, flows={"agent": FLOW})
        with server:
            yield server, stub


def _make_load(server: AppServer, client: httpx2.AsyncClient) -> AgentLoad:
    return AgentLoad(client, f"{server.url}/api/v1/run/agent?shape=simple", server.token("bench"))


async def _measure_step(*, rounds: int) -> tuple[float, float]:
    with _open(0) as (server, stub):
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            return await measure_step(_make_load(server, client), stub, rounds=rounds)


async def _measure_crowd(
    *, clients: int, percent: float, marks: tuple[int, ...]
) -> tuple[Counter[str], dict[int, float]]:
    with _open(percent) as (server, _):
        async with httpx2.AsyncClient(trust_env=False, timeout=60) as client:
            load = _make_load(server, client)
            return await measure_crowd(load, Watch(server.pid), clients=clients, marks=marks)


def measure(*, clients: int, rounds: int, percent: float, marks: tuple[int, ...] = MARKS) -> AgentFigures:
    """Of two servers, one after the other: one whose model never fails, and one whose model does."""
    run, model = uvloop.run(_measure_step(rounds=rounds))
    ends, memory = uvloop.run(_measure_crowd(clients=clients, percent=percent, marks=marks))
    return AgentFigures(run, model, ends, memory)


def write_rows(figures: AgentFigures) -> Iterator[str]:
    """A table in Markdown."""
    first, *_, last = figures.memory
    yield "| | |"
    yield "| --- | ---: |"
    yield f"| a run, ms | {figures.run:.2f} |"
    yield f"| a call of its model alone, ms | {figures.model:.2f} |"
    yield f"| a step of the agent over its model, ms (the mark is 5) | {figures.a_step:.2f} |"
    for end, number in sorted(figures.ends.items()):
        yield f"| ended as {end} | {number:,} |"
    for steps, memory in figures.memory.items():
        yield f"| memory (PSS) after {steps:,} steps, MB | {memory:.1f} |"
    growth = (figures.memory[last] / figures.memory[first] - 1) * 100
    yield f"| growth between them, % (the mark is ±3) | {growth:+.1f} |"


def main() -> int:
    """1 where a run ended without a name."""
    parser = argparse.ArgumentParser(prog="python -m bench.agents", description=__doc__)
    parser.add_argument("--clients", type=int, default=32, help="runs at once (default: 32)")
    parser.add_argument("--rounds", type=int, default=300, help="how often a run alone is measured (default: 300)")
    parser.add_argument("--percent", type=float, default=1, help="of the model's calls that fail (default: 1)")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    figures = measure(clients=given.clients, rounds=given.rounds, percent=given.percent)
    print("\n".join(write_rows(figures)))
    return int(any(end.startswith(_UNNAMED) for end in figures.ends))


if __name__ == "__main__":
    sys.exit(main())
