"""`python -m tests.mutants [AREA ...]`: tries the areas' mutants and writes docs/mutants.md.

Fast tests run first; what they miss is tried with the slow ones, but for `--fast`. Ends with 1 where an area's tests
kill too few. What each area's last run found, with its survivors, is kept in data/mutants/.
"""
# ruff: noqa: T201 - it is a command

import argparse
import json
import math
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.areas import AREAS, Area
from tests.mutants.mutations import Mutant, make_mutants
from tests.mutants.trial import Outcome, Tests, import_libraries

_ROOT = Path(__file__).parents[2]
_KEPT = _ROOT / "data" / "mutants"
_PAGE_FILE = _ROOT / "docs" / "mutants.md"
_LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", "venv", "data", "node_modules", "__pycache__", ".*_cache", ".hypothesis")
)
_LEAST_FAST, _LEAST = 80, 85
"""Percent of an area's mutants that fast tests must kill, and that fast and slow ones must kill together."""
_PAGE = f"""\
# Mutants

Written by `make mutants`: one small fault at a time is put into the code (a bound moved by one, a condition negated, a
call left out), and a test of the area must fail or take far longer. Wanted: fast tests kill {_LEAST_FAST} % of an
area's mutants, fast and slow ones together {_LEAST} %; –: slow ones did not run. The seed chose which are tried.

| area | mutants | tried | seed | killed by fast tests | by slow tests | % | seconds |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One area's run; `slow` is None where only fast tests ran. `survivors` are the changes that no test noticed."""

    area: str
    mutants: int
    tried: int
    seed: int
    fast: int
    slow: int | None
    survivors: list[str]
    seconds: int

    @property
    def percent(self) -> float:
        return 100 * (self.fast + (self.slow or 0)) / max(1, self.tried)

    @property
    def is_good(self) -> bool:
        is_enough = self.percent >= (_LEAST_FAST if self.slow is None else _LEAST)
        return is_enough and 100 * self.fast >= _LEAST_FAST * self.tried

    def __str__(self) -> str:
        slow = "–" if self.slow is None else self.slow
        return (
            f"| {self.area} | {self.mutants} | {self.tried} | {self.seed} | {self.fast} | {slow} | {self.percent:.1f} "
            f"| {self.seconds} |"
        )


def main() -> int:
    given = _arguments()
    import_libraries()
    until = time.monotonic() + given.minutes * 60
    is_good = True
    for name in given.areas or AREAS:
        result = _try_area(name, AREAS[name], given, until=until)
        if result.tried and not given.only_print:
            _KEPT.mkdir(parents=True, exist_ok=True)
            (_KEPT / f"{name}.json").write_text(json.dumps(asdict(result), ensure_ascii=False, indent=1), "utf-8")
            _PAGE_FILE.write_text(_write_page(), "utf-8")
        is_good &= result.is_good
    return 0 if is_good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", choices=[*AREAS, []], help=f"of {', '.join(AREAS)}")
    parser.add_argument("--fast", action="store_true", help="with fast tests only")
    parser.add_argument("--sample", type=int, default=sys.maxsize, help="so many mutants of each area")
    parser.add_argument("--seed", type=int, default=1, help="which sample, and in which order (default: 1)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no mutant after so many minutes")
    parser.add_argument("--only-print", action="store_true", help="docs/mutants.md stays as it is")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (default: 2)")
    return parser.parse_args()


def _try_area(name: str, area: Area, given: argparse.Namespace, *, until: float) -> Result:
    began, found, survivors = time.monotonic(), Counter[str](), list[str]()
    tests = Tests(area.list_tests(_ROOT), "not browser and not slow" if given.fast else "not browser")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Path(folder) / str(number) for number in range(given.jobs)]
        for copy in copies:
            shutil.copytree(_ROOT, copy, ignore=_LEFT_OUT)
        files = area.files(_ROOT)
        mutants = [mutant for path in files for mutant in make_mutants(path, (_ROOT / path).read_text("utf-8"))]
        chosen = tests.watch(copies[0], files)
        print(f"{name}: {len(mutants)} mutants, {len(chosen.seconds)} tests", flush=True)
        for outcome in tests.try_mutants(_sample(mutants, given.sample, given.seed), chosen, copies, until=until):
            found[outcome.killed_by] += 1
            if not outcome.killed_by:
                survivors.append(outcome.mutant.change)
            _tell(outcome, found.total(), began)
    slow = None if given.fast else found["slow"]
    seconds = round(time.monotonic() - began)
    result = Result(name, len(mutants), found.total(), given.seed, found["fast"], slow, sorted(survivors), seconds)
    print(result, flush=True)
    return result


def _sample(mutants: list[Mutant], most: int, seed: int) -> list[Mutant]:
    """In an order that is the same at each call with this seed, so that a run that is cut short has a sample too."""
    return random.Random(seed).sample(mutants, len(mutants))[:most]


def _tell(outcome: Outcome, number: int, began: float) -> None:
    if not outcome.killed_by:
        print(f"  survives: {outcome.mutant.change}", flush=True)
    if number % 50 == 0:
        print(f"  {number} tried after {time.monotonic() - began:.0f} s", flush=True)


def _write_page() -> str:
    """Of what is kept; an area's row that was found elsewhere stays."""
    rows = {row.split()[1]: row for row in _PAGE_FILE.read_text("utf-8").splitlines() if row.startswith("| ")}
    for file in (_KEPT / f"{area}.json" for area in AREAS):
        if file.exists():
            rows[file.stem] = str(Result(**json.loads(file.read_text("utf-8"))))
    return _PAGE + "".join(f"{rows[area]}\n" for area in AREAS if area in rows)


if __name__ == "__main__":
    sys.exit(main())
