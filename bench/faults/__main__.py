"""`python -m bench.faults CASE…`: breaks the database or the process under load and counts what was lost.

Prints one line a case and ends with 1 when something was lost, stored twice, told wrongly, or did not end. What each
case found last is kept in data/; once all have run, docs/faults.md is written of it. Cases on PostgreSQL ask for
TEST_DATABASE_URL.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.faults.crowd import crowd
from bench.faults.databases import damage, end_connections, hang, lock
from bench.faults.found import Found, keep, page
from bench.faults.kills import kill
from bench.faults.stops import stop_both, stop_one
from tests.servers import ROOT
from tests.store_databases import SERVER, empty_database

CASES: Mapping[str, Callable[..., Found]] = {
    **{f"kill-on-{kind}": kill for kind in ("sqlite", "postgresql")},
    **{f"stop-on-{kind}": stop_one for kind in ("sqlite", "postgresql")},
    **{f"sleep-on-{kind}": stop_both for kind in ("sqlite", "postgresql")},
    "crowd": crowd,
    "end-connections": end_connections,
    "hang": hang,
    "lock": lock,
    "damage": damage,
}
_KEPT = ROOT / "data" / "faults.json"
ON_POSTGRESQL = ("kill-on-postgresql", "stop-on-postgresql", "sleep-on-postgresql", "end-connections", "hang")


def break_it(name: str, *, rounds: int) -> Found:
    """One case. Those on a database get an empty one of their own; a process stands still in every tenth round."""
    case, _, kind = name.partition("-on-")
    if not kind:
        return CASES[name](rounds)
    with tempfile.TemporaryDirectory() as folder, empty_database(kind, Path(folder)) as url:
        return CASES[name](Path(folder), url, rounds=rounds if case == "kill" else max(2, rounds // 10))


def main() -> int:
    says = {name: (case.__doc__ or "").partition("\n")[0] for name, case in CASES.items()}
    listed = "\n".join(f"  {name:20}{what}" for name, what in says.items())
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults",
        description=f"{__doc__}\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[*CASES, []], help="default: all")
    parser.add_argument("--rounds", type=int, default=20, help="how often it is broken (default: 20)")
    given = parser.parse_args()
    is_bad = False
    for name in given.cases or CASES:
        if name in ON_POSTGRESQL and not SERVER:
            print(f"{name}: not run, TEST_DATABASE_URL names no PostgreSQL")
            continue
        found = break_it(name, rounds=given.rounds)
        is_bad |= found.is_bad
        print(f"{name}: {found}", flush=True)
        kept = keep(_KEPT, name, found)
        if kept.keys() >= CASES.keys():
            text = page({name: (what, kept[name]) for name, what in says.items()})
            (ROOT / "docs" / "faults.md").write_text(text, encoding="utf-8")
    return int(is_bad)


if __name__ == "__main__":
    sys.exit(main())
