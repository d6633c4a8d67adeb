"""The measurements of files and knowledge, made small: that they measure what they say."""

import asyncio
import sys
from pathlib import Path

import pytest
import uvloop

from bench.api import run_load
from bench.knowledge import QUESTIONS, measure_quality, read_questions
from bench.knowledge_commits import measure as measure_commits
from bench.processes import app, process
from bench.uploads import make_people, write_rows
from bench.uploads import measure as measure_uploads
from tests.servers import ROOT


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_uploads_are_kept_while_runs_are_answered(tmp_path: Path) -> None:
    with process("bench.stub") as (stub, _), app(tmp_path, stub=stub, database=None) as server:
        people = asyncio.run(make_people(server))[:3]
        load = run_load(server, server.token("bench"))
        figures = uvloop.run(measure_uploads(server, load, people, rounds=1, quiet_seconds=0.2))
    assert len(list((tmp_path / "data" / "files").glob("??/??/*"))) == 30
    assert len(figures.quiet) > 0 < len(figures.busy)
    assert len(figures.memory) == 2
    assert any(row.startswith("| p95 against quiet") for row in write_rows(figures))


@pytest.mark.anyio
async def test_commits_are_measured_alone_and_beside_an_index(tmp_path: Path) -> None:
    figures = await measure_commits(tmp_path, passages=50, rounds=1)
    assert len(figures.quiet) > 0 < len(figures.busy)
    assert figures.slower > 0


@pytest.mark.anyio
async def test_questions_name_places_that_are_there(tmp_path: Path) -> None:
    """All of them, and none is answered by a folder of four words."""
    for name in QUESTIONS:
        asked = read_questions(name)
        assert len({one["ask"] for one in asked}) in {30, 60}
        for place in {place for one in asked for place in one["in"]}:
            file, _, heading = place.partition("#")
            text = (ROOT / file).read_text("utf-8")
            assert not heading or f"# {heading}\n" in text, place
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Something else entirely")
    assert {figures[:2] for figures in (await measure_quality(tmp_path)).values()} == {(0, 0)}
