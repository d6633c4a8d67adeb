"""`python -m bench.uploads`: runs while twenty people upload two hundred files of 1 MB at once, and the memory.

In turns within one run: a client that asks for one run after the other alone, and the same while the files come. The
marks are twice the quiet 95th percentile, and as much memory (PSS, ±3 %) after the last round as after the first. Not
part of CI.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from bench.api import run_load
from bench.load import Load, percentile
from bench.processes import app, process
from bench.watch import Watch
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import tokens
from tests.servers import AppServer

_PEOPLE, _FILES, _BYTES = 20, 10, 1_000_000
_QUIET_SECONDS = 3.0
_LOOK_SECONDS = 0.25
_GROWTH = 3.0
_SLOWER = 2.0


@dataclass(slots=True)
class UploadFigures:
    """Seconds of each run, `quiet` and `busy`; `lasted` of each round's uploads. `memory`: MB before, after each round;
    `peak` is the most that was seen."""

    quiet: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    peak: float = 0.0

    @property
    def slower(self) -> float:
        return percentile(self.busy, 95) / percentile(self.quiet, 95)

    @property
    def growth(self) -> float:
        """Per cent, from after the first round to after the last."""
        return (self.memory[-1] / self.memory[1] - 1) * 100


async def measure(
    server: AppServer, load: Load, people: list[str], *, rounds: int, quiet_seconds: float = _QUIET_SECONDS
) -> UploadFigures:
    """`people` are tokens."""
    watch, figures = Watch(server.pid), UploadFigures()
    await load.warm_up(seconds=quiet_seconds)
    figures.memory.append(watch.memory())
    for _ in range(rounds):
        end = time.monotonic() + quiet_seconds
        figures.quiet += await load.measure_until(lambda end=end: time.monotonic() > end)  # type: ignore[misc]  # its own
        began = time.monotonic()
        uploads = asyncio.create_task(_upload(server.url, people))
        looks = asyncio.create_task(_find_peak(watch, uploads))
        figures.busy += await load.measure_until(uploads.done)
        await uploads
        figures.lasted.append(time.monotonic() - began)
        figures.peak = max(figures.peak, await looks)
        figures.memory.append(watch.memory())
    return figures


async def _upload(url: str, people: list[str]) -> None:
    command = (sys.executable, "-m", "bench.upload_people", url, str(_FILES), str(_BYTES))
    sending = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    await sending.communicate("\n".join(people).encode())
    if sending.returncode:
        raise RuntimeError("not all files were kept")


async def _find_peak(watch: Watch, uploads: asyncio.Task[None]) -> float:
    peak = 0.0
    while not uploads.done():
        peak = max(peak, await asyncio.to_thread(watch.memory))
        await asyncio.sleep(_LOOK_SECONDS)
    return peak


async def make_people(server: AppServer) -> list[str]:
    """A token for each."""
    store = Store.open(Settings.load(server.config_file).database)
    try:
        more = {"owner": None, "flows": None, "expires_at": None, "by": "bench"}
        return [(await store.write(tokens.create, name=f"p{n}", **more))[1] for n in range(_PEOPLE)]  # type: ignore[arg-type]  # a mapping of all kinds
    finally:
        store.close()


def write_rows(figures: UploadFigures) -> Iterator[str]:
    """A table in Markdown."""
    quiet, busy = ([percentile(times, at) * 1000 for at in (50, 95)] for times in (figures.quiet, figures.busy))
    yield "| | |"
    yield "| --- | ---: |"
    yield f"| runs, quiet: how many, p50, p95 in ms | {len(figures.quiet):,}, {quiet[0]:.2f}, {quiet[1]:.2f} |"
    yield f"| runs while files come | {len(figures.busy):,}, {busy[0]:.2f}, {busy[1]:.2f} |"
    yield f"| p95 against quiet (the mark is {_SLOWER:.0f}) | {figures.slower:.2f} |"
    lasted = ", ".join(f"{one:.1f}" for one in figures.lasted)
    yield f"| seconds until all {_PEOPLE * _FILES} files were kept | {lasted} |"
    yield f"| memory (PSS) before, MB | {figures.memory[0]:.1f} |"
    yield f"| most while files came, MB | {figures.peak:.1f} |"
    yield f"| after each round, MB | {', '.join(f'{one:.1f}' for one in figures.memory[1:])} |"
    yield f"| growth from the first round to the last, % (the mark is ±{_GROWTH:.0f}) | {figures.growth:+.1f} |"


def main() -> int:
    """1 where a mark is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.uploads", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of both in turn (default: 5)")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    with (
        process("bench.stub") as (stub, _),
        tempfile.TemporaryDirectory() as folder,
        app(Path(folder), stub=stub, database=None) as server,
    ):
        people = asyncio.run(make_people(server))
        load = run_load(server, server.token("bench"))
        figures = uvloop.run(measure(server, load, people, rounds=given.rounds))
    print("\n".join(write_rows(figures)))
    return int(figures.slower > _SLOWER or abs(figures.growth) > _GROWTH)


if __name__ == "__main__":
    sys.exit(main())
