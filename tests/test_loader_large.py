"""Flow files as large as they may be: read in time linear in their size, and never on the loop."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from flowground.flows.folder import Catalogue
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from tests.api.serving import serving
from tests.flow_files import LARGEST, MOST, references
from tests.flow_folder import read_said
from tests.heartbeat import stays_responsive

GOOD = "name: Good\ncomponents:\n  Out: {type: ChatOutput, input_value: hello}\n"


def read(content: str) -> float:
    """Seconds of CPU that one file takes."""
    begun = time.thread_time()
    wire(parse_flow(content, "x.yaml"))
    return time.thread_time() - begun


def wait_for_the_look(catalogue: Catalogue) -> None:
    """The look itself is to be measured, not only the wait for it."""
    with catalogue._lock:
        pass


def test_reading_is_linear_in_the_number_of_references() -> None:
    """Twice as much takes twice as long; counting lines from the beginning would make it four times."""
    read(references(500))
    small, middle, large = (min(read(references(lines)) for _ in range(3)) for lines in (3_000, 6_000, 12_000))
    assert large < 6.5 * small, (small, middle, large)
    wired = wire(parse_flow(references(12_000), "x.yaml"))
    assert len(wired.connections["A"]["input_value"].references) == 12_000


@pytest.mark.parametrize("case", LARGEST)
async def test_a_look_at_the_largest_files_keeps_nobody_waiting(tmp_path: Path, case: str) -> None:
    content = LARGEST[case].encode()
    assert len(content) <= MOST
    (tmp_path / "good.yaml").write_text(GOOD)
    catalogue = Catalogue(tmp_path)
    number = 0

    async def look() -> None:
        nonlocal number
        number += 1
        (tmp_path / "large.yaml").write_bytes(content + b"#" * number if len(content) < MOST - 10 else content)
        catalogue._looked = 0.0
        await catalogue.refresh()
        await asyncio.to_thread(wait_for_the_look, catalogue)

    await stays_responsive(look)
    assert "good" in catalogue.list_flows()
    assert "large" in catalogue.list_flows() or "large.yaml" in catalogue.list_problems()


async def test_three_hundred_changed_files_keep_nobody_waiting(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    rounds = 0

    async def change_all() -> None:
        nonlocal rounds
        rounds += 1
        for number in range(300):
            (tmp_path / f"f{number}.yaml").write_text(GOOD.replace("hello", f"round {rounds}"))
            if number % 20 == 0:
                await asyncio.sleep(0)  # this test's own writing
        catalogue._looked = 0.0
        await catalogue.refresh()
        await asyncio.to_thread(wait_for_the_look, catalogue)

    await stays_responsive(change_all)
    assert len(catalogue.list_flows()) == 300
    assert read_said(catalogue, "f7") == f"round {rounds}"


CHAIN = LARGEST["most components"].replace("{type: TextInput}", "{type: ChatInput}")
WIDE = "components:\n  In: {type: ChatInput}\n" + "".join(
    f'  A{number}: {{type: ChatOutput, input_value: "${{In}}"}}\n' for number in range(499)
)


@pytest.mark.parametrize(
    ("case", "said"),
    [*((case, "hi") for case in ("references in lines", "references in one line", "the largest template")),
     ("chain", "hi"), ("wide", "hi"), ("wide", "x" * 5_000)],
)  # fmt: skip
@pytest.mark.parametrize("query", ["", "?stream=true"])
async def test_a_run_of_the_largest_flow_keeps_nobody_waiting(tmp_path: Path, case: str, said: str, query: str) -> None:
    flows = {"large": {"chain": CHAIN, "wide": WIDE}.get(case) or LARGEST[case]}
    content = json.dumps({"input_value": said, "output_type": "debug"}).encode()
    async with serving(tmp_path, flows=flows) as api:
        answers = []

        async def ask() -> None:
            answers.append(await api.client.post(f"/api/v1/run/large{query}", content=content))

        await stays_responsive(ask)
    assert answers[0].status_code in (200, 429)
    if case == "wide" and not query:
        assert len(answers[0].json()["outputs"][0]["outputs"]) == 500


async def test_an_answer_of_too_many_texts_is_refused(tmp_path: Path) -> None:
    """500 outputs of a message of 200,000 characters would be half a gigabyte."""
    content = json.dumps({"input_value": "x" * 200_000}).encode()
    async with serving(tmp_path, flows={"wide": WIDE}) as api:
        answers = []

        async def ask() -> None:
            answers.append(await api.client.post("/api/v1/run/wide", content=content))

        await stays_responsive(ask)
    assert (answers[0].status_code, answers[0].json()["detail"]["code"]) == (500, "run_failed")
