"""Retrieve: a flow answers from files, its own and those of config.yaml, and says where it found them.

Passages found by meaning: vectors of a server's model, beside the words, and words alone where it fails.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from flowground.app import knowledge_admin
from flowground.app.library import Library, LibraryTimes
from flowground.app.runtime import Runtime
from flowground.components import COMPONENTS
from flowground.components.base import Output
from flowground.components.knowledge import Retrieve
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.citations import NumberedPassage
from flowground.core.errors import ComponentFailed, NoDocuments, ProviderRefused, RunError
from flowground.core.events import ComponentFinished, PassagesFound
from flowground.flows.folder import Catalogue
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import wire
from flowground.knowledge import Knowledge, KnowledgeSources
from flowground.knowledge.index_folder import IndexFolder, IndexFolders
from flowground.knowledge.searching import Filters, fuse
from flowground.knowledge.section import KnowledgeSection
from flowground.knowledge.vectors import Floats, VectorReader, VectorWriter
from flowground.providers import ProviderEntry, Providers
from flowground.providers.openai import OllamaSettings, OpenAISettings
from flowground.runs.outputs import set_arguments, write_result
from tests.flow_texts import mistakes
from tests.running import hear_turn, read_end, running, take_turn

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


async def ask(runtime: Runtime, said: str, flow: str = "it0") -> str:
    return read_end(await hear_turn(runtime, flow, said)).outputs[0].text


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
            events = await hear_turn(runtime, flow, "hotels")
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


MEANINGS = {"automobile": 0, "car": 0, "vehicle": 0, "holiday": 1, "vacation": 1, "leave": 1, "invoice": 2, "bill": 2}


class Stub:
    """A server of `/embeddings` that knows eight words; `asked` are the texts it was given, `status` its answer's."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 200
        self.dimensions = 8
        self.url = ""
        self.writers: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while asked := await reader.readuntil(b"\r\n\r\n"):
                assert b"/v1/embeddings" in asked
                size = int(asked.lower().partition(b"content-length:")[2].split()[0])
                texts = json.loads(await reader.readexactly(size))["input"]
                self.asked += texts
                data = [{"index": at, "embedding": self.mean(text)} for at, text in enumerate(texts)]
                said = json.dumps({"data": data[::-1]}).encode()
                head = f"HTTP/1.1 {self.status} X\r\ncontent-type: application/json\r\ncontent-length: {len(said)}"
                writer.write(f"{head}\r\n\r\n".encode() + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    def mean(self, text: str) -> list[float]:
        vector = [0.01] * self.dimensions
        for word in text.lower().replace(".", " ").split():
            if word in MEANINGS:
                vector[MEANINGS[word]] += 1
        return vector


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    stub = Stub()
    server = await asyncio.start_server(stub.answer, "127.0.0.1")
    stub.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    async with server:
        yield stub
        for writer in stub.writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def write(folder: Path, name: str, text: str, *, at: float = 1_600_000_000) -> None:
    (folder / name).write_text(text)
    os.utime(folder / name, (at, at))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "flows"
    made.mkdir()
    write(made, "garage.txt", "An automobile stands in the garage.")
    write(made, "office.txt", "Vacation is asked for in the office.")
    write(made, "money.txt", "Each invoice is paid in a month.")
    return made


@pytest.fixture
def knowledge(tmp_path: Path) -> Iterator[Knowledge]:
    made = Knowledge("k", IndexFolder(tmp_path / "kept"))
    yield made
    made.close()


@pytest.fixture
async def providers(stub: Stub, folder: Path) -> AsyncIterator[Providers]:
    mine, ollama = OpenAISettings(base_url=stub.url, retries=0), OllamaSettings(base_url=stub.url, retries=0)
    entries: dict[str, ProviderEntry] = {"mine": mine, "ollama": ollama}
    made = Providers(entries, default_model="local", folder=folder)
    yield made
    await made.close()


@pytest.mark.parametrize("named", ["mine:small", "ollama:small"])
async def test_a_synonym_is_found(knowledge: Knowledge, folder: Path, providers: Providers, named: str) -> None:
    model = providers.find_embeddings(named)
    await knowledge.index(KnowledgeSources(folder, ("*.txt",), embeddings=model))
    assert await knowledge.search("car") == []
    hits = await knowledge.search("car", embeddings=model)
    assert [hit.source for hit in hits][:1] == ["garage.txt"]
    assert [hit.score for hit in hits] == [0.6], "what is as far as any passage is not found"
    both = await knowledge.search("automobile", embeddings=model)
    assert both[0].source == "garage.txt"
    assert 0.6 < both[0].score < 1, "words count beside"
    assert await knowledge.search("car", embeddings=model, filters=Filters(("o*.txt",))) == []
    only = await knowledge.search("car", embeddings=model, filters=Filters(("g*.txt",)))
    assert {hit.source for hit in only} == {"garage.txt"}


async def test_unchanged_vectors_are_kept(knowledge: Knowledge, folder: Path, stub: Stub, providers: Providers) -> None:
    model = providers.find_embeddings("mine:small")
    sources = KnowledgeSources(folder, ("*.txt",), embeddings=model)
    await knowledge.index(sources)
    assert len(stub.asked) == 3
    assert not await knowledge.is_outdated(sources)
    write(folder, "money.txt", "Each bill is paid at once.", at=1_600_000_100)
    (folder / "office.txt").unlink()
    await knowledge.index(sources)
    assert stub.asked[3:] == ["Each bill is paid at once."]
    assert (await knowledge.search("vehicle", embeddings=model))[0].source == "garage.txt"
    assert (await knowledge.search("invoice", embeddings=model))[0].source == "money.txt"
    other = providers.find_embeddings("mine:large")
    assert await knowledge.is_outdated(KnowledgeSources(folder, ("*.txt",), embeddings=other))
    kept = folder.parent / "kept"
    assert len([*kept.rglob("*.vectors"), *kept.rglob("*.arrays")]) == 1


async def test_without_it_words_are_found(knowledge: Knowledge, folder: Path, stub: Stub, providers: Providers) -> None:
    """The model; and that it failed is said."""
    stub.status = 500
    model = providers.find_embeddings("mine:small")
    sources = KnowledgeSources(folder, ("*.txt",), embeddings=model)
    report = await knowledge.index(sources)
    assert report.vectors.startswith("Only words are found: The provider 'mine' answered with status 500")
    assert await knowledge.is_outdated(sources)
    assert await knowledge.is_without_vectors(sources)
    found = [await knowledge.search("automobile", embeddings=model)]
    stub.status = 200
    await knowledge.index(sources)
    assert not await knowledge.is_without_vectors(sources)
    assert not await knowledge.is_outdated(sources)
    for stub.status, stub.dimensions in ((500, 8), (200, 16)):
        found.append(await knowledge.search("automobile", embeddings=model))
    assert [[hit.source for hit in hits] for hits in found] == [["garage.txt"]] * 3


def test_a_model_that_makes_no_vectors_is_a_sentence(folder: Path) -> None:
    providers = Providers({}, default_model="local", folder=folder)
    with pytest.raises(ProviderRefused, match="'scripted' gives no vectors"):
        providers.find_embeddings("scripted:echo")
    with pytest.raises(ProviderRefused, match=r"names no model of embeddings \(did you mean ollama\?\)"):
        providers.find_embeddings("olama:small")


@asynccontextmanager
async def open_library(folder: Path, providers: Providers) -> AsyncIterator[Library]:
    section, find = KnowledgeSection(files=("*.txt",), embeddings="mine:small"), providers.find_embeddings
    homes, pace = IndexFolders(folder.parent / "data"), LibraryTimes(0.05, 0.0)
    library = Library(Catalogue(folder), {"all": section}, homes, find_embeddings=find, pace=pace)
    library.start()
    yield library
    await library.close()


async def test_a_library_asks_the_model_that_a_section_names(folder: Path, providers: Providers) -> None:
    async with open_library(folder, providers) as library:
        assert (await library.search("travel", "all", "car"))[0].source == "garage.txt"


async def test_a_restart_knows_why_vectors_are_missing(folder: Path, stub: Stub, providers: Providers) -> None:
    stub.status = 500
    for _ in range(2):
        async with open_library(folder, providers) as library, asyncio.timeout(60):
            while not ((state := library.states.get("all")) and state.report):  # noqa: ASYNC110 - of a state nobody is notified
                await asyncio.sleep(0.02)
            assert state.report.vectors.startswith("Only words are found: The provider 'mine' answered with status")


def _find_exactly(vectors: Floats, question: Sequence[float], most: int) -> set[int]:
    given = np.asarray(vectors)
    near = given @ np.asarray(question) / np.linalg.norm(given, axis=1)
    return set((np.argsort(-near)[:most] + 1).tolist())


def test_the_first_pass_loses_little(tmp_path: Path) -> None:
    """Of the ten nearest of 10,000 vectors in clusters it keeps nine."""
    chance = np.random.default_rng(13)
    centres = chance.normal(size=(100, 256))
    vectors = (centres[chance.integers(0, 100, 10_000)] + chance.normal(size=(10_000, 256)) * 0.7).astype(np.float32)
    writer = VectorWriter(tmp_path, range(1, 10_001), 256)
    writer.put(0, vectors)
    writer.finish("m")
    reader = VectorReader(tmp_path, "m")
    kept = 0
    for row in range(0, 10_000, 500):
        question = (vectors[row] + chance.normal(size=256) * 0.3).tolist()
        found = set(reader.search(question, most=10, ids=None))
        kept += len(found & _find_exactly(vectors, question, 10))
    assert kept >= 0.9 * 200
    some = reader.search(vectors[4].tolist(), most=3, ids=[5, 6, 7])
    assert (some[0], set(some)) == (5, {5, 6, 7})
    with pytest.raises(ValueError, match="another model"):
        VectorReader(tmp_path, "other")


def test_scores_of_both_are_one() -> None:
    assert [number for number, _ in fuse({1: 0.5, 2: 0.4}, {1: 0.1, 3: 0.6})] == [3, 1, 2]
    assert fuse({1: 1.0}, {1: 1.0}) == [(1, 1.0)]
