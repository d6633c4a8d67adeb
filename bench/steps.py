"""`python -m bench.steps`: what a flow adds to the calls that it makes, a step, beside the same calls in plain asyncio.

The model answers at once, in this process; nothing is stored. Both are measured in turn, `--rounds` times, and the
medians are compared. The mark is 0.3 ms a step.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median

import uvloop

from flowground.caller import RunRequest
from flowground.flow.parse import parse_flow
from flowground.loader.links import link_flow
from flowground.messages import Message
from flowground.providers.base import ModelCall
from flowground.providers.scripted import Scripted
from flowground.runner import run_flow
from flowground.values import AddedMessage, SaidMessage
from flowground.wiring import WiredFlow, wire

RECORDS = 1_000
PARALLEL = 32
_ASK = """
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: x, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
_RUN = """
components:
  In: {type: ChatInput}
  Sub: {type: RunFlow, flow: NEXT, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Sub}"}
"""
FLOWS = {
    "each": f"""
components:
  Rows: {{type: ForEach, data: {[f"row {number}" for number in range(RECORDS)]}, flow: ask, parallel: {PARALLEL}}}
  Out: {{type: ChatOutput, input_value: "${{Rows}}"}}
""",
    "deep": _RUN.replace("NEXT", "middle"),
    "middle": _RUN.replace("NEXT", "ask"),
    "router": """
components:
  In: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${In}", operator: contains, match_text: hi}
  Left: {type: LanguageModel, model: x, input_value: "${Gate.true_result}"}
  Right: {type: LanguageModel, model: x, input_value: "${Gate.false_result}"}
  Out: {type: ChatOutput, input_value: "${Left?}${Right?}"}
""",
    "agent": """
components:
  In: {type: ChatInput}
  Agent: {type: Agent, model: x, input_value: "${In}", tools: [Calculator]}
  Calculator: {type: Calculator}
  Out: {type: ChatOutput, input_value: "${Agent}"}
""",
    "ask": _ASK,
}


_TOLD = "call " + " and call ".join('Calculator {"expression": "6*7"}' for _ in range(3))
"""What the scripted model takes for three calls of a tool."""


@dataclass(frozen=True, slots=True)
class Case:
    """`flow` is run `runs` times, one after the other; each run makes `calls` calls, `parallel` at once, in `steps`."""

    title: str
    flow: str
    runs: int
    steps: int
    calls: int = 1
    parallel: int = 1
    message: str = "hi"


CASES = (
    Case(f"For Each over {RECORDS:,} records, {PARALLEL} at once", "each", 1, 2 + 3 * RECORDS, RECORDS, PARALLEL),
    Case("Run Flow, three deep", "deep", 300, 9),
    Case("a router with two branches", "router", 300, 5),
    Case("an agent that calls three tools at once", "agent", 300, 6, 2, message=_TOLD),
    Case("a model, alone", "ask", 300, 3),
)


class Models:
    """Whatever is asked, the scripted model answers at once."""

    def __init__(self) -> None:
        self.provider = Scripted()

    def resolve(self, model: str | None) -> tuple[Scripted, str]:  # noqa: ARG002 - the contract's argument
        return self.provider, "echo"


class NothingSaid:
    """A conversation that begins."""

    async def read(self, limit: int) -> Sequence[SaidMessage]:  # noqa: ARG002 - the contract's argument
        return ()

    def append(self, message: AddedMessage) -> bool:  # noqa: ARG002 - the contract's argument
        return False


def link(name: str) -> WiredFlow:
    """One of the flows, with those that it runs."""
    made: Mapping[str, WiredFlow] = {
        key: wire(parse_flow(text, f"{key}.yaml", max_bytes=1_000_000)) for key, text in FLOWS.items()
    }
    return link_flow(made[name], made)


async def run_flows(case: Case, wired: WiredFlow, models: Models) -> None:
    """Runs the case, and reads what it tells."""
    for _ in range(case.runs):
        async with aclosing(run_flow(wired, RunRequest(case.message), history=NothingSaid(), models=models)) as events:
            async for _event in events:
                pass


async def call_models(case: Case, _: WiredFlow, models: Models) -> None:
    """The same calls, without a flow."""
    for _run in range(case.runs):
        left = iter(range(case.calls))
        await asyncio.gather(*(_call(left, models, case.message) for _ in range(case.parallel)))


async def _call(left: Iterator[int], models: Models, said: str) -> None:
    for _ in left:
        await models.provider.complete(ModelCall("echo", (Message("user", said),), {}))


async def _take_turns(case: Case, *, rounds: int) -> "Overhead":
    wired, models = link(case.flow), Models()
    ways: tuple[Callable[[Case, WiredFlow, Models], Awaitable[None]], ...] = (run_flows, call_models)
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for at in (0, 1) if number % 2 == 0 else (1, 0):
            began = time.perf_counter()
            await ways[at](case, wired, models)
            taken[at].append(1000 * (time.perf_counter() - began) / case.runs)
    return Overhead(case, median(taken[0]), median(taken[1]))


@dataclass(frozen=True, slots=True)
class Overhead:
    """Of one case: median ms of a run, and of its calls alone."""

    case: Case
    flow: float
    alone: float

    @property
    def a_step(self) -> float:
        """Milliseconds that the flow adds, a step."""
        return (self.flow - self.alone) / self.case.steps


def measure(*, rounds: int) -> list[Overhead]:
    return [uvloop.run(_take_turns(case, rounds=rounds)) for case in CASES]


def write_rows(measured: Iterable[Overhead]) -> Iterator[str]:
    """A table in Markdown."""
    yield "| | steps | a run, ms | its calls alone, ms | a step over them, ms |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for of in measured:
        yield f"| {of.case.title} | {of.case.steps:,} | {of.flow:.2f} | {of.alone:.2f} | {of.a_step:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.steps", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often each way is measured (default: 15)")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    print("\n".join(write_rows(measure(rounds=given.rounds))))


if __name__ == "__main__":
    main()
