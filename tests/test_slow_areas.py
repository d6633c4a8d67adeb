"""Which areas of slow tests CI asks, and what becomes of their figures."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests import slow
from tests.kinds import Area, read_areas
from tests.servers import ROOT
from tests.slow import Asked, LastRun


def test_the_table_names_tests_that_exist_and_every_part_of_the_product() -> None:
    areas = read_areas()
    assert areas
    for name, area in areas.items():
        assert [path for path in area.paths if not list(ROOT.glob(path))] == [], name
        for pattern in (pattern for pattern in area.tests if not pattern.startswith("[")):
            file, _, function = pattern.partition("::")
            found = list(ROOT.glob(file))
            assert found, f"{name}: {pattern}"
            texts = "".join(one.read_text("utf-8") for one in found)
            wanted = re.escape(function).replace(r"\*", r"\w*")
            assert re.search(rf"def {wanted}\b", texts), f"{name}: {pattern}"
    paths = {found for area in areas.values() for path in area.paths for found in ROOT.glob(path)}
    parts = (*(ROOT / "flowground").iterdir(), *ROOT.glob("frontend/src"), *ROOT.glob("flows"), ROOT / "pages")
    parts = tuple(part for part in parts if part.suffix in ("", ".py") and not part.name.startswith("__"))
    assert len(parts) > 15
    assert [part.name for part in parts if not any(path in (part, *part.parents) for path in paths)] == []


def test_each_area_has_a_figure() -> None:
    assert slow.read_last_runs().keys() >= read_areas().keys()


@pytest.fixture
def areas(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Asked]:
    """How asking each area ends; those that change may alter it."""
    ends = {name: Asked(True, False, 5, 10) for name in ("new", "old", "whole")}
    page = tmp_path / "weight.md"
    page.write_text(f"# Before\n\n{slow.HEAD}| old | a | 2026-01-01 | 3 | 700 |\n| whole | b | 2026-01-01 | 3 | 10 |\n")
    monkeypatch.setattr(slow, "PAGE", page)
    monkeypatch.setattr(slow, "read_areas", lambda: {name: Area((name,), ()) for name in ends})
    monkeypatch.setattr(slow, "list_changed", lambda area, since: [] if area.paths == ("whole",) else ["x.py"])
    monkeypatch.setattr(slow, "count_commits", {"a": 5, "b": 1, "none": 1_000}.__getitem__)
    monkeypatch.setattr(slow, "find_commit", lambda: "c")
    monkeypatch.setattr(
        slow, "ask", lambda name, limit=1e9: replace(ends[name], seconds=min(ends[name].seconds, limit))
    )
    return ends


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (Asked(True, False, 5, 10), 0, "failed: none"),
        (Asked(False, True, 0, 10), 1, "failed: old"),
        (Asked(False, False, 0, 9_999), 1, "failed: old"),  # hangs
    ],
)
def test_what_changed_is_asked_as_far_as_time_goes(
    areas: dict[str, Asked], capsys: pytest.CaptureFixture[str], end: Asked, code: int, said: str
) -> None:
    slow.write_last_runs(slow.read_last_runs() | {"old": LastRun("a", "2026-01-01", 3, 300)})
    areas["old"] = end
    assert slow.ask_changed() == code
    told = capsys.readouterr().out
    assert told.index("== new, for no figure of it") < told.index("== old, for x.py")
    assert said in told
    assert "whole" not in told


def test_what_does_not_fit_is_named(areas: dict[str, Asked], capsys: pytest.CaptureFixture[str]) -> None:
    assert slow.ask_changed() == 0
    assert "== not run, for want of time: old, for x.py" in capsys.readouterr().out


@pytest.mark.parametrize("code", [0, 1])
def test_an_area_that_passed_at_the_second_try_passed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\necho '.F [99%]'\necho '== 2 passed, 1 passed at the second try =='\nexit {code}\n")
    program.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(program))
    asked = slow.ask("chat")
    assert (asked.has_failed, asked.is_whole, asked.cases) == (code == 1, code == 0, 2)


def test_a_figure_is_written_of_what_passed_whole_at_one_commit(
    areas: dict[str, Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    areas["old"] = Asked(False, False, 3, 10)  # it skipped some
    assert slow.ask_named(["new", "old"]) == 1
    found = slow.read_last_runs()
    assert (found["new"].commit, found["new"].cases, found["old"].commit) == ("c", 5, "a")
    commits = iter("cd")
    monkeypatch.setattr(slow, "find_commit", lambda: next(commits))
    assert slow.ask_named(["whole"]) == 0
    assert slow.read_last_runs()["whole"].commit == "b"
