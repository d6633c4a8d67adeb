"""Knowledge in tables of PostgreSQL: who shares the database shares the index, one makes it, and nothing is left."""

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowground.core.errors import RunError
from flowground.knowledge import IndexHomes, Knowledge, KnowledgeBusy, KnowledgeSources
from flowground.store import Store
from tests.knowledge_homes import cancel_index
from tests.store_databases import DATABASES, empty_database

OLD = 1_600_000_000


@pytest.fixture(params=DATABASES[1:])
def computers(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[Computers]":
    with empty_database(request.param, tmp_path) as url:
        Store.open(url, is_lasting=False).close()
        made = Computers(url, tmp_path)
        yield made
        made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "flows"
    made.mkdir()
    texts = {"travel": "Hotels in Lyon cost 120 euros.", "leave": "Thirty days of leave.", "empty": ""}
    for name, text in texts.items():
        write(made / f"{name}.md", text)
    return made


def write(path: Path, text: str, *, at: float = OLD) -> None:
    path.write_text(text)
    os.utime(path, (at, at))


def sources(folder: Path) -> KnowledgeSources:
    return KnowledgeSources(folder, ("*.md",))


class Computers:
    """Those that share one database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self._folder = url, folder
        self._homes: list[IndexHomes] = []

    def open_homes(self) -> IndexHomes:
        """Another computer's."""
        self._homes.append(IndexHomes(self._folder / f"data{len(self._homes)}", self.url))
        return self._homes[-1]

    def open(self, name: str = "handbook") -> Knowledge:
        return Knowledge(name, self.open_homes().open(name))

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        import psycopg  # noqa: PLC0415 - a development extra

        with psycopg.connect(self.url, autocommit=True) as line:
            return line.execute(question, values).fetchall()

    def count_files(self, *, where: str = "true") -> int:
        (row,) = self.ask(f"SELECT count(*) FROM knowledge_files WHERE {where}")
        return int(row[0])

    def list_words(self, name: str) -> list[tuple[Any, ...]]:
        asked = "SELECT build, word, w.passages FROM knowledge_words w JOIN knowledge_indexes i ON i.id = index_id"
        return self.ask(f"{asked} WHERE name = %s ORDER BY word", name)

    def close(self) -> None:
        for homes in self._homes:
            homes.close()


def test_another_computer_finds_what_one_indexed(computers: Computers, folder: Path, tmp_path: Path) -> None:
    """And agrees that it is current."""
    asyncio.run(computers.open().index(sources(folder)))
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    for path in elsewhere.iterdir():
        os.utime(path, (OLD + 500, OLD + 500))
    other = computers.open()
    assert [hit.source for hit in asyncio.run(other.search("Lyon hotel"))] == ["travel.md"]
    assert not asyncio.run(other.is_outdated(sources(elsewhere)))
    write(elsewhere / "travel.md", "Hotels in Lyon cost 130 euros.", at=OLD + 900)
    assert asyncio.run(other.is_outdated(sources(elsewhere)))


def test_one_makes_the_index_and_who_loses_the_lock_lets_nothing_serve(computers: Computers, folder: Path) -> None:
    first, second = computers.open_homes().open("handbook"), computers.open()
    release = first.take()
    with pytest.raises(KnowledgeBusy, match="being indexed already"):
        asyncio.run(second.index(sources(folder)))
    asyncio.run(computers.open("another").index(sources(folder)))
    place = first.plan(is_copy=False)
    (number,) = computers.ask("SELECT id FROM knowledge_indexes WHERE name = 'handbook'")[0]
    holds = "locktype = 'advisory' AND objsubid = 2 AND objid = %s AND classid::int8 = "
    mine = f"{holds} hashtext('knowledge_indexes'::regclass::oid::text)::int8 & 4294967295"
    assert computers.ask(f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE {mine}", number) == [(True,)]
    asyncio.run(second.index(sources(folder)))
    with pytest.raises(RunError, match="'handbook' cannot be stored"):
        first.publish(place)
    release()
    assert [hit.source for hit in asyncio.run(second.search("Lyon"))] == ["travel.md"]


def test_rows_that_serve_no_more_are_removed_and_words_counted_anew(computers: Computers, folder: Path) -> None:
    knowledge = computers.open()
    for round_ in range(3):
        text = f"Hotels in Paris cost 12{round_} euros, trains {'too ' * round_}."
        write(folder / "travel.md", text, at=OLD + round_)
        asyncio.run(knowledge.index(sources(folder)))
    (folder / "leave.md").unlink()
    asyncio.run(knowledge.index(sources(folder)))
    assert computers.count_files() == 2
    asyncio.run(computers.open("fresh").index(sources(folder)))
    words = computers.list_words("handbook")
    assert ("", "trains", 1) in words
    assert words == computers.list_words("fresh")
    asyncio.run(knowledge.index(KnowledgeSources(folder, ("*.md",), size=200, overlap=0)))
    assert computers.list_words("handbook") == words
    assert computers.count_files(where="build <> ''") == 0


def test_what_was_cancelled_or_left_by_a_killed_process_is_removed(computers: Computers, folder: Path) -> None:
    from flowground.knowledge.index import IndexedFile, IndexedPassage  # noqa: PLC0415 - beside its writer
    from flowground.knowledge.tables import TableIndexWriter  # noqa: PLC0415 - its driver may be missing

    home = computers.open_homes().open("handbook")
    release = home.take()
    writer = TableIndexWriter(home.plan(is_copy=False), about={})
    writer.put_file(IndexedFile("travel.md", "1"), [IndexedPassage("Hotels", 0, 6, None, "")])
    writer.close()
    release()
    assert computers.count_files(where="build <> ''") == 1
    knowledge = computers.open()
    cancel_index(knowledge, sources(folder))
    assert computers.count_files() == 0


def test_an_index_that_no_flow_names_any_more_is_deleted_with_all_its_rows(computers: Computers, folder: Path) -> None:
    for name in ("handbook", "travel/own", "other/own"):
        asyncio.run(computers.open(name).index(sources(folder)))
    homes = computers.open_homes()
    homes.forget({"handbook"}, now=time.time() + 1_800)  # whom another process wanted lately stays
    homes.forget({"handbook"}, now=time.time() + 4_000, deletes=False)
    assert computers.count_files() == 9
    homes.forget({"other/own"}, now=time.time() + 3_000, deletes=False)  # and whoever is wanted now
    homes.forget(set(), now=time.time() + 4_000)
    assert sorted(computers.ask("SELECT name FROM knowledge_indexes")) == [("handbook",), ("other/own",)]
    homes.forget({"handbook"}, now=time.time() + 9_000)
    assert computers.ask("SELECT name FROM knowledge_indexes") == [("handbook",)]
    left = [computers.ask(f"SELECT count(*) FROM knowledge_{part}")[0][0] for part in ("files", "passages")]
    assert left == [3, 2]
    assert not computers.list_words("travel/own")
    assert [hit.source for hit in asyncio.run(computers.open().search("Lyon"))] == ["travel.md"]


def test_a_database_that_does_not_answer_is_a_sentence(tmp_path: Path, folder: Path) -> None:
    pytest.importorskip("psycopg", reason="needs psycopg, the driver of PostgreSQL")
    homes = IndexHomes(tmp_path / "data", "postgresql://nobody:secret@127.0.0.1:1/none")
    knowledge = Knowledge("handbook", homes.open("handbook"))
    for asked in (knowledge.search("hotel"), knowledge.index(sources(folder))):
        with pytest.raises(RunError, match="refused") as told:
            asyncio.run(asked)
        assert "secret" not in str(told.value)
