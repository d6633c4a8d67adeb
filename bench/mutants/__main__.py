"""`python -m bench.mutants [AREA ...]`: tries the areas' mutants, keeps the results, writes docs/mutants.md.

Ends with 1 where an area's tests notice too few, or a survivor has no reason.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.mutants import report, trial
from bench.mutants.areas import AREAS, Area
from bench.mutants.mutations import make_mutants

_ROOT = Path(__file__).parents[2]
_KEPT = _ROOT / "data" / "mutants"
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "venv", "data", "__pycache__", ".*_cache", ".hypothesis")


def main() -> int:
    given = _arguments()
    trial.import_libraries()
    is_good = True
    for name in given.areas or AREAS:
        result = _try_area(name, AREAS[name], jobs=given.jobs)
        report.keep(result, _KEPT)
        (_ROOT / "docs" / "mutants.md").write_text(report.mutants_page(_KEPT), "utf-8")
        is_good &= result.is_good
    return 0 if is_good else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", choices=[*AREAS, []], help=f"of {', '.join(AREAS)}")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at once (default: 2)")
    return parser.parse_args()


def _try_area(name: str, area: Area, *, jobs: int) -> report.Result:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copies = [Path(folder) / str(number) for number in range(jobs)]
        for copy in copies:
            shutil.copytree(_ROOT, copy, ignore=_LEFT_OUT)
        files = area.files(_ROOT)
        mutants = [mutant for path in files for mutant in make_mutants(path, (_ROOT / path).read_text("utf-8"))]
        chosen = trial.watch_tests(copies[0], area.test_files(_ROOT), files)
        print(f"{name}: {len(mutants)} mutants, {len(chosen.seconds)} tests", flush=True)
        survivors = []
        for number, outcome in enumerate(trial.try_mutants(mutants, chosen, copies), 1):
            if number % 50 == 0:
                print(f"  {number} tried after {time.monotonic() - began:.0f} s", flush=True)
            if not outcome.noticed:
                survivors.append(outcome.mutant)
                print(
                    f"  {outcome.mutant.path}:{outcome.mutant.line} {outcome.mutant.before} → {outcome.mutant.after}",
                    flush=True,
                )
    survivors.sort(key=lambda mutant: (mutant.path, mutant.line))
    result = report.Result(name, len(mutants), [each.change for each in survivors], round(time.monotonic() - began))
    print(f"{name}: {result.percent:.1f} % noticed in {result.seconds} s", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
