"""`python -m bench`: stub, floor and app in one run; prints the page and writes docs/performance.md."""

import argparse
import tempfile
import time
from pathlib import Path

import uvloop

from bench import report
from bench.api import first_run, floor_loads, measure_pair, run_load, stub_loads
from bench.faults.stored import sqlite_of
from bench.first_load import measure as measure_openings
from bench.processes import app, process
from bench.report import Measured
from bench.rows import ANSWER, Conversation, fill
from bench.screen import chromium, first_tokens, opening
from bench.watch import Watch
from flowground.core.caller import LOCAL_OWNER
from tests.servers import ROOT


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--database", metavar="URL", help="measure on this PostgreSQL database too; it should be empty")
    parser.add_argument("--seconds", type=float, default=3, help="length of each load (default: 3)")
    parser.add_argument("--only", choices=["api", "screen"], help="one part; docs/performance.md stays as it is")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    with process("bench.stub") as (stub, _), tempfile.TemporaryDirectory() as folder:
        with process("bench.floor", f"{stub}/v1") as (floor, watch):
            measured = Measured(
                stub=uvloop.run(measure_pair(*stub_loads(stub), seconds=min(given.seconds, 1))),
                floor=uvloop.run(measure_pair(*floor_loads(floor, watch), seconds=given.seconds)),
            )
        databases = {"SQLite": None} | ({"PostgreSQL": given.database} if given.database else {})
        for name, database in databases.items():
            measure(measured, Path(folder) / name, name=name, database=database, stub=stub, given=given)
    text = report.page(measured)
    print(text)
    if given.only is None:
        file = ROOT / "docs" / "performance.md"
        _, mark, by_hand = file.read_text("utf-8").partition("\n## Pages with much in them\n")
        file.write_text(text + mark + by_hand, encoding="utf-8")


def measure(
    measured: Measured, folder: Path, *, name: str, database: str | None, stub: str, given: argparse.Namespace
) -> None:
    """Starts the app three times, loads it, and looks at its pages (these on SQLite only)."""
    server = app(folder, stub=stub, database=database)
    token = server.token("bench")
    starts = []
    for _ in range(3):
        server.stop()
        starts.append(uvloop.run(first_run(server, token)))
    try:
        watch = Watch(server.pid)
        memory = watch.memory()
        if given.only != "screen":
            loads = run_load(server, token), run_load(server, token, stream=True)
            measured.app[name] = uvloop.run(measure_pair(*loads, seconds=given.seconds))
        if database is None:
            measured.starts, measured.memory_first, measured.memory_after = starts, memory, watch.memory()
            if given.only != "api":
                look(measured, server.url, sqlite_of(folder))
    finally:
        server.stop()


def look(measured: Measured, url: str, database: str) -> None:
    fill(database, [Conversation(str(LOCAL_OWNER.owner), "bench", "long", time.time() - 86_400, turns=500)])
    with chromium() as browser:
        measured.first_loads = measure_openings(browser, url, flow="bench")
        measured.first_tokens = first_tokens(browser, f"{url}/playground?flow=bench")
        measured.opening = opening(browser, f"{url}/playground?flow=bench&session=long", words=ANSWER)


if __name__ == "__main__":
    main()
