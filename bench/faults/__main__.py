"""`python -m bench.faults CASE…`: breaks the database or the process under load and counts what was lost.

Prints one line a case and ends with 1 when something was lost, stored twice, told wrongly, or did not end. What each
case found last is kept in data/; once all have run, docs/faults.md is written of it. Cases on PostgreSQL ask for
TEST_DATABASE_URL.
"""

import argparse
import sys
from collections.abc import Callable, Mapping

from bench.faults.crowd import crowd
from bench.faults.databases import damage, end_connections, hang, lock
from bench.faults.found import Found, keep, page
from bench.faults.kills import kill_on_postgresql, kill_on_sqlite
from bench.faults.stops import sleep_on_postgresql, sleep_on_sqlite, stop_on_postgresql, stop_on_sqlite
from tests.servers import ROOT
from tests.store_databases import SERVER

CASES: Mapping[str, Callable[[int], Found]] = {
    case.__name__.replace("_", "-"): case
    for case in (
        *(kill_on_sqlite, kill_on_postgresql),
        *(stop_on_sqlite, stop_on_postgresql, sleep_on_sqlite, sleep_on_postgresql),
        *(crowd, end_connections, hang, lock, damage),
    )
}
_KEPT = ROOT / "data" / "faults.json"
_ON_POSTGRESQL = ("kill-on-postgresql", "stop-on-postgresql", "sleep-on-postgresql", "end-connections", "hang")


def main() -> int:
    listed = "\n".join(f"  {name:20}{case.__doc__}" for name, case in CASES.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=f"{__doc__}\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--rounds", type=int, default=20, help="how often it is broken (default: 20)")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]}")
    is_bad = False
    for name in given.cases or CASES:
        if name in _ON_POSTGRESQL and not SERVER:
            print(f"{name}: not run, TEST_DATABASE_URL names no PostgreSQL")
            continue
        found = CASES[name](given.rounds)
        is_bad |= found.is_bad
        print(f"{name}: {found}", flush=True)
        kept = keep(_KEPT, name, found)
        if kept.keys() >= CASES.keys():
            text = page({name: (case.__doc__ or "", kept[name]) for name, case in CASES.items()})
            (ROOT / "docs" / "faults.md").write_text(text, encoding="utf-8")
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
