"""Passages found by meaning: vectors of a server's model, beside the words, and words alone where it fails."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from flowground.app.library import Library, LibraryTimes
from flowground.core.errors import ProviderRefused
from flowground.flows.folder import Catalogue
from flowground.knowledge import IndexHomes, Knowledge, KnowledgeSources
from flowground.knowledge.searching import Filters, fuse
from flowground.knowledge.section import KnowledgeSection
from flowground.knowledge.vectors import Floats, VectorReader, VectorWriter
from flowground.providers import ProviderEntry, Providers
from flowground.providers.openai import OllamaSettings, OpenAISettings
from tests.knowledge_homes import open_homes
from tests.store_databases import DATABASES

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


@pytest.fixture(params=DATABASES)
def knowledge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Knowledge]:
    with open_homes(request.param, tmp_path / "kept") as homes:
        made = Knowledge("k", homes.open("k"))
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
    homes, pace = IndexHomes(folder.parent / "data"), LibraryTimes(0.05, 0.0)
    library = Library(Catalogue(folder), {"all": section}, homes, find_embeddings=find, pace=pace)
    library.watcher.start()
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
