"""A process that stands still under load, or a computer that sleeps, loses no run, and nobody calls its runs dead.

For some seconds here; `python -m bench.faults` does it for thirty.
"""

import shutil
from pathlib import Path

import pytest

from bench.faults.stops import stop_both, stop_one
from tests.store_databases import DATABASES, empty_database

SHORT = {"store_seconds": 1}
"""Less than it stands still for, as 15 are less than 30."""


@pytest.mark.parametrize("kind", DATABASES)
def test_a_second_process_calls_no_run_of_a_stopped_one_dead(kind: str, tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        found = stop_one(tmp_path, url, seconds=2.5, limits=SHORT)
    assert found.seen["answers under way"] == 4
    assert found.seen["looks at a run of the stopped process"] > 3
    assert found.seen["runs acknowledged"] > 50
    assert {what: count for what, count in found.wrong.items() if count} == {}


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
@pytest.mark.parametrize("kind", DATABASES)
def test_processes_that_slept_together_go_on(kind: str, tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        found = stop_both(tmp_path, url, rounds=1, seconds=2.5, limits=SHORT)
    assert found.seen["answers under way"] == 8
    assert found.seen["runs acknowledged"] > 50
    assert {what: count for what, count in found.wrong.items() if count} == {}
