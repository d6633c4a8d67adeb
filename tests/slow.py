"""Runs slow tests by the areas of tests/slow.toml and writes into docs/weight.md when each ran last, and how long.

python -m tests.slow                  all areas; a figure is written for each that passes on a clean checkout
python -m tests.slow snippets pages   these two
python -m tests.slow --changed        as .ci/run: the areas whose files changed since the last run in docs/weight.md,
                                      or that have none there; as many as fit, the oldest first; what does not fit is
                                      named, and nothing is written
"""

import argparse
import datetime
import math
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
UNKNOWN = 300
"""Seconds that an area without a figure is planned with."""
HANGS = 4
"""An area has failed, and is no longer waited for, that takes so many times what it took last."""


@dataclass(frozen=True)
class LastRun:
    """A row of docs/weight.md; `seconds` are the whole run's."""

    commit: str
    date: str
    cases: int
    seconds: int


def read_last_runs() -> dict[str, LastRun]:
    text = PAGE.read_text("utf-8")
    if HEAD not in text:
        raise SystemExit(f"{PAGE.name} has no table of slow tests.")
    rows = text.partition(HEAD)[2].partition("\n\n")[0].splitlines()
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


def count_commits(since: str) -> float:
    counted = subprocess.run(
        ["git", "rev-list", "--count", f"{since}..HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return int(counted.stdout) if counted.returncode == 0 else math.inf


@dataclass(frozen=True)
class Asked:
    """How an area's tests went: `is_whole` where each passed, `has_failed` where one did not, or the run broke."""

    is_whole: bool
    has_failed: bool
    cases: int
    seconds: int


def ask(area: str, limit: float | None = None) -> Asked:
    """Runs an area's tests; after `limit` seconds they are ended."""
    began, lines = time.monotonic(), [""]
    command = [sys.executable, "-m", "pytest", "-m", "slow", f"--areas={area}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    timer = threading.Timer(limit or threading.TIMEOUT_MAX, os.killpg, (process.pid, signal.SIGKILL))
    timer.daemon = True
    timer.start()
    try:
        assert process.stdout is not None
        with process.stdout as told:
            for line in told:
                print(line, end="", flush=True)
                lines.append(line)
        code = process.wait()
    finally:  # pytest and its workers are in a group of their own, which no Ctrl-C reaches
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        timer.cancel()
    cases = re.search(r"(\d+) passed", lines[-1])
    if code == -signal.SIGKILL:  # it was ended here; whether one had failed by then, its lines of progress say
        has_failed = any(re.match(r"[.sx]*[FE][.sxFE]*\s", line) for line in lines)
    else:
        has_failed = code != 0
    is_whole = code == 0 and bool(cases) and "skipped" not in lines[-1]
    return Asked(is_whole, has_failed, int(cases[1]) if cases else 0, round(time.monotonic() - began))


def find_commit() -> str | None:
    """None where something is not committed."""
    changed = subprocess.check_output(["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT, text=True)
    if changed.strip() not in ("", "M docs/weight.md"):
        return None
    return subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True).strip()


def ask_changed() -> int:
    """As many areas as fit, those that were asked longest ago first; the exit code."""
    before, failed, planned, began = read_last_runs(), [], 0, time.monotonic()
    none = LastRun("none", "", 0, UNKNOWN)
    areas = {name: (area, before.get(name, none)) for name, area in read_areas().items()}
    for name, (area, last) in sorted(areas.items(), key=lambda one: -count_commits(one[1][1].commit)):
        changed = list_changed(area, last.commit) if last is not none else ["no figure of it"]
        left = BUSY - (time.monotonic() - began)
        why = f"{name}, for {', '.join(changed[:3])}"
        if changed and (planned + last.seconds > QUIET or last.seconds > left):
            print(f"== not run, for want of time: {why}", flush=True)
        elif changed:
            planned += last.seconds
            print(f"== {why}", flush=True)
            asked = ask(name, limit=min(left, HANGS * last.seconds))
            if asked.has_failed or asked.seconds >= HANGS * last.seconds:
                failed.append(name)
            elif asked.seconds >= left:
                print(f"== not run to its end, for want of time: {name}", flush=True)
    print(f"== slow areas that failed: {', '.join(failed) or 'none'}", flush=True)
    return 1 if failed else 0


def ask_named(names: list[str]) -> int:
    """These, with a figure for each that passed whole at one commit; the exit code."""
    failed = []
    for name in names:
        print(f"== {name}", flush=True)
        commit = find_commit()
        asked = ask(name)
        if not asked.is_whole:
            failed.append(name)
        elif commit is None or find_commit() != commit:
            print("== no figure was written: not all is committed, or something was meanwhile", flush=True)
        else:
            last = LastRun(commit, str(datetime.date.today()), asked.cases, asked.seconds)
            write_last_runs(read_last_runs() | {name: last})
    print(f"== slow areas that failed, or left out tests: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.slow", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("areas", nargs="*", choices=[[], *read_areas()], metavar="AREA")
    parser.add_argument("--changed", action="store_true", help="areas whose files changed, as many as fit into CI")
    told = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return ask_changed() if told.changed else ask_named(told.areas or list(read_areas()))


if __name__ == "__main__":
    sys.exit(main())
