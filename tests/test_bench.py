"""The bench measures and reports; what it measures is asserted nowhere."""

import argparse
import json
import os
import sys
from collections import Counter
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

if sys.platform != "linux":
    pytest.skip("bench/ reads /proc", allow_module_level=True)

import uvloop

from bench.agents import measure as measure_agents
from bench.agents import name_end
from bench.agents import write_rows as write_agents
from bench.api import CLIENTS, Pair, measure_floor, measure_stub
from bench.faults.found import Found, keep
from bench.faults.found import page as list_found
from bench.first_load import ONE_LINE, Opening
from bench.load import Load, percentile, post
from bench.mcp_calls import measure as measure_mcp_calls
from bench.pairs import SLOWER, median_ratio
from bench.peers import report as peers_report
from bench.peers.look import Seen
from bench.peers.wire import count_bytes
from bench.processes import process
from bench.report import Measured, page
from bench.rows import LONG, fill, plan_conversations
from bench.screen import rerun
from bench.steps import CASES, Case, Models, NothingSaid, link
from bench.steps import measure as measure_steps
from bench.steps import write_rows as write_steps
from bench.strangers import CONFIG, measure
from bench.stub import LAST_LONG_WORDS, LONG_ANSWER, write_long
from bench.watch import Watch
from flowground.caller import RunRequest
from flowground.events import RunFinished
from flowground.runner import run_flow
from flowground.runner.budget import RunBudget
from flowground.settings import Limits
from flowground.store import Store
from flowground.store.runs import numbers
from tests.servers import AppServer
from tests.stored import list_messages, list_sessions


@pytest.fixture(scope="module")
def measured() -> Measured:
    with process("bench.stub") as (stub, _), process("bench.floor", f"{stub}/v1") as (floor, watch):
        return Measured(
            stub=uvloop.run(measure_stub(stub, seconds=0.05)),
            floor=uvloop.run(measure_floor(floor, watch, seconds=0.05)),
        )


def test_every_load_is_answered(measured: Measured) -> None:
    for pair in (measured.stub, measured.floor):
        assert [figures.errors for figures in (*pair.plain.values(), *pair.stream.values())] == [0] * 2 * len(CLIENTS)
        assert pair.plain.keys() == pair.stream.keys() == set(CLIENTS)
        assert all(figures.count >= figures.clients for figures in pair.plain.values())
        assert all(figures.first for figures in pair.stream.values())


def test_the_page_has_a_row_for_every_load_and_mark(measured: Measured) -> None:
    measured.app["SQLite"] = Pair(measured.floor.plain, measured.floor.stream)
    measured.starts, measured.memory_first, measured.memory_after = [1.0, 2.0], 80.0, 90.0
    measured.reruns, measured.first_tokens, measured.opening = {"home": 10.0}, [90.0], 500.0
    text = page(measured)
    assert text.count("\n| Flowground, SQLite |") == 2 * len(CLIENTS)
    assert "| start to first successful run | 2 s | 1.0 s |" in text
    assert "| memory (PSS) after the first run | 150 MB | 80 MB |" in text
    assert "| a session with 1,000 messages opens | 1 s | 0.50 s |" in text
    measured.first_loads = {ONE_LINE: Opening(1000, 800, 2760), "home": Opening(1100, 1000, 1065)}
    assert "| home | 1,065 kB | 1100 ms | 1000 ms | 1.10 | 1.25 |" in page(measured)


def test_what_is_refused_is_an_error_that_shows_the_answer() -> None:
    with process("bench.floor", "http://127.0.0.1:9/v1") as (floor, _), pytest.raises(RuntimeError, match="404"):
        uvloop.run(Load(floor, post(f"{floor}/nothing", b"{}")).once())


def test_what_a_flow_adds_is_measured_beside_its_calls() -> None:
    measured = measure_steps(rounds=1)
    assert [of.case.flow for of in measured] == ["each", "deep", "router", "agent", "ask"]
    assert all(of.flow > of.alone > 0 for of in measured)
    *_, last = write_steps(measured)
    assert last.startswith("| a model, alone | 3 |")


@pytest.mark.anyio
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.flow)
async def test_the_steps_that_are_counted_are_those_that_run(case: Case) -> None:
    budget = RunBudget(Limits())
    run = run_flow(link(case.flow), RunRequest(case.message), history=NothingSaid(), models=Models(), budget=budget)
    async with aclosing(run) as events:
        assert isinstance([event async for event in events][-1], RunFinished)
    skipped = 1 if case.flow == "router" else 0
    assert budget.steps + skipped == case.steps


def test_agents_at_once_end_as_something_that_has_a_name() -> None:
    figures = measure_agents(clients=4, rounds=2, percent=20, marks=(60, 240))
    assert figures.run > 0 < figures.model
    assert figures.ends.total() == 40
    assert {"success", "model_failed"} <= figures.ends.keys()
    assert [end for end in figures.ends if end.startswith("no name")] == []
    assert f"| ended as success | {figures.ends['success']} |" in list(write_agents(figures))
    assert list(figures.memory) == [60, 240]


def test_calls_of_an_mcp_server_are_measured_beside_the_bare_client() -> None:
    found = uvloop.run(measure_mcp_calls(calls=5))
    assert list(found) == ["the bare client", "the component MCP"]
    assert [len(times) for times in found.values()] == [5, 5]
    assert min(map(min, found.values())) > 0


