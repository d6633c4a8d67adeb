"""Knowledge: which files are indexed, what is found with which filters, how an index is replaced while it serves."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from flowground.core.errors import RunError
from flowground.core.media_types import explain_pattern, match_path
from flowground.knowledge import Knowledge, KnowledgeBusy, KnowledgeMissing, KnowledgeSources
from flowground.knowledge.building import BuildReport
from flowground.knowledge.index_folder import IndexFolder
from flowground.knowledge.searching import Filters
from flowground.knowledge.sources import find_sources
from tests.documents_of_all_kinds import make_pdf
from tests.heartbeat import stays_responsive
from tests.test_providers_weights import HOLDER

OLD = 1_600_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of flows with a handbook, written long ago."""
    handbook = tmp_path / "flows" / "knowledge" / "handbook"
    handbook.mkdir(parents=True)
    write(handbook / "travel.md", "---\nteam: travel\n---\n# Travel\n\nHotels in Lyon cost 120 euros.\n")
    write(handbook / "leave.txt", "Everybody has thirty days of leave.")
    write(handbook / "rules.pdf", make_pdf(["Badges are worn.", "Bicycles stand in the yard."]))
    return tmp_path / "flows"


def write(path: Path, content: str | bytes, *, at: float = OLD) -> None:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (at, at))


def sources(folder: Path, *files: str) -> KnowledgeSources:
    return KnowledgeSources(folder, files or ("knowledge/**/*.{md,txt,pdf}",))


@pytest.fixture
def knowledge(tmp_path: Path) -> Knowledge:
    return Knowledge("handbook", IndexFolder(tmp_path / "kept"))


def index(knowledge: Knowledge, folder: Path) -> BuildReport:
    return asyncio.run(knowledge.index(sources(folder)))


def make(folder: Path) -> Knowledge:
    """In a folder of its own."""
    return Knowledge("handbook", IndexFolder(folder.parent / "data"))


