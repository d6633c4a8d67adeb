"""Retrieve: a flow answers from files, its own and those of config.yaml, and says where it found them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from flowground import shelving
from flowground.caller import LOCAL_OWNER, RunRequest
from flowground.components import COMPONENTS
from flowground.components.base import Output
from flowground.components.retrieve import Retrieve
from flowground.errors import ComponentFailed, RunError
from flowground.events import ComponentFinished, TurnFinished
from flowground.flow.parse import parse_flow
from flowground.library import LibraryPace
from flowground.runner.tools import set_arguments, write_result
from flowground.runtime import Runtime
from flowground.wiring import wire
from tests.flow_texts import mistakes
from tests.running import running, take_turn

pytestmark = pytest.mark.anyio

FLOW = """\
components:
  In: {{type: ChatInput}}
  Found: {{type: Retrieve, knowledge: {name}, search_query: "${{In}}"{more}}}
  Text: {{type: Parser, input_data: "${{Found}}", mode: Stringify}}
  Out: {{type: ChatOutput, input_value: "${{Text}}"}}
knowledge:
  handbook: {{files: ["knowledge/*.md"]}}
"""


@asynccontextmanager
async def answering(folder: Path, *, name: str = "handbook", more: str = "") -> AsyncIterator[Runtime]:
    files = folder / "flows" / "knowledge"
    files.mkdir(parents=True)
    (files / "hotels.md").write_text("---\nteam: travel\n---\n# Hotels\n\nLyon costs 120 euros.")
    (files / "leave.md").write_text("Thirty days; hotels are not paid.")
    (files / "rules.txt").write_text("Badges are worn.")
    for path in files.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    config = {"knowledge": {"rules": {"files": ["knowledge/rules.txt"]}}}
    async with running(folder, {"it": FLOW.format(name=name, more=more)}, config=config) as runtime:
        runtime.library.pace = LibraryPace(settle=0.0)
        yield runtime


async def ask(runtime: Runtime, said: str) -> str:
    wired = await runtime.access.open_flow(LOCAL_OWNER, "it")
    events = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, RunRequest(said, session_id="s"))]
    end = events[-1]
    assert isinstance(end, TurnFinished)
    return end.outputs[0].text


AGENT = """\
components:
  In: {type: ChatInput}
  Agent: {type: Agent, model: "scripted:test", input_value: "${In}", tools: [Found]}
  Found: {type: Retrieve, knowledge: handbook}
  Out: {type: ChatOutput, input_value: "${Agent}"}
knowledge:
  handbook: {files: ["knowledge/*.md"]}
