"""Runs slow tests by the areas of tests/slow.toml and writes into docs/weight.md when each ran last, and how long.

python -m tests.slow                  all areas; a figure is written for each that passes on a clean checkout
python -m tests.slow snippets pages   these two
python -m tests.slow --changed        as .ci/run: the areas whose files changed since the last run in docs/weight.md, as
                                      many as fit; what does not fit is named, and nothing is written
"""

import argparse
import datetime
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.kinds import Area, read_areas
from tests.servers import ROOT

PAGE = ROOT / "docs" / "weight.md"
HEAD = "## Slow tests\n\n| area | commit | date | cases | seconds |\n| --- | --- | --- | ---: | ---: |\n"
QUIET, BUSY = 15 * 60, 30 * 60
"""Seconds that `--changed` plans by the figures of the last runs, and after which it ends."""


@dataclass(frozen=True)
class LastRun:
    """A row of docs/weight.md; `seconds` are the whole run's."""

    commit: str
    date: str
    cases: int
    seconds: int


def read_last_runs() -> dict[str, LastRun]:
    rows = PAGE.read_text("utf-8").partition(HEAD)[2].partition("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]
    return {name: LastRun(commit, date, int(cases), int(seconds)) for name, commit, date, cases, seconds in cells}


def write_last_runs(runs: Mapping[str, LastRun]) -> None:
    before, _, after = PAGE.read_text("utf-8").partition(HEAD)
    rows = "".join(
        f"| {name} | {run.commit} | {run.date} | {run.cases} | {run.seconds} |\n" for name, run in sorted(runs.items())
    )
    rest = after.partition("\n\n")[2]
    PAGE.write_text(before + HEAD + rows + (f"\n{rest}" if rest else ""), "utf-8")


def list_changed(area: Area, since: str) -> list[str]:
    """Files of the area, product's and tests', that changed since the commit; one that git does not know: all of it."""
    tests = [f":(glob){test.partition('::')[0]}" for test in area.tests if not test.startswith("[")]
    command = ["git", "diff", "--name-only", since, "--", *area.paths, *tests, ":(exclude)docs/weight.md"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else [f"no commit {since}"]


def run(area: str, limit: float | None = None) -> tuple[bool, LastRun]:
    """Whether the area's tests passed. After `limit` seconds they are ended, and have not."""
    began, words = time.monotonic(), [""]
    command = [sys.executable, "-m", "pytest", "-m", "slow", f"--areas={area}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    timer = threading.Timer(limit or threading.TIMEOUT_MAX, os.killpg, (process.pid, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        words.append(line)
    passed = process.wait() == 0
    timer.cancel()
    cases = re.search(r"(\d+) passed", words[-1])
    commit = subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()
    seconds = round(time.monotonic() - began)
    return passed, LastRun(commit, str(datetime.date.today()), int(cases[1]) if cases else 0, seconds)


def is_clean() -> bool:
    changed = subprocess.check_output(["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT, text=True)
    return changed.strip() in ("", "M docs/weight.md")


def run_changed() -> int:
    """As many areas as fit; the exit code."""
    before, failed, planned, began = read_last_runs(), [], 0, time.monotonic()
    for name, area in read_areas().items():
        if (last := before.get(name)) is None:
            print(f"== not run, since docs/weight.md has no figure of it: {name}", flush=True)
            continue
        changed = list_changed(area, last.commit)
        left = BUSY - (time.monotonic() - began)
        why = f"{name}, for {', '.join(changed[:3])}"
        if changed and (planned + last.seconds > QUIET or last.seconds > left):
            print(f"== not run, for want of time: {why}", flush=True)
        elif changed:
            planned += last.seconds
            print(f"== {why}", flush=True)
            passed, _ = run(name, limit=left)
            if not passed and time.monotonic() - began >= BUSY:
                print(f"== not run to its end, for want of time: {name}", flush=True)
            elif not passed:
                failed.append(name)
    print(f"== slow areas that failed: {', '.join(failed) or 'none'}", flush=True)
    return 1 if failed else 0


def run_named(names: list[str]) -> int:
    failed, may_write = [], is_clean() and os.environ.get("CI") != "true"
    for name in names:
        print(f"== {name}", flush=True)
        passed, last = run(name)
        if passed and may_write:
            write_last_runs(read_last_runs() | {name: last})
        elif not passed:
            failed.append(name)
    print(f"== slow areas that failed: {', '.join(failed) or 'none'}")
    if not may_write:
        print("No figure was written: the checkout has changes that are not committed.")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.slow", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("areas", nargs="*", choices=[[], *read_areas()], metavar="AREA")
    parser.add_argument("--changed", action="store_true", help="areas whose files changed, as many as fit into CI")
    told = parser.parse_args()
    return run_changed() if told.changed else run_named(told.areas or list(read_areas()))


if __name__ == "__main__":
    sys.exit(main())
