"""Retrieve: a flow answers from files, its own and those of config.yaml, and says where it found them."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from flowground.app import knowledge_admin
from flowground.app.library import LibraryTimes
from flowground.app.runtime import Runtime
from flowground.components import COMPONENTS
from flowground.components.base import Output
from flowground.components.knowledge import Retrieve
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.citations import NumberedPassage
from flowground.core.errors import ComponentFailed, NoDocuments, RunError
from flowground.core.events import ComponentFinished, Event, PassagesFound, TurnFinished
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from flowground.runs.outputs import set_arguments, write_result
from tests.flow_texts import mistakes
from tests.running import running, take_turn

FLOW = """\
components:
  In: {{type: ChatInput}}
  Found: {{type: Retrieve, knowledge: {name}, search_query: "${{In}}"{more}}}
  Text: {{type: Parser, input_data: "${{Found}}", mode: Stringify}}
  Out: {{type: ChatOutput, input_value: "${{Text}}"}}
knowledge:
  handbook: {{files: ["knowledge/*.md"]}}
"""
LONG = """\
components:
  In: {{type: ChatInput}}
  Found: {{type: Retrieve, knowledge: k, search_query: "${{In}}", top_k: 12}}
{also}
  Model: {{type: LanguageModel, model: '{model}', system_message: "${{Found.passages}}", input_value: "${{In}}"}}
  Out: {{type: ChatOutput, input_value: "${{Model}}"}}
knowledge: {{k: {{files: ["knowledge/{file}.md"], split: {split}}}}}
"""
FILES = ("hotels.md", "leave.md")
BESIDE = '  Also: {{type: Retrieve, knowledge: bare, search_query: "${{In}}"}}\n  Text:'


@asynccontextmanager
async def answering(
    folder: Path, *mores: str, of: str = "handbook", also: Mapping[str, str] | None = None, **named: str
) -> AsyncIterator[Runtime]:
    """With a flow of this knowledge for each of these fields, "it0" and so on, and one for each knowledge by its name.
    `handbook` is a flow's own, `all`, `rules` and `bare`, which is empty, are shared."""
    files = folder / "flows" / "knowledge"
    files.mkdir(parents=True)
    (files / "hotels.md").write_text("---\nteam: travel\n---\n# Hotels\n\nLyon costs 120 euros.")
    (files / "leave.md").write_text("Thirty days; hotels are not paid.")
    (files / "rules.txt").write_text("Badges are worn.")
    for path in files.iterdir():
        os.utime(path, (1_600_000_000, 1_600_000_000))
    shared = {
        "rules": {"files": ["knowledge/rules.txt"]},
        "all": {"files": ["knowledge/*.md"]},
        "bare": {"uploads": True},
    }
    flows = {f"it{number}": FLOW.format(name=of, more=more) for number, more in enumerate(mores)}
    flows |= {flow: FLOW.format(name=name, more="") for flow, name in named.items()}
    flows |= also or {}
    async with running(folder, flows, config={"knowledge": shared}) as runtime:
        runtime.library.pace = LibraryTimes(settle=0.0, wait=120)  # however long a busy machine takes to index
        yield runtime


async def run(runtime: Runtime, said: str, flow: str = "it0") -> list[Event]:
    wired = await runtime.access.open_flow(LOCAL_OWNER, flow)
    return [event async for event in take_turn(runtime, LOCAL_OWNER, wired, RunRequest(said, session_id="s"))]


async def ask(runtime: Runtime, said: str, flow: str = "it0") -> str:
    *_, end = await run(runtime, said, flow)
    assert isinstance(end, TurnFinished)
    return end.outputs[0].text


async def find(runtime: Runtime, said: str, flow: str) -> set[str]:
    answer = await ask(runtime, said, flow)
    return {name for name in FILES if name in answer}


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
    (tool,) = wire(parse_flow(AGENT, "it.yaml"), types=COMPONENTS).tools["Agent"]
    assert tool.spec.parameters["required"] == ["search_query"]
    found = Retrieve(knowledge="handbook")
    for given in ({}, {"search_query": ""}, {"search_query": None}):
        with pytest.raises(RunError, match=r"^`Found` needs `search_query`\.$"):
            set_arguments(found, tool, given)
    nothing = Output({"search_results": [], "passages": ""})
    assert write_result(found.show_result(nothing), Retrieve.outputs) == "Nothing was found."


