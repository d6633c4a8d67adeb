"""`python -m bench`: stub, floor and app in one run; prints the page and writes docs/performance.md."""

import argparse
import tempfile
from pathlib import Path

import uvloop

from bench import report
from bench.api import first_run, measure_app, measure_floor, measure_stub
from bench.conversation import LAST_WORDS, fill
from bench.first_load import measure as measure_openings
from bench.processes import app, process
from bench.report import Measured
from bench.screen import chromium, first_tokens, opening, rerun
from bench.steps import measure as measure_steps
from bench.watch import Watch
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
                stub=uvloop.run(measure_stub(stub, seconds=min(given.seconds, 1))),
                floor=uvloop.run(measure_floor(floor, watch, seconds=given.seconds)),
            )
        measured.steps = measure_steps(rounds=15) if given.only != "screen" else ()
        databases = {"SQLite": None} | ({"PostgreSQL": given.database} if given.database else {})
        for name, database in databases.items():
            measure(measured, Path(folder) / name, name=name, database=database, stub=stub, given=given)
    text = report.page(measured)
    print(text)
    if given.only is None:
        (ROOT / "docs" / "performance.md").write_text(text, encoding="utf-8")


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
            measured.app[name] = uvloop.run(measure_app(server, token, seconds=given.seconds))
        if database is None:
            measured.starts, measured.memory_first, measured.memory_after = starts, memory, watch.memory()
            if given.only != "api":
                look(measured, server.url, f"sqlite:///{folder}/data/flowground.db")
    finally:
        server.stop()


def look(measured: Measured, url: str, database: str) -> None:
    uvloop.run(fill(database, flow_id="bench", session_id="long", messages=1000))
    measured.reruns = {
        "home": rerun(url, page="", has_composer=False),
        "playground": rerun(url, page="playground", query="flow=bench", has_composer=True),
    }
    with chromium() as browser:
        measured.first_loads = measure_openings(browser, url, flow="bench")
        measured.first_tokens = first_tokens(browser, f"{url}/playground?flow=bench")
        measured.opening = opening(browser, f"{url}/playground?flow=bench&session=long", words=LAST_WORDS)


if __name__ == "__main__":
    main()