"""


def test_a_model_that_has_it_as_a_tool_must_say_what_it_looks_for() -> None:
    (tool,) = wire(parse_flow(AGENT, "it.yaml", max_bytes=10_000), types=COMPONENTS).tools["Agent"]
    assert tool.spec.parameters["required"] == ["search_query"]
    found = Retrieve(knowledge="handbook")
    for given in ({}, {"search_query": ""}, {"search_query": None}):
        with pytest.raises(RunError, match=r"^`Found` needs `search_query`\.$"):
            set_arguments(found, tool, given)


def test_a_model_is_told_that_nothing_was_found() -> None:
    nothing = Output({"search_results": [], "passages": ""})
    assert write_result(nothing, Retrieve.outputs, told="passages") == "Nothing was found."


async def test_passages_say_where_they_stand(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        said = await ask(runtime, "Lyon")
        assert '"source":"knowledge/hotels.md"' in said
        assert '"text":"# Hotels\\n\\nLyon costs 120 euros."' in said
        assert '"title":"Hotels","keys":{"team":"travel"}' in said
        assert '"page"' not in said
        assert await ask(runtime, "badges") == ""
        assert await ask(runtime, " ") == ""


@pytest.mark.parametrize(
    ("more", "sources"),
    [
        ("", {"hotels.md", "leave.md"}),
        (", top_k: 1", {"hotels.md"}),
        (", filters: {source: '**/l*'}", {"leave.md"}),
        (", filters: {team: travel}", {"hotels.md"}),
        (", filters: {team: sales}", set()),
        (", filters: {page: [1, 2]}", set()),
        (", filters: {source: ['**/h*', '**/*.txt']}", {"hotels.md"}),
        (", filters: {source: KNOWLEDGE/L*}", {"leave.md"}),
        (", filters: {team: [sales, travel]}", {"hotels.md"}),
        (", threshold: 1", set()),
    ],
)
async def test_fields_choose_among_passages(tmp_path: Path, more: str, sources: set[str]) -> None:
    async with answering(tmp_path, more=more) as runtime:
        said = await ask(runtime, "hotels")
    assert {name for name in ("hotels.md", "leave.md") if name in said} == sources


FILTERED = ", filters: {team: '{asked}'}, asked: '${In}'"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("travel", {"hotels.md"}),
        ("hotels", set()),
        ("*", set()),
        ("t{r}avel", set()),
        ("{asked}", set()),
        ("", {"hotels.md", "leave.md"}),
    ],
)
async def test_a_reference_gives_the_value_of_a_filter_and_never_a_pattern(
    tmp_path: Path, said: str, found: set[str]
) -> None:
    async with answering(tmp_path, more=FILTERED) as runtime:
        flow = tmp_path / "flows" / "it.yaml"
        flow.write_text(flow.read_text().replace('search_query: "${In}"', "search_query: travel hotels"))
        await runtime.catalogue.read_now()
        assert {name for name in ("hotels.md", "leave.md") if name in await ask(runtime, said)} == found
        shown = await shelving.read_knowledge(runtime, LOCAL_OWNER, "it", "handbook")
        assert shown.unmet == []


def test_filters_that_cannot_be_filled_say_how_they_can() -> None:
    (says,) = mistakes(FLOW.format(name="handbook", more=", filters: {team: '{asked}'}"))
    assert "Nobody gives the variable `{asked}`: give `asked: …` beside it, or let an agent call this." in says
    text = FLOW.format(name="handbook", more=", filters: {team: '${In}'}")
    (says,) = mistakes(text)
    assert "`${In}` is no value of a filter: write `{name}` there and `name: ${In}` beside `filters`." in says
    (says,) = mistakes(FLOW.format(name="handbook", more=", filters: '${In}'"))
    assert '`filters: {KEY: "{name}"}` and `name: ${In}`' in says


def test_a_model_gives_what_the_filters_leave_open() -> None:
    text = AGENT.replace("handbook}", "handbook, filters: {team: '{team}'}}", 1)
    (tool,) = wire(parse_flow(text, "it.yaml", max_bytes=10_000), types=COMPONENTS).tools["Agent"]
    assert tool.spec.parameters["required"] == ["search_query", "team"]
    found = Retrieve(knowledge="handbook", filters={"team": "{team}"})
    set_one = set_arguments(found, tool, {"search_query": "a", "team": "{team}"})
    assert isinstance(set_one, Retrieve)
    assert set_one.fill_filters() == {"team": "{team}"}


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ("{taem: travel}", "The filter `taem` is a key of no file (did you mean team?): keys are `name: value` lines"),
        ("{team: sales}", 'No file has team: "sales", which the filter wants.'),
        (
            "{team: [sales, travle]}",
            'No file has team: "sales" or "travle", which the filter wants (did you mean travel?',
        ),
        ("{source: ['*.pdf', a]}", 'No file is called "*.pdf" or "a", which the filter `source` wants.'),
        ("{source: '*.pdf'}", 'No file is called "*.pdf", which the filter `source` wants.'),
    ],
)
async def test_a_filter_that_no_file_fits_is_told(tmp_path: Path, filters: str, says: str) -> None:
    async with answering(tmp_path, more=f", filters: {filters}") as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "it")
        events = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, RunRequest("hotels"))]
        notes = [event.note for event in events if isinstance(event, ComponentFinished)]
        shown = await shelving.read_knowledge(runtime, LOCAL_OWNER, "it", "handbook")
    assert [note.startswith(says) for note in notes if note] == [True]
    assert [unmet.startswith(f"`Found` of the flow it: {says}") for unmet in shown.unmet] == [True]


@pytest.mark.parametrize(
    ("filters", "has"),
    [
        ("", False),
        (", filters: {team: travel}", True),
        (", filters: '${Api}'}\n  Api: {type: APIRequest, url_input: 'https://api.example.com/'", True),
    ],
    ids=["none", "written out", "by a reference"],
)
async def test_who_adds_files_is_told_what_filters(tmp_path: Path, filters: str, has: bool) -> None:
    async with answering(tmp_path, more=filters) as runtime:
        shown = await shelving.read_knowledge(runtime, LOCAL_OWNER, "it", "handbook")
    assert shown.filtering == ["`Found` of the flow it"] * has


async def test_what_all_flows_may_look_up_is_found(tmp_path: Path) -> None:
    async with answering(tmp_path, name="rules") as runtime:
        assert "Badges are worn." in await ask(runtime, "badge")


async def test_a_wrong_name_is_a_sentence(tmp_path: Path) -> None:
    async with answering(tmp_path, name="handbok") as runtime:
        with pytest.raises(ComponentFailed, match=r"There is no knowledge 'handbok' \(did you mean handbook\?\)"):
            await ask(runtime, "hotels")


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ("{team: []}", "The filter `team` is a text, or a list of texts, one of which is meant, not []."),
        ("{team: {is: a}}", 'The filter `team` is a text, or a list of texts, one of which is meant, not {"is": "a"}.'),
        ("{team: }", "The filter `team` is a text, or a list of texts, one of which is meant, not null."),
        ("{page: first}", 'The filter `page` is a page, or the first and the last, not "first".'),
        ("{page: '{asked}'}, asked: a", 'The filter `page` is a page, or the first and the last, not "{asked}".'),
        ("{page: true}", "The filter `page` is a page, or the first and the last, not true."),
        ("{page: [3, 1]}", "The filter `page` is a page, or the first and the last, not [3, 1]."),
        (f"{{team: {['x'] * 51}}}", "The filter `team` has 51 values; 50 are the most."),
    ],
)
def test_a_filter_that_is_none_is_a_mistake_of_the_file(filters: str, says: str) -> None:
    assert any(said.endswith(says) for said in mistakes(FLOW.format(name="handbook", more=f", filters: {filters}")))


def test_a_retrieve_names_its_knowledge() -> None:
    assert (
        "`knowledge`" in mistakes("components:\n  It: {type: Retrieve}\n  Out: {type: ChatOutput, input_value: a}\n")[0]
    )