async def test_passages_say_where_they_stand(tmp_path: Path) -> None:
    async with answering(tmp_path, "", rules="rules", wrong="handbok") as runtime:
        said = await ask(runtime, "Lyon")
        assert '"source":"knowledge/hotels.md"' in said
        assert '"text":"# Hotels\\n\\nLyon costs 120 euros."' in said
        assert '"title":"Hotels","keys":{"team":"travel"}' in said
        assert '"page"' not in said
        assert await ask(runtime, "badges") == await ask(runtime, " ") == ""
        assert "Badges are worn." in await ask(runtime, "badge", "rules")
        with pytest.raises(ComponentFailed, match=r"There is no knowledge 'handbok' \(did you mean handbook\?\)"):
            await ask(runtime, "hotels", "wrong")


async def test_it_goes_on_where_there_are_other_documents_and_where_an_agent_may_go_on(tmp_path: Path) -> None:
    also = {"both": FLOW.replace("  Text:", BESIDE).format(name="handbook", more="")}
    also["agent"] = AGENT.replace("knowledge: handbook", "knowledge: bare").replace("scripted:test", "scripted")
    also["falls"] = FLOW.format(name="bare", more=", step: {on_error: continue, fallback: [{text: None yet.}]}")
    async with answering(tmp_path, "", none="bare", also=also) as runtime:
        with pytest.raises(ComponentFailed) as failed:
            await ask(runtime, "Lyon", "none")
        assert isinstance(failed.value.cause, NoDocuments)
        assert await ask(runtime, "zebra") == ""
        assert "None yet." in await ask(runtime, "Lyon", "falls")
        assert await find(runtime, "Lyon", "both") == {"hotels.md"}
        assert (
            await ask(runtime, 'call Found {"search_query": "Lyon"}', "agent") == "The tools said: Nothing was found."
        )


async def find_given(runtime: Runtime, flow: str) -> list[NumberedPassage]:
    """What its model would have been sent, which is not here."""
    wired = await runtime.access.open_flow(LOCAL_OWNER, flow)
    given: list[NumberedPassage] = []
    with suppress(ComponentFailed):
        async for event in take_turn(runtime, LOCAL_OWNER, wired, RunRequest("Lyon", session_id="s", stream=True)):
            given += event.passages if isinstance(event, PassagesFound) else ()
    return given


async def test_the_built_in_model_alone_is_sent_few_passages(tmp_path: Path) -> None:
    def write(model: str, *, file: str = "many", also: str = "", **split: int) -> str:
        return LONG.format(model=model, file=file, also=also, split=split or {"size": 900, "overlap": 0})

    asks = "  Other: {type: LanguageModel, model: 'scripted', input_value: '${In}'}"
    flows = {
        "local": write("local"),
        "own": write("own"),
        "other": write("scripted"),
        "both": write("local", also=asks),
    }
    flows["twice"] = write("local", also="  Again: {type: Retrieve, knowledge: k, search_query: Lyon costs}")
    flows["whole"] = write("local", file="whole", size=8_000, overlap=0)
    files = tmp_path / "flows" / "knowledge"
    files.mkdir(parents=True)
    (files / "many.md").write_text("\n\n".join(f"# Lyon {at}\n\n{'Lyon costs ä lot. ' * 45}" for at in range(12)))
    (files / "whole.md").write_text("Lyon ä. " * 900)
    providers = {"local": {"download": "off"}, "own": {"type": "local", "path": "none.gguf"}}
    async with running(tmp_path, flows, config={"providers": providers}) as runtime:
        runtime.library.pace = LibraryTimes(settle=0.0, wait=120)
        given = {flow: await find_given(runtime, flow) for flow in flows}
    sizes = {flow: sum(len(one.text.encode()) for one in passages) for flow, passages in given.items()}
    assert [len(given[flow]) for flow in ("local", "twice", "own", "other", "both")] == [4, 2, 12, 12, 12]
    assert max(sizes[flow] for flow in ("local", "twice", "whole")) <= 3_500
    assert sizes["own"] > 9_000
    (whole,) = given["whole"]
    assert whole.end - whole.start == len(whole.text) > 2_000


async def test_fields_choose_among_passages(tmp_path: Path) -> None:
    travel = (", filters: {team: travel}", ", filters: {team: [sales, travel]}")
    hotels = (", top_k: 1", ", filters: {source: ['**/h*', '**/*.txt']}", *travel)
    leave = (", filters: {source: '**/l*'}", ", filters: {source: KNOWLEDGE/L*}")
    nothing = (", filters: {team: sales}", ", filters: {page: [1, 2]}", ", threshold: 1")
    fields = {"": set(FILES)} | {field: set[str]() for field in nothing}
    fields |= {field: {name} for name, some in zip(FILES, (hotels, leave), strict=True) for field in some}
    async with answering(tmp_path, *fields, of="all") as runtime:
        assert {more: await find(runtime, "hotels", f"it{at}") for at, more in enumerate(fields)} == fields


