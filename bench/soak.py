"""`python -m bench.soak`: ten minutes at 32 clients; prints the page and writes docs/soak.md. Not part of CI."""

import argparse
import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.api import run_load
from bench.load import Figures
from bench.processes import app, process
from bench.watch import Watch
from tests.servers import ROOT, AppServer

_PIECES = 10
_PAGE = """\
# A soak, as measured

Written by `python -m bench.soak`; nothing here is edited by hand. {clients} clients ask again as soon as they are
answered, for {minutes:g} minutes, each run in a session of its own and stored on SQLite; the model is a stub.

{runs:,} runs, {errors} failed. Memory (PSS) at the end: {growth:+.1f} % against the first
tenth, {settled:+.1f} % against half-time (the mark is ±5 %).

| minutes | runs/s | p50 ms | p95 ms | failed | memory MB |
| ---: | ---: | ---: | ---: | ---: | ---: |
{rows}
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """One tenth of the time."""

    minutes: float
    figures: Figures
    memory: float


async def soak(server: AppServer, token: str, *, clients: int, minutes: float) -> list[Piece]:
    """Loads the server without a pause longer than a new set of connections takes."""
    load, watch, began, pieces = run_load(server, token), Watch(server.pid), time.monotonic(), []
    for _ in range(_PIECES):
        figures = await load.measure(clients, seconds=minutes * 60 / _PIECES)
        memory = await asyncio.to_thread(watch.memory)
        pieces.append(Piece((time.monotonic() - began) / 60, figures, memory))
    return pieces


def page(pieces: list[Piece], *, clients: int, minutes: float) -> str:
    rows = [
        f"| {piece.minutes:.1f} | {piece.figures.per_second:.0f} | {piece.figures.p50:.1f} | {piece.figures.p95:.1f} "
        f"| {piece.figures.errors} | {piece.memory:.1f} |"
        for piece in pieces
    ]
    return _PAGE.format(
        clients=clients,
        minutes=minutes,
        runs=sum(piece.figures.count for piece in pieces),
        errors=sum(piece.figures.errors for piece in pieces),
        growth=_growth(pieces[0], pieces[-1]),
        settled=_growth(pieces[len(pieces) // 2 - 1], pieces[-1]),
        rows="\n".join(rows),
    )


def _growth(before: Piece, after: Piece) -> float:
    """Percent."""
    return (after.memory / before.memory - 1) * 100


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=32)
    given = parser.parse_args()
    with process("bench.stub") as (stub, _), tempfile.TemporaryDirectory() as folder:
        server = app(Path(folder) / "soak", stub=stub, database=None)
        token = server.token("soak")
        with server:
            pieces = uvloop.run(soak(server, token, clients=given.clients, minutes=given.minutes))
    text = page(pieces, clients=given.clients, minutes=given.minutes)
    print(text)
    (ROOT / "docs" / "soak.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
