"""The bench measures and reports; what it measures is asserted nowhere."""

import sys
import time
from argparse import Namespace
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("bench/ reads /proc", allow_module_level=True)

import uvloop

from bench import api, growth, strangers, weigh
from bench.api import CLIENTS, floor_loads, measure_pair, run_load, stub_loads
from bench.conversations import measure_messages
from bench.faults.found import Found, keep
from bench.faults.found import page as list_found
from bench.faults.stored import find_token, sqlite_of
from bench.first_load import ONE_LINE, Opening
from bench.knowledge import QUESTIONS, measure_quality, read_questions
from bench.load import take_turns
from bench.pairs import SLOWER, median_ratio
from bench.processes import app, process
from bench.report import Measured, page
from bench.rows import LONG, fill, plan_conversations, plan_programs
from bench.watch import Watch
from flowground.store import Store
from tests.running import chat_flow
from tests.servers import ROOT, AppServer
from tests.stored import list_messages


def test_every_load_is_answered_and_has_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_WARM_SECONDS", 0.1)
    with process("bench.stub") as (stub, _), process("bench.floor", f"{stub}/v1") as (floor, watch):
        pairs = [uvloop.run(measure_pair(*of, seconds=0.05)) for of in (stub_loads(stub), floor_loads(floor, watch))]
    for pair in pairs:
        assert [figures.errors for figures in (*pair.plain.values(), *pair.stream.values())] == [0] * 2 * len(CLIENTS)
        assert all(figures.first for figures in pair.stream.values())
    openings = {ONE_LINE: Opening(1000, 800, 2760), "home": Opening(1100, 1000, 1065)}
    text = page(Measured(stub=pairs[0], floor=pairs[1], app={"SQLite": pairs[1]}, first_loads=openings))
    assert text.count("\n| Flowground, SQLite |") == 2 * 2  # whole and streamed, of 1 and 32 clients
    assert "| home | 1,065 kB | 1100 ms | 1000 ms | 1.10 | 1.25 |" in text


def test_the_app_is_loaded_and_talked_to(tmp_path: Path) -> None:
    with process("bench.stub") as (stub, _), app(tmp_path / "bench", stub=stub, database=None) as server:
        loads = {"run": run_load(server, server.token("bench"))}
        (figures,) = uvloop.run(take_turns(loads, 2, count=1, seconds=0.1))["run"]
        assert figures.errors == 0 < (figures.cpu or 0) < Watch(server.pid).memory()
    with AppServer(tmp_path / "chat", flows={"short": chat_flow("scripted:echo", "short")}) as server:
        assert min(uvloop.run(measure_messages(server, sockets=2, count=2))) > 0


def test_strangers_are_met_and_counted(tmp_path: Path) -> None:
    with AppServer(tmp_path, config=strangers.CONFIG, flows=["echo"]) as server:
        phases, (seen,) = strangers.measure(server, Namespace(rounds=1, seconds=1, rest=0.1, sockets=8, frames=2))
    assert [(phase.name, phase.failed) for phase in phases] == [("quiet", 0), ("attacked", 0), ("0 s later", 0)]
    assert '"opened": 8' in seen


def test_pairs_tell_slower_from_noise() -> None:
    noise = [0.9, 1.1, 1.0, 0.95, 1.05, 1.2, 0.8] * 5
    assert median_ratio(noise)[1] <= SLOWER < median_ratio([ratio * 1.2 for ratio in noise])[1]


def test_what_cases_of_faults_found_is_kept_and_told(tmp_path: Path) -> None:
    kept = keep(tmp_path / "data" / "faults.json", "kill", Found(Counter(moments=20), {"lost": 1}))
    assert kept["kill"].is_bad
    assert "| kill | What it does. | moments 20 | lost 1 |" in list_found({"kill": ("What it does.", kept["kill"])})


async def test_rows_that_were_filled_in_are_read_like_those_of_runs(store: Store, url: str) -> None:
    planned = plan_conversations("echo", member="ada", token="t", messages=1_000, now=time.time())
    assert fill(url, planned) == 2 * sum(talk.turns for talk in planned) == 300
    said = await store.read(list_messages, flow_id="echo", owner="member:ada", session_id=LONG)
    assert [step.text for step in said[-1].trace if step.model] == [said[-1].text]


async def test_questions_name_places_that_are_there(tmp_path: Path) -> None:
    for place in {place for name in QUESTIONS for one in read_questions(name) for place in one["in"]}:
        file, _, heading = place.partition("#")
        assert not heading or f"# {heading}\n" in (ROOT / file).read_text("utf-8"), place
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "other.md").write_text("# Something else entirely")
    assert [{*found} for found in (await measure_quality(tmp_path)).values()] == [{"questions"}] * 3


def test_pages_that_a_run_changes_are_counted_and_a_full_database_is_compared_with_an_empty_one(tmp_path: Path) -> None:
    with process("bench.stub") as (stub, _), app(tmp_path, stub=stub, database=None) as server:
        load = run_load(server, server.token("bench"))
        database = sqlite_of(tmp_path)
        planned = plan_programs("bench", token=find_token(database, "bench"), turns=500, now=time.time())
        assert fill(database, planned) == 1_000
        assert 0 < growth.count_pages(tmp_path, load, seconds=0.3) < 20
        (figures,) = uvloop.run(take_turns({"run": load}, 2, count=1, seconds=0.1))["run"]
    half = replace(figures, per_second=figures.per_second / 2)
    assert "ratio 0.500 [0.500, 0.500]" in growth.compare([figures] * 3, [half] * 3)[0]


def test_what_is_over_a_limit_is_said_and_what_is_written_by_hand_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert weigh.count_lines('"""Docs."""\n\n# why\ndef f() -> str:\n    return """\n\ntext"""\n') == 4
    monkeypatch.setattr(weigh, "MEASURES", {"a": weigh.Measure("lines", lambda: 5)})
    limits = weigh.Limits("Next", {"a": 4}, {"Now": {"a": 5}, "Next": {"a": 4}})
    assert list(limits.list_over()) == ["lines: 5, and “Next” allows 4."]
    after = limits.write_table("# Title\n\n| old |\n| --- |\n\n## By hand\n\n| x |\n", commit="abc")
    assert after.startswith("# Title\n\n| measure | at 2e7e596 | now, at abc | Now | **Next** |\n")
    assert after.endswith("| lines | 4 | 5 | 5 | 4 |\n\n## By hand\n\n| x |\n")