async def test_a_reference_gives_the_value_of_a_filter_and_never_a_pattern(tmp_path: Path) -> None:
    async with answering(tmp_path, ", filters: {team: '{asked}'}, asked: '${In}'") as runtime:
        flow = tmp_path / "flows" / "it0.yaml"
        flow.write_text(flow.read_text().replace('search_query: "${In}"', "search_query: travel hotels"))
        await runtime.catalogue.read_now()
        found = {"travel": {"hotels.md"}, "": set(FILES)}
        for said in ("travel", "", "hotels", "*", "t{r}avel", "{asked}"):
            assert await find(runtime, said, "it0") == found.get(said, set()), said
        assert (await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "it0", "handbook")).unmatched == []


def test_a_model_gives_what_the_filters_leave_open() -> None:
    text = AGENT.replace("handbook}", "handbook, filters: {team: '{team}'}}", 1)
    (tool,) = wire(parse_flow(text, "it.yaml"), types=COMPONENTS).tools["Agent"]
    assert tool.spec.parameters["required"] == ["search_query", "team"]
    found = Retrieve(knowledge="handbook", filters={"team": "{team}"})
    set_one = set_arguments(found, tool, {"search_query": "a", "team": "{team}"})
    assert isinstance(set_one, Retrieve)
    assert set_one.fill_filters() == {"team": "{team}"}


async def test_a_filter_that_no_file_fits_is_told(tmp_path: Path) -> None:
    filters = {
        "{taem: travel}": "The filter `taem` is a key of no file (did you mean team?): keys are `name: value` lines",
        "{team: sales}": 'No file has team: "sales", which the filter wants.',
        "{team: [sales, travle]}": 'No file has team: "sales" or "travle", which the filter wants (did you mean travel',
        "{source: ['*.pdf', a]}": 'No file is called "*.pdf" or "a", which the filter `source` wants.',
        "{source: '*.pdf'}": 'No file is called "*.pdf", which the filter `source` wants.',
    }
    async with answering(tmp_path, *(f", filters: {each}" for each in filters), of="all") as runtime:
        for flow, says in zip(runtime.catalogue.list_flows(), filters.values(), strict=True):
            events = await run(runtime, "hotels", flow)
            notes = [event.note for event in events if isinstance(event, ComponentFinished) and event.note]
            assert [note.startswith(says) for note in notes] == [True]
        unmatched = (await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "", "all")).unmatched
    expected = [f"`Found` of the flow it{number}: {says}" for number, says in enumerate(filters.values())]
    assert [text.startswith(says) for text, says in zip(unmatched, expected, strict=True)] == [True] * 5


async def test_who_adds_files_is_told_what_filters(tmp_path: Path) -> None:
    by_reference = ", filters: '${Api}'}\n  Api: {type: APIRequest, url_input: 'https://api.example.com/'"
    async with answering(tmp_path, "", ", filters: {team: travel}", by_reference) as runtime:
        for flow, has in (("it0", False), ("it1", True), ("it2", True)):
            shown = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, flow, "handbook")
            assert shown.filtering == [f"`Found` of the flow {flow}"] * has


ONE_OF = "is a text, or a list of texts, one of which is meant, not"
PAGE = "The filter `page` is a page, or the first and the last, not"


@pytest.mark.parametrize(
    ("filters", "says"),
    [
        ("{team: []}", f"The filter `team` {ONE_OF} []."),
        ("{team: }", f"The filter `team` {ONE_OF} null."),
        ("{page: first}", f'{PAGE} "first".'),
        ("{page: [3, 1]}", f"{PAGE} [3, 1]."),
        (f"{{team: {['x'] * 51}}}", "The filter `team` has 51 values; 50 are the most."),
    ],
)
def test_a_filter_that_is_none_is_a_mistake_of_the_file(filters: str, says: str) -> None:
    assert any(said.endswith(says) for said in mistakes(FLOW.format(name="handbook", more=f", filters: {filters}")))


def test_filters_that_cannot_be_filled_say_how_they_can() -> None:
    for filters, expected in (
        ("{team: '{asked}'}", "Nobody gives the variable `{asked}`: give `asked: …` beside it, or let an"),
        ("{team: '${In}'}", "`${In}` is no value of a filter: write `{name}` there and `name: ${In}` beside"),
    ):
        (says,) = mistakes(FLOW.format(name="handbook", more=f", filters: {filters}"))
        assert expected in says
