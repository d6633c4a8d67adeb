"""`python -m bench.growth`: does a run cost more where many are stored? One app on a full SQLite database, one on an
empty one, asked in turn by 32 clients; and how many pages of its file a run changes, counted in SQLite's log."""

import argparse
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

import uvloop

from bench.api import run_load
from bench.faults.stored import count_runs, find_token, sqlite_of
from bench.load import Figures, Load, percentile, take_turns
from bench.pairs import median_ratio
from bench.processes import app, process
from bench.rows import fill, plan_programs

_CLIENTS = 32
_HEADER, _FRAME = 32, 24
"""Bytes before the first frame of SQLite's log, and before the page of each frame."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--runs", type=int, default=700_000, help="stored ones (default: 700,000)")
    parser.add_argument("--pairs", type=int, default=12, help="loads of each (default: 12)")
    parser.add_argument("--seconds", type=float, default=4, help="length of one load (default: 4)")
    given = parser.parse_args()
    with process("bench.stub") as (stub, _), tempfile.TemporaryDirectory() as name:
        folders = {kind: Path(name) / kind for kind in ("empty", "full")}
        servers = {kind: app(folder, stub=stub, database=None) for kind, folder in folders.items()}
        tokens = {kind: server.token("bench") for kind, server in servers.items()}
        full = sqlite_of(folders["full"])
        fill(full, plan_programs("bench", token=find_token(full, "bench"), turns=given.runs, now=time.time()))
        try:
            for server in servers.values():
                server.start()
            loads = {kind: run_load(servers[kind], tokens[kind]) for kind in servers}
            for kind, load in loads.items():
                uvloop.run(load.warm_up(seconds=4))
                print(f"{kind}: {count_pages(folders[kind], load):.2f} distinct pages a run", flush=True)
            found = uvloop.run(take_turns(loads, _CLIENTS, count=given.pairs, seconds=given.seconds))
            print("\n".join(compare(found["empty"], found["full"])))
        finally:
            for server in servers.values():
                server.stop()


def count_pages(folder: Path, load: Load, *, seconds: float = 3) -> float:
    """The distinct pages that the runs of so many seconds leave in the log, which a checkpoint moves, a run.

    A reader meanwhile keeps the log from being begun anew.
    """
    database = sqlite_of(folder)
    path = database.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as held:
        held.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        uvloop.run(load.once())
        held.execute("BEGIN")
        before = int(held.execute("SELECT count(*) FROM runs").fetchone()[0])
        seen = Path(f"{path}-wal").stat().st_size
        uvloop.run(load.measure(_CLIENTS, seconds=seconds))
        log = Path(f"{path}-wal").read_bytes()
    runs = sum(count_runs(database).values()) - before
    size = int.from_bytes(log[8:12], "big")
    frames = range(max(seen, _HEADER), len(log) - size, _FRAME + size)
    changed = {log[at : at + 4] for at in frames if log[at + 8 : at + 16] == log[16:24]}
    return len(changed) / runs


def compare(empty: list[Figures], full: list[Figures]) -> list[str]:
    """A line a figure: the medians of both, and of the ratios full to empty."""
    lines = []
    for figure in ("per_second", "p50", "p95", "cpu"):
        pairs = [(getattr(one, figure), getattr(other, figure)) for one, other in zip(empty, full, strict=True)]
        ratio, low, high = median_ratio([other / one for one, other in pairs])
        one, other = (percentile([pair[side] for pair in pairs], 50) for side in (0, 1))
        lines.append(f"{figure}: {one:.2f} empty, {other:.2f} full, ratio {ratio:.3f} [{low:.3f}, {high:.3f}]")
    return lines


if __name__ == "__main__":
    main()
