"""What takes minutes: databases and processes that break under load, a soak, and faults put into the code."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("bench/ reads /proc", allow_module_level=True)

import uvloop

from bench.faults.__main__ import CASES, ON_POSTGRESQL, break_it
from bench.faults.stored import count_runs, sqlite_of
from bench.processes import app, process
from bench.soak import soak
from tests.mutants.areas import AREAS
from tests.servers import ROOT
from tests.store_databases import SERVER

HAPPENS = ("requests that failed", "runs that failed")
"""Where other cases take the machine's time as well: `python -m bench.faults` counts them, one case after the other."""


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith("sleep")])
def test_under_load_nothing_is_lost_or_told_wrongly(case: str) -> None:
    """All but a computer that sleeps, where a busy one ends a few runs: `python -m bench.faults` counts them."""
    if case in ON_POSTGRESQL and not SERVER:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL")
    found = break_it(case, rounds=2)
    assert found.seen.get("runs acknowledged", 1), found
    wrong = {what: count for what, count in found.wrong.items() if count and what not in HAPPENS}
    assert wrong == {}, found


def test_a_short_soak_loses_no_run(tmp_path: Path) -> None:
    folder = tmp_path / "soak"
    with process("bench.stub") as (stub, _), app(folder, stub=stub, database=None) as server:
        token = server.token("soak")
        marks, pieces = uvloop.run(soak(server, token, sqlite_of(folder), clients=32, minutes=0.5))
        stored = count_runs(sqlite_of(folder))
    assert [piece.figures.errors for piece in pieces] == [0] * len(pieces)
    assert stored.keys() == {"complete"}
    assert stored["complete"] >= marks[-1].runs + sum(piece.figures.count for piece in pieces)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("area", AREAS)
def test_fast_tests_notice_faults_in_the_code(area: str) -> None:
    """Most of a small sample; how many of all, `make mutants` measures."""
    if not importlib.util.find_spec("cosmic_ray"):
        pytest.skip("requirements-mutants.txt is not installed")
    options = ["--fast", "--only-print", "--sample=4", "--minutes=6", "--jobs=1"]
    asked = [sys.executable, "-m", "tests.mutants", area, *options]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    told = re.search(rf"\| {area} \| \d+ \| (\d+) \| \d+ \| (\d+) \|", done.stdout)
    assert told, done.stdout + done.stderr
    tried, killed = map(int, told.groups())
    assert 2 <= tried <= killed * 2, done.stdout
