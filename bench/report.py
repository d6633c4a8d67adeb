"""The figures as a page: docs/performance.md."""

import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.api import Pair
from bench.first_load import Opening, write_rows
from bench.load import Figures, percentile


@dataclass(slots=True)
class Measured:
    """Everything of one run of the bench; None and empty where a part was left out. Times in ms, memory in MB."""

    stub: Pair
    floor: Pair
    app: dict[str, Pair] = field(default_factory=dict)
    starts: list[float] = field(default_factory=list)
    memory_first: float | None = None
    memory_after: float | None = None
    first_tokens: list[float] = field(default_factory=list)
    opening: float | None = None
    first_loads: Mapping[str, Opening] = field(default_factory=dict)


_PAGE = """\
# Performance, as measured

Written by `make bench`, but for the last section. The model is a stub that answers at once with twelve words, so what
is left is the app's own work: check the token, find the flow, run its four components, call the model, keep what was
said and the run, answer in Langflow's shape. The *floor* is a bare Starlette route under uvicorn, uvloop and
httptools that makes the same call with httpx2 and keeps nothing. Load client, stub and server share the machine, and
all is one series: read differences, not decimals. CPU and memory are read from `/proc`; percentiles are of all requests
of a load, after half a second of warming up. Stub, floor and app each answer one client for four seconds first.

Machine: {machine}. {date}.

## Marks

{marks}

## The run API

Whole answers, `POST /api/v1/run/bench`. Times in ms; CPU is the server's own, a run; the ratio is p50 over the floor's
p50 at as many clients.

{plain}

Streams, `POST /api/v1/run/bench?stream=true`; p50 and p95 are of the whole stream.

{stream}
{openings}"""


def page(measured: Measured) -> str:
    """The whole Markdown text."""
    pairs = {"stub alone": measured.stub, "floor": measured.floor}
    pairs |= {f"Flowground, {name}": pair for name, pair in measured.app.items()}
    plain, stream = ({name: getattr(pair, kind) for name, pair in pairs.items()} for kind in ("plain", "stream"))
    return _PAGE.format(
        machine=describe_machine(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        marks="\n".join(_marks(measured)),
        plain="\n".join(write_loads(plain, floor=plain["floor"])),
        stream="\n".join(write_loads(stream, floor=stream["floor"])),
        openings="\n".join(_openings(measured.first_loads)),
    )


def write_loads(rows: Mapping[str, Mapping[int, Figures]], *, floor: Mapping[int, Figures]) -> Iterator[str]:
    yield "| | clients | p50 | p95 | first token | per second | CPU | errors | ratio |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, by_clients in rows.items():
        for clients, of in by_clients.items():
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
        yield f"| memory (PSS) after all loads | – | {measured.memory_after:.0f} MB |"
    if measured.first_tokens:
        yield f"| message sent to first token on screen | 100 ms | {percentile(measured.first_tokens, 50):.0f} ms |"
    if measured.opening is not None:
        yield f"| a session with 1,000 messages opens | 1 s | {measured.opening / 1000:.2f} s |"


def _openings(openings: Mapping[str, Opening]) -> Iterator[str]:
    if openings:
        yield "\n## Opening a page\n"
        yield "In Chromium, beside a page of one line of the same Streamlit in the same run, each by a new browser:"
        yield "what came over the wire first, and the time until it can be used, with nothing kept and with all kept.\n"
        yield from write_rows(openings)
        yield ""


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
