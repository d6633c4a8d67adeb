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

Written by `make bench`, but for the last section. The model is a stub that answers at once: what is left is the app's
own work. The *floor* is a bare Starlette route that makes the same call and keeps nothing. All share one machine: read
differences, not decimals. CPU and memory are of `/proc`.

Machine: {machine}. {date}.

## Marks

{marks}

## The run API

`POST /api/v1/run/bench`, whole answers. Times in ms; CPU is the server's own, a run; the ratio is p50 over the floor's.

{plain}

Streams, `?stream=true`; p50 and p95 are of the whole stream.

{stream}
{openings}"""
_MARKS = (
    ("a run, one client, p50 over the stub's", "3 ms"),
    ("runs/s, 32 clients, stored", "500"),
    ("p95, 32 clients, in p50", "under 3"),
    ("first streamed token over the stub's", "3 ms"),
    ("CPU a run, 1 and 32 clients", "1.5 ms"),
)


def page(measured: Measured) -> str:
    """The whole Markdown text."""
    pairs = {"floor": measured.floor} | {f"Flowground, {name}": pair for name, pair in measured.app.items()}
    plain = {name: {clients: pair.plain[clients] for clients in (1, 32)} for name, pair in pairs.items()}
    stream = {name: {clients: pair.stream[clients] for clients in (1, 32)} for name, pair in pairs.items()}
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
    """A column for each database; what follows is measured on the first."""
    yield f"| | mark | {' | '.join(measured.app)} |"
    yield f"| --- | ---: |{' ---: |' * len(measured.app)}"
    columns = [_compare(pair, measured.stub) for pair in measured.app.values()]
    for (title, mark), *found in zip(_MARKS, *columns, strict=True):
        yield f"| {title} | {mark} | {' | '.join(found)} |"
    if measured.starts:
        yield f"| start to first successful run | 2 s | {percentile(measured.starts, 50):.1f} s |"
    if measured.memory_first is not None:
        yield f"| memory (PSS) after the first run | 150 MB | {measured.memory_first:.0f} MB |"
        yield f"| memory (PSS) after all loads | – | {measured.memory_after:.0f} MB |"
    if measured.first_tokens:
        yield f"| message sent to first token on screen | 100 ms | {percentile(measured.first_tokens, 50):.0f} ms |"
    if measured.opening is not None:
        yield f"| a session with 1,000 messages opens | 1 s | {measured.opening / 1000:.2f} s |"


def _compare(pair: Pair, stub: Pair) -> Iterator[str]:
    one, many = pair.plain[1], pair.plain[32]
    yield from (f"{one.p50 - stub.plain[1].p50:.1f} ms", f"{many.per_second:,.0f}", f"{many.p95 / many.p50:.1f}")
    yield f"{(pair.stream[1].first or 0) - (stub.stream[1].first or 0):.1f} ms"
    yield f"{_number(one.cpu)}, {_number(many.cpu)} ms"


def _openings(openings: Mapping[str, Opening]) -> Iterator[str]:
    if openings:
        yield "\n## Opening a page\n"
        yield "In Chromium, beside a page of one line of the same Streamlit, each by a new browser: what came first,"
        yield "and the time until one reads or types, with nothing kept (cold) and with all kept (warm).\n"
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