def test_an_end_without_a_name_is_told() -> None:
    assert name_end(200, {"text": "Six times seven is 42."}) == "success"
    assert name_end(502, {"detail": {"code": "model_failed"}}) == "model_failed"
    for status, told in ((200, {"text": "Six"}), (500, {"detail": "Oh."}), (200, {"detail": {"code": "x"}}), (502, [])):
        assert name_end(status, told).startswith("no name")


def test_percentiles() -> None:
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([1.0], 95) == 1.0


def test_this_process_has_used_memory_and_time() -> None:
    assert Watch(os.getpid()).memory() > 10
    assert Watch(os.getpid()).cpu() > 0


def test_pairs_tell_slower_from_noise() -> None:
    noise = [0.9, 1.1, 1.0, 0.95, 1.05, 1.2, 0.8] * 5
    ratio, low, high = median_ratio(noise)
    assert low <= ratio <= high
    assert low <= SLOWER
    assert median_ratio([ratio * 1.2 for ratio in noise])[1] > SLOWER


def test_strangers_are_met_and_counted(tmp_path: Path) -> None:
    with AppServer(tmp_path, config=CONFIG, flows=["echo"]) as server:
        given = argparse.Namespace(rounds=1, seconds=1, rest=0.1, sockets=8, frames=2)
        phases, (seen,) = measure(server, given)
    assert [phase.name for phase in phases] == ["quiet", "attacked", "0 s later"]
    assert [phase.failed for phase in phases] == [0, 0, 0]
    assert all(phase.memory > 0 and phase.files > 0 for phase in phases)
    assert phases[1].messages
    assert json.loads(seen)["frames refused"] == 2
    assert all(line.count("|") == 9 for line in (phase.row(1.0) for phase in phases))


def test_a_rerun_measures_the_page_that_was_asked_for(tmp_path: Path) -> None:
    with AppServer(tmp_path, flows=["echo"]) as server:
        assert rerun(server.url, page="playground", query="flow=echo", has_composer=True, count=2) > 0
        assert rerun(server.url, page="", has_composer=False, count=2) > 0
        with pytest.raises(RuntimeError, match="another page"):
            rerun(server.url, page="", has_composer=True, count=1)


def test_what_cases_of_faults_found_is_kept_and_told(tmp_path: Path) -> None:
    file = tmp_path / "data" / "faults.json"
    keep(file, "kill", Found(Counter(moments=20), {"lost": 1}))
    kept = keep(file, "lock", Found({"stops": 1}, Counter(lost=0)))
    assert {name: found.is_bad for name, found in kept.items()} == {"kill": True, "lock": False}
    text = list_found({name: ("What it does.", found) for name, found in kept.items()})
    assert "| kill | What it does. | moments 20 | lost 1 |" in text


@pytest.mark.anyio
async def test_rows_that_were_filled_in_are_read_like_those_of_runs(store: Store, url: str) -> None:
    now = datetime.now(UTC)
    planned = plan_conversations("echo", member="ada", token="t", messages=1_000, now=now.timestamp())
    assert fill(url, planned) == 2 * sum(talk.turns for talk in planned) == 300
    here: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada"}
    assert len(await store.read(list_sessions, **here)) == 1 + 500 * 0.08 // 20
    said = await store.read(list_messages, **here, session_id=LONG)
    assert [message.role for message in said] == ["user", "assistant"] * 10
    assert [step.text for step in said[-1].trace if step.model] == [said[-1].text]
    assert said[-1].trace[0].text == said[-2].text
    summed = await store.read(numbers.sum_up, flow_id="echo", since=now - timedelta(days=366))
    assert summed.runs == sum(talk.turns for talk in planned)


def test_the_stub_writes_a_long_answer_and_the_wire_counts_it() -> None:
    asked = {"model": "any", "stream": True, "messages": [{"role": "user", "content": f"Something {LONG_ANSWER}"}]}
    with process("bench.stub", "1000000") as (stub, _), count_bytes(f"{stub}/v1/chat/completions") as wire:
        answer = requests.post(wire.url, json=asked, timeout=20)
    said = "".join(
        choice["delta"].get("content", "")
        for line in answer.text.splitlines()
        if line.startswith("data: {")
        for choice in json.loads(line[6:])["choices"]
    )
    assert said == "".join(write_long())
    assert said.rstrip().endswith(LAST_LONG_WORDS)
    assert wire.came > len(answer.content)


def test_peers_are_reported_side_by_side_with_marks() -> None:
    whole = Seen(30, 900, 300, 1_100, 800, 9, 20, 1.5, 17, 40, 60, 4.0, 20_000, 1)
    late = replace(whole, first_text=60, cpu=None, finished=None, shown=0.3)
    found = {"Flowground": whole, "Gradio": late, "Chainlit": whole}
    text = peers_report.write(found, dict.fromkeys(found, "1.0"), pace=500)
    assert "| Enter → first text on screen | 30 ms | 60 ms | 30 ms |" in text
    assert "| until it is whole | 20.0 s | not within 120 s: 30% shown | 20.0 s |" in text
    assert "| Enter → first text | at most 40 ms | 30 ms | yes |" in text
    assert "| … beside the faster of the two | at most 0.6 × | 1.00 × | no |" in text
