"""The figures as a page: docs/performance.md."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.api import CLIENTS, Pair
from bench.first_load import Opening, write_rows
from bench.load import Figures, percentile
from bench.steps import Overhead
from bench.steps import write_rows as write_steps


@dataclass(slots=True)
class Measured:
    """Everything of one run of the bench; None and empty where a part was left out. Times in ms, memory in MB."""

    stub: Pair
    floor: Pair
    app: dict[str, Pair] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    memory_first: float | None = None
    memory_after: float | None = None
    reruns: dict[str, float] = field(default_factory=dict)
    first_tokens: list[float] = field(default_factory=list)
    opening: float | None = None
    first_loads: Mapping[str, Opening] = field(default_factory=dict)
    steps: Sequence[Overhead] = ()


def page(measured: Measured) -> str:
    """The whole Markdown text."""
    lines = [
        "# Performance, as measured",
        "",
        "Written by `make bench`; nothing here is edited by hand. The model is a stub that answers at once with twelve",
        "words, so what is left is the app's own work: check the token, find the flow, run its four components, call",
        "the model, keep the message, the answer and the run, answer in Langflow's shape. The *floor* is a bare",
        "Starlette route under uvicorn, uvloop and httptools that makes the same call with httpx2 and keeps nothing.",
        "Load client, stub and server share the machine, and all is one series: read differences, not decimals.",
        "",
        f"Machine: {describe_machine()}. {datetime.now(UTC):%Y-%m-%d}.",
        "",
        "## Marks",
        "",
        *_marks(measured),
        "",
        "## The run API",
        "",
        "Whole answers, `POST /api/v1/run/bench`. Times in ms; CPU is the server's own, a run; the ratio is p50 over",
        "the floor's p50 at as many clients.",
        "",
        *_loads({name: pair.plain for name, pair in _rows(measured)}, floor=measured.floor.plain),
        "",
        "Streams, `POST /api/v1/run/bench?stream=true`; p50 and p95 are of the whole stream.",
        "",
        *_loads({name: pair.stream for name, pair in _rows(measured)}, floor=measured.floor.stream),
        "",
        *_steps(measured.steps),
        *_first_loads(measured.first_loads),
        *_rest(measured),
    ]
    return "\n".join(lines) + "\n"


def _rows(measured: Measured) -> Iterator[tuple[str, Pair]]:
    yield "stub alone", measured.stub
    yield "floor", measured.floor
    for name, pair in measured.app.items():
        yield f"Flowground, {name}", pair


def _loads(rows: Mapping[str, Mapping[int, Figures]], *, floor: Mapping[int, Figures]) -> Iterator[str]:
    yield "| | clients | p50 | p95 | first token | per second | CPU | errors | ratio |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, by_clients in rows.items():
        for clients in CLIENTS:
            of = by_clients[clients]
            yield (
                f"| {name} | {clients} | {of.p50:.2f} | {of.p95:.2f} | {_number(of.first)} | {of.per_second:,.0f} "
                f"| {_number(of.cpu)} | {of.errors} | {of.p50 / floor[clients].p50:.1f} |"
            )


def _marks(measured: Measured) -> Iterator[str]:
    yield "| | mark | measured |"
    yield "| --- | ---: | ---: |"
    for name, pair in measured.app.items():
        one, many = pair.plain[1], pair.plain[32]
        stub, streamed = measured.stub.plain[1], measured.stub.stream[1]
        first = (pair.stream[1].first or 0) - (streamed.first or 0)
        yield f"| {name}: a run, one client, p50 over the stub's own time | 3 ms | {one.p50 - stub.p50:.1f} ms |"
        yield f"| {name}: runs/s at 32 clients, one process, messages stored | 500 | {many.per_second:,.0f} |"
        yield f"| {name}: p95 at 32 clients, in p50 | under 3 | {many.p95 / many.p50:.1f} |"
        yield f"| {name}: first streamed token over the stub | 3 ms | {first:.1f} ms |"
        yield f"| {name}: CPU a run, 1 and 32 clients | 1.5 ms | {_number(one.cpu)} and {_number(many.cpu)} ms |"
    if measured.starts:
        yield f"| start to first successful run | 2 s | {percentile(measured.starts, 50):.1f} s |"
    if measured.memory_first is not None:
        yield f"| memory (PSS) after the first run | 150 MB | {measured.memory_first:.0f} MB |"
    for name, taken in measured.reruns.items():
        yield f"| page rerun round trip, {name} | 15 ms | {taken:.1f} ms |"
    if measured.first_tokens:
        yield f"| message sent to first token on screen | 100 ms | {percentile(measured.first_tokens, 50):.0f} ms |"
    if measured.opening is not None:
        yield f"| a session with 1,000 messages opens | 1 s | {measured.opening / 1000:.2f} s |"


def _steps(measured: Sequence[Overhead]) -> Iterator[str]:
    if not measured:
        return
    yield "## Steps of a flow"
    yield ""
    yield "What flows add to their calls, in one process beside the same calls in plain asyncio, with a model that"
    yield "answers at once and nothing stored: the mark is 0.3 ms a step."
    yield ""
    yield from write_steps(measured)
    yield ""


def _first_loads(openings: Mapping[str, Opening]) -> Iterator[str]:
    if not openings:
        return
    yield "## Opening a page"
    yield ""
    yield "In Chromium, beside a page of one line of the same Streamlit in the same run, each by a new browser: what"
    yield "came over the wire first, and the time until the page can be used, with nothing kept and with all kept."
    yield ""
    yield from write_rows(openings)
    yield ""


def _rest(measured: Measured) -> Iterator[str]:
    yield "## The rest"
    yield ""
    starts = ", ".join(f"{taken:.2f}" for taken in measured.starts)
    yield f"- Start to first successful run, each start: {starts} s; files warm, the first on an empty folder."
    if measured.memory_first is not None and measured.memory_after is not None:
        yield (
            f"- Memory (PSS of the process and its children): {measured.memory_first:.0f} MB after the first run, "
            f"{measured.memory_after:.0f} MB after all loads above."
        )
    if measured.first_tokens:
        each = ", ".join(f"{taken:.0f}" for taken in measured.first_tokens)
        yield f"- Enter to the first frame that shows the first token, each message: {each} ms."
    yield "- Page reruns ask by the hash that the page's navigation names, and check that the page's own elements came."
    yield "- CPU and memory from `/proc`; percentiles of all requests of a load, after half a second of warming up."
    yield "- Stub, floor and app each answer one client for four seconds first: a process is slow in the beginning."


def describe_machine() -> str:
    """The kind of machine, and how busy it is with other things as well."""
    kind = f"{os.cpu_count()} cores, {_processor()}, {platform.system()}, Python {platform.python_version()}"
    return f"{kind}; load average of the last 15 minutes {os.getloadavg()[2]:.1f}"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
