"""The bench measures and reports; what it measures is asserted nowhere."""

import argparse
import json
import os
import sys
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("bench/ reads /proc", allow_module_level=True)

import uvloop

from bench.api import CLIENTS, Pair, measure_floor, measure_stub
from bench.load import Load, percentile, post
from bench.pairs import SLOWER, median_ratio
from bench.processes import process
from bench.report import Measured, page
from bench.screen import rerun
from bench.strangers import CONFIG, measure
from bench.watch import Watch
from tests.servers import AppServer


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


def test_what_is_refused_is_an_error_that_shows_the_answer() -> None:
    with process("bench.floor", "http://127.0.0.1:9/v1") as (floor, _), pytest.raises(RuntimeError, match="404"):
        uvloop.run(Load(floor, post(f"{floor}/nothing", b"{}")).once())


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
