"""`python -m bench.soak`: thirty minutes at 32 clients; prints the page and writes docs/soak.md. Not part of CI."""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.api import run_load
from bench.faults.stored import count_runs, sqlite_of
from bench.load import Figures, Load
from bench.processes import app, process
from bench.watch import Watch
from tests.servers import ROOT, AppServer

_PIECES = 10
_MARKS = (2_000, 10_000)
"""Runs after which memory is measured: the process has met all its code by the first."""
_MOST_GROWTH = 3
"""Percent between the two."""
_PAGE = """\
# A soak, as measured

Written by `python -m bench.soak`: {clients} clients ask without a pause for {minutes:g} minutes, each run in its own
session, stored on SQLite; the model is a stub. {runs:,} runs, {errors} failed.

Memory (PSS) after {first.runs:,} runs: {first.memory:.1f} MB; after {second.runs:,}: {second.memory:.1f} MB,
{early:+.1f} % (the mark is ±{most} %); at the end: {last.memory:.1f} MB, {growth:+.1f} % against that, {settled:+.1f} %
against half-time.

| minutes | runs/s | p50 ms | p95 ms | memory MB |
| ---: | ---: | ---: | ---: | ---: |
{rows}
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """After so many stored runs; MB."""

    runs: int
    memory: float


@dataclass(frozen=True, slots=True)
class Piece:
    """One tenth of the time."""

    minutes: float
    figures: Figures
    memory: float


async def soak(
    server: AppServer, token: str, database: str, *, clients: int, minutes: float
) -> tuple[list[Memory], list[Piece]]:
    """Loads the server without a pause longer than a new set of connections takes; memory at the marks, and pieces."""
    load, watch, began = run_load(server, token), Watch(server.pid), time.monotonic()
    marks = [await _reach(mark, load, watch, database, clients=clients) for mark in _MARKS]
    pieces = []
    for _ in range(_PIECES):
        figures = await load.measure(clients, seconds=minutes * 60 / _PIECES)
        memory = await asyncio.to_thread(watch.memory)
        pieces.append(Piece((time.monotonic() - began) / 60, figures, memory))
    return marks, pieces


async def _reach(mark: int, load: Load, watch: Watch, database: str, *, clients: int) -> Memory:
    """Asks until so many runs are stored, a few hundred at a time."""
    while (runs := sum(count_runs(database).values())) < mark:
        await load.measure(clients, seconds=min(0.5, (mark - runs) / 3_000))
    return Memory(runs, await asyncio.to_thread(watch.memory))


def page(marks: list[Memory], pieces: list[Piece], *, clients: int, minutes: float) -> str:
    rows = [
        f"| {piece.minutes:.1f} | {piece.figures.per_second:.0f} | {piece.figures.p50:.1f} | {piece.figures.p95:.1f} "
        f"| {piece.memory:.1f} |"
        for piece in pieces
    ]
    first, second = marks
    return _PAGE.format(
        clients=clients,
        minutes=minutes,
        most=_MOST_GROWTH,
        first=first,
        second=second,
        last=pieces[-1],
        early=_compare(first.memory, second.memory),
        growth=_compare(second.memory, pieces[-1].memory),
        settled=_compare(pieces[len(pieces) // 2 - 1].memory, pieces[-1].memory),
        runs=second.runs + sum(piece.figures.count for piece in pieces),
        errors=sum(piece.figures.errors for piece in pieces),
        rows="\n".join(rows),
    )


def _compare(before: float, after: float) -> float:
    """By how many percent it grew."""
    return (after / before - 1) * 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    with process("bench.stub") as (stub, _), tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "soak"
        server = app(folder, stub=stub, database=None)
        token = server.token("soak")
        with server:
            asked = soak(server, token, sqlite_of(folder), clients=given.clients, minutes=given.minutes)
            marks, pieces = uvloop.run(asked)
    text = page(marks, pieces, clients=given.clients, minutes=given.minutes)
    print(text)
    (ROOT / "docs" / "soak.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