def cancel_index(knowledge: Knowledge, sources: KnowledgeSources) -> None:
    """Once the first file is read."""

    def end(*_: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(knowledge.index(sources, end))


def find(knowledge: Knowledge, question: str, **more: object) -> list[str]:
    """The sources of the passages that are found."""
    return [hit.source.rpartition("/")[2] for hit in asyncio.run(knowledge.search(question, **more))]  # type: ignore[arg-type]  # as search takes them


def test_a_hit_says_where_it_stands(knowledge: Knowledge, folder: Path) -> None:
    with pytest.raises(KnowledgeMissing, match="not indexed yet"):
        find(knowledge, "hotels")
    assert asyncio.run(knowledge.is_outdated(sources(folder)))
    told: list[tuple[int, int]] = []
    report = asyncio.run(knowledge.index(sources(folder), lambda done, total: told.append((done, total))))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert (report.files, report.read, report.passages, report.notes) == (3, 3, 4, {})
    (hotel,) = asyncio.run(knowledge.search("Lyon hotel"))
    assert hotel.source == "knowledge/handbook/travel.md"
    text = (folder / hotel.source).read_text("utf-8")
    assert text[hotel.start : hotel.end] == hotel.text == "# Travel\n\nHotels in Lyon cost 120 euros."
    assert (hotel.title, hotel.keys, hotel.page) == ("Travel", {"team": "travel"}, None)
    assert 0 < hotel.score <= 1
    for question, page, text in (("badge", 1, "Badges are worn."), ("bicycles", 2, "Bicycles stand in the yard.")):
        (hit,) = asyncio.run(knowledge.search(question))
        assert (hit.page, hit.text, hit.end - hit.start) == (page, text, len(text))
        assert [one.text for one in asyncio.run(knowledge.search(question, filters=Filters(page=page)))] == [text]
        assert asyncio.run(knowledge.search(question, filters=Filters(page=3 - page))) == []


def test_names_of_folders_and_files_alone_find_nothing(knowledge: Knowledge, folder: Path) -> None:
    handbook = folder / "knowledge" / "handbook"
    (handbook / "recipes").mkdir()
    for name in ("a", "b", "recipes/soup"):
        write(handbook / f"{name}.txt", "Soup is boiled, and served hot.")
    write(handbook / "recipes" / "tea.txt", "Water is boiled.")
    write(handbook / "letter.txt", "A recipe came by post.")
    index(knowledge, folder)
    assert find(knowledge, "recipe") == find(knowledge, "recipes") == find(knowledge, "How recipes?") == ["letter.txt"]
    assert find(knowledge, "handbook") == []
    assert find(knowledge, "handbook recipes tea") == ["letter.txt"]
    found = asyncio.run(knowledge.search("served in recipes"))
    scores = {hit.source.removeprefix("knowledge/handbook/"): hit.score for hit in found}
    assert scores["recipes/soup.txt"] > scores["a.txt"] == scores["b.txt"], "a name says which of them is meant"


def test_filters_and_the_threshold_leave_out(knowledge: Knowledge, folder: Path) -> None:
    handbook = folder / "knowledge" / "handbook"
    pages = ["Hotels are listed on page one. " * 40, "Hotels are listed on page two. " * 40]
    write(handbook / "rules.pdf", make_pdf(pages))
    index(knowledge, folder)
    assert set(find(knowledge, "hotels", top_k=20)) == {"travel.md", "rules.pdf"}
    assert set(find(knowledge, "hotels", filters=Filters(("**/*.pdf",)))) == {"rules.pdf"}
    assert find(knowledge, "hotels", filters=Filters(keys={"team": ["travel"]})) == ["travel.md"]
    assert find(knowledge, "hotels", filters=Filters(keys={"team": ["sales"]})) == []
    for page, found in ((2, {2}), ((1, 2), {1, 2})):
        assert {hit.page for hit in asyncio.run(knowledge.search("hotels", filters=Filters(page=page)))} == found
    assert find(knowledge, "hotels", filters=Filters(("../**",))) == []
    assert find(knowledge, "hotels lyon elephants giraffes", threshold=0.9) == []
    assert len(find(knowledge, "hotels", top_k=1)) == 1


def test_a_score_says_how_much_of_the_question_a_passage_has(knowledge: Knowledge, folder: Path) -> None:
    handbook = folder / "knowledge" / "handbook"
    write(handbook / "garage.md", "# Bicycles\n\nBicycles may be used by everybody, and cars are parked below.")
    index(knowledge, folder)

    def score(question: str) -> dict[str, float]:
        return {hit.source.rpartition("/")[2]: hit.score for hit in asyncio.run(knowledge.search(question, top_k=20))}

    known, unknown = score("bicycles")["garage.md"], score("zeppelin bicycles")["garage.md"]
    assert 0.6 < known <= 1
    assert known / 4 < unknown < known, "a word that is nowhere takes from the score, and not all of it"
    long = " ".join(f"[{number}] qx{number}y" for number in range(100))
    assert known / 4 < score(f"bicycles {long}")["garage.md"] < known, "nor do many such words"
    assert score("bicycles")["garage.md"] > score("parked")["garage.md"], "a heading counts more"
    assert score("Who used zeppelins?")["garage.md"] < known / 3, "what is asked for is nowhere"
    assert score("used")["garage.md"] > known / 3


def test_only_files_that_changed_are_read_again_and_all_if_split_otherwise(knowledge: Knowledge, folder: Path) -> None:
    handbook = folder / "knowledge" / "handbook"
    index(knowledge, folder)
    assert not asyncio.run(knowledge.is_outdated(sources(folder)))
    write(handbook / "leave.txt", "Everybody has forty days of leave.", at=OLD + 10)
    write(handbook / "travel.md", (handbook / "travel.md").read_bytes(), at=OLD + 10)
    (handbook / "rules.pdf").unlink()
    assert asyncio.run(knowledge.is_outdated(sources(folder)))
    report = index(knowledge, folder)
    assert (report.files, report.removed, report.passages) == (2, 1, 2)
    assert report.read in (1, 2)  # tables know by its content that one says the same
    assert find(knowledge, "forty") == ["leave.txt"]
    assert find(knowledge, "thirty") == find(knowledge, "badges") == []
    assert find(knowledge, "hotels") == ["travel.md"]
    report = index(knowledge, folder)
    assert (report.read, report.removed) == (0, 0)
    smaller = KnowledgeSources(folder, ("knowledge/**/*.txt",), size=100, overlap=10)
    assert asyncio.run(knowledge.is_outdated(smaller))
    report = asyncio.run(knowledge.index(smaller))
    assert (report.files, report.read) == (1, 1)


def test_a_pdf_that_another_reader_read_or_could_not_read_is_read_again(folder: Path) -> None:
    write(folder / "knowledge" / "broken.pdf", b"%PDF-1.7 and no more")
    knowledge = make(folder)
    index(knowledge, folder)
    (file,) = (folder.parent / "data").glob("*.index")
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE files SET digest = substr(digest, 8) WHERE kind = 'pdf'")
        database.execute("UPDATE files SET digest = '' WHERE source LIKE '%broken.pdf'")
    fresh = make(folder)
    assert find(fresh, "badges") == ["rules.pdf"]
    assert asyncio.run(fresh.is_outdated(sources(folder)))
    report = index(fresh, folder)
    assert (report.files, report.read) == (4, 2)
    assert find(fresh, "badges") == ["rules.pdf"]
    assert not asyncio.run(fresh.is_outdated(sources(folder)))


def test_files_with_other_times_are_the_same(knowledge: Knowledge, folder: Path, tmp_path: Path) -> None:
    """As another computer has them, that shares the index."""
    index(knowledge, folder)
    elsewhere = shutil.copytree(folder, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    assert not asyncio.run(knowledge.is_outdated(sources(elsewhere)))
    write(elsewhere / "knowledge" / "handbook" / "leave.txt", "Everybody has eighty days of leave.", at=OLD + 900)
    assert asyncio.run(knowledge.is_outdated(sources(elsewhere)))


def test_a_file_that_was_just_written_is_looked_at_again(knowledge: Knowledge, folder: Path) -> None:
    """Two writings of the same size within one tick of the clock look alike."""
    leave = folder / "knowledge" / "handbook" / "leave.txt"
    leave.write_text("Everybody has thirty days of leave.")
    index(knowledge, folder)
    before = leave.stat()
    leave.write_text("Everybody has eighty days of leave.")
    os.utime(leave, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert asyncio.run(knowledge.is_outdated(sources(folder)))
    index(knowledge, folder)
    assert find(knowledge, "eighty") == ["leave.txt"]


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_indexed(knowledge: Knowledge, folder: Path) -> None:
    handbook = folder / "knowledge" / "handbook"
    write(handbook / "broken.pdf", b"%PDF-1.4 broken")
    write(handbook / "picture.md", b"\x89PNG\r\n\x1a\n")
    (handbook / "passwords.txt").symlink_to("/etc/passwd")
    (handbook / "elsewhere").symlink_to(folder.parent)
    report = index(knowledge, folder)
    assert report.passages == 4
    notes = sorted(note.removeprefix("knowledge/handbook/") for note in report.notes.values())
    assert notes == [
        "broken.pdf is a damaged PDF.",
        "passwords.txt is left out: it is a link that leads out of the flows folder.",
        "picture.md holds no text, whatever its name says.",
    ]
    assert [*report.notes] == [note.partition(" ")[0] for note in report.notes.values()]
    assert find(knowledge, "root") == []
    assert not asyncio.run(knowledge.is_outdated(sources(folder)))
    assert (index(knowledge, folder)).read == 0


def test_a_file_that_is_left_out_from_now_on_is_found_no_more(knowledge: Knowledge, folder: Path) -> None:
    leave = folder / "knowledge" / "handbook" / "leave.txt"
    write(leave, b"Everybody has eighty days of leave.")
    index(knowledge, folder)
    assert find(knowledge, "eighty") == ["leave.txt"]
    leave.unlink()
    leave.symlink_to("/etc/passwd")
    assert asyncio.run(knowledge.is_outdated(sources(folder)))
    index(knowledge, folder)
    assert find(knowledge, "eighty") == []


def test_an_index_that_is_damaged_is_made_anew(folder: Path) -> None:
    knowledge = make(folder)
    index(knowledge, folder)
    (file,) = (folder.parent / "data").glob("*.index")
    file.write_bytes(b"no database")
    fresh = make(folder)
    with pytest.raises(KnowledgeMissing):
        asyncio.run(fresh.search("hotels"))
    index(fresh, folder)
    assert find(fresh, "hotels") == ["travel.md"]


def test_readers_keep_what_serves_until_the_next_is_done(tmp_path: Path, folder: Path) -> None:
    """Searches go on while indexes are made, in this process and in another one; none ever fails or finds nothing."""
    first, second = (Knowledge("handbook", IndexFolder(tmp_path / "kept")) for _ in range(2))

    async def run() -> int:
        await first.index(sources(folder))
        searches = 0
        for round_ in range(3):
            write(folder / "knowledge" / "handbook" / "leave.txt", f"Leave, version {round_}.", at=OLD + round_)
            indexing = asyncio.create_task(first.index(sources(folder)))
            while not indexing.done():
                for knowledge in (first, second):
                    assert [hit.source for hit in await knowledge.search("Lyon")] == ["knowledge/handbook/travel.md"]
                    searches += 1
            await indexing
            (hit,) = await second.search("leave version")
            assert hit.text == f"Leave, version {round_}."
        return searches

    assert asyncio.run(run()) > 10
    first.close()
    second.close()


def test_one_process_indexes_at_a_time_and_a_dead_one_gives_it_back(folder: Path) -> None:
    (folder.parent / "data").mkdir()
    command = [sys.executable, "-c", HOLDER, str(folder.parent / "data" / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        other.stdout.readline()
        with pytest.raises(KnowledgeBusy, match="being indexed already"):
            index(make(folder), folder)
        other.kill()
    index(make(folder), folder)


def test_what_is_cancelled_leaves_nothing_and_what_a_killed_process_left_is_removed(folder: Path) -> None:
    knowledge, data = make(folder), folder.parent / "data"
    data.mkdir()
    (data / f"{'0' * 32}.index").write_bytes(b"half of it")
    cancel_index(knowledge, sources(folder))
    assert len(list(data.glob("*.index"))) == 1
    index(knowledge, folder)
    assert [path.read_bytes()[:6] for path in data.glob("*.index")] == [b"SQLite"]
    write(folder / "knowledge" / "handbook" / "leave.txt", "Leave, another version.", at=OLD + 1)
    index(knowledge, folder)
    assert len(list(data.glob("*.index"))) == 1


def test_a_folder_that_cannot_be_written_is_a_sentence(folder: Path) -> None:
    data = folder.parent / "data"
    data.write_text("a file")
    with pytest.raises(RunError, match="cannot be stored"):
        index(make(folder), folder)
    data.unlink()
    (data / "current").mkdir(parents=True)
    with pytest.raises(RunError, match="'handbook' cannot be stored: Is a directory"):
        index(make(folder), folder)
    assert list(data.glob("*.index")) == []


def test_nothing_waits_for_an_index_or_a_search(knowledge: Knowledge, folder: Path) -> None:
    line = "Paragraph {} of a long handbook about hotels, trains and leave.\n\n"
    lines = "".join(line.format(number) for number in range(30_000))
    write(folder / "knowledge" / "handbook" / "long.txt", lines)

    async def index_and_search() -> None:
        await knowledge.index(sources(folder))
        hits = await asyncio.gather(*(knowledge.search("hotels trains leave paragraph 77") for _ in range(20)))
        assert {len(found) for found in hits} == {5}

    asyncio.run(stays_responsive(index_and_search))


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("**/*.md", {"a.md", "one/b.md", "one/two/c.md"}),
        ("one/*.md", {"one/b.md"}),
        ("one/**", {"one/b.md", "one/two/c.md", "one/two/d.txt"}),
        ("{a,one/b}.md", {"a.md", "one/b.md"}),
        ("**/two/*.{md,txt}", {"one/two/c.md", "one/two/d.txt"}),
        ("[ab].md", {"a.md"}),
        ("*.MD", set()),
    ],
)
def test_a_pattern_means_these_files(tmp_path: Path, pattern: str, meant: set[str]) -> None:
    every = ("a.md", "one/b.md", "one/two/c.md", "one/two/d.txt", ".hidden.md", ".git/e.md")
    for name in every:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("Hello")
    assert explain_pattern(pattern) is None
    assert set(find_sources(tmp_path, [pattern]).files) == meant
    assert {name for name in every[:4] if match_path(name, pattern)} == meant


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "/etc/*", "../*.md", "a/../../b", "a//b", "./a", "C:/a", "a\\b", "~/a", "{a", "a}", "x" * 301),
        *("a\0b", "a\nb", "{a,b,c,d}" * 5, "{a,b}" * 40),
    ],
)
def test_a_pattern_that_leads_elsewhere_is_a_mistake(tmp_path: Path, pattern: str) -> None:
    assert explain_pattern(pattern)
    assert not match_path("a/b", pattern)


def test_folders_in_a_circle_and_many_stars_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    (tmp_path / "a" / ("a" * 200)).write_text("x")
    (tmp_path / "loop.md").symlink_to(tmp_path / "loop.md")
    found = find_sources(tmp_path, ["**/**/**/**/**/*a*a*a*a*a*a*a*b", "*.md"])
    assert found.files == {}
    assert list(found.left_out) == ["loop.md"]
