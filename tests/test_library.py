"""Knowledge that flow files and config.yaml name: its mistakes, and that it is indexed when files change."""

import asyncio
import os
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from flowground.app.library import Library, LibraryTimes
from flowground.core.errors import RunError
from flowground.flows.folder import Catalogue
from flowground.knowledge import KnowledgeMissing
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index_folder import IndexFolders
from flowground.knowledge.section import KnowledgeSection
from tests.flow_texts import mistakes, parsed
from tests.run_rows import eventually
from tests.test_settings import load, refusal

FLOW = """\
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In}"}
"""
WITH = """\
knowledge:
  handbook:
    files: [knowledge/**/*.md]
    split: {size: 400, overlap: 100}
"""


def test_a_flow_file_names_its_knowledge() -> None:
    flow = parsed(FLOW + WITH)
    section = flow.knowledge["handbook"]
    assert (section.files, section.split.size, section.split.overlap) == (("knowledge/**/*.md",), 400, 100)
    assert parsed(FLOW + "knowledge:\n").knowledge == {}
    section = parsed(FLOW + "knowledge:\n  handbook: {uploads: true}\n").knowledge["handbook"]
    assert (section.files, section.uploads) == ((), True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("  handbook: {files: [../*.md]}", "5:22: `knowledge.handbook.files.0`: a pattern of files stays inside"),
        ("  handbook: {files: ['/etc/*']}", "5:22: `knowledge.handbook.files.0`: a pattern of files counts from"),
        ("  handbook: {files: []}", "5:21: `knowledge.handbook.files`: there are 1 to 50 patterns."),
        ("  handbook: {}", "5:13: `knowledge.handbook`: there is `files`, `urls` or `uploads: true`."),
        ("  handbook: {files: [a], embeddings: small}", "5:38: `knowledge.handbook.embeddings`: a model is written"),
        ("  handbook: {file: [a]}", "There is no `file` in `knowledge.handbook`. (did you mean files?)"),
        ("  Hand Book: {files: [a]}", "`knowledge`: 'Hand Book' is no name: those are small letters"),
        ("  handbook: {files: [a], split: {size: 200, overlap: 150}}", "`overlap` is half of `size` at most."),
        ("  handbook: {files: [a], split: {size: 10}}", "5:40: `knowledge.handbook.split.size` is a whole number from"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    found = "\n".join(mistakes(f"{FLOW}knowledge:\n{text}\n"))
    assert said in found


def test_config_yaml_names_what_all_flows_may_look_up(tmp_path: Path) -> None:
    settings = load(tmp_path, WITH)
    assert settings.knowledge["handbook"].split.overlap == 100
    said = refusal(tmp_path, "knowledge:\n  a:\n    files: [../b]\n")
    assert said.startswith("config.yaml:3: knowledge.a.files.0: a pattern of files stays inside the flows folder")
    assert "did you mean files" in refusal(tmp_path, "knowledge:\n  a:\n    fils: [b]\n")


def find_none(model: str) -> Embeddings:
    raise AssertionError(model)


class Shelf:
    """A folder of flows with a library that looks often."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "knowledge").mkdir()
        (folder / "travel.yaml").write_text(FLOW + WITH)
        self.write("hotels.md", "Hotels in Lyon cost 120 euros.")
        shared = {"rules": KnowledgeSection(files=("knowledge/rules.md",))}
        catalogue = Catalogue(folder)
        data = folder.parent / "data"
        self.library = Library(
            catalogue, shared, IndexFolders(data), find_embeddings=find_none, pace=LibraryTimes(0.05, 0.05)
        )

    def open_elsewhere(self, wait: float) -> Library:
        """One that has indexed nothing and looks at nothing, and whose questions wait so long."""
        homes = IndexFolders(self.folder.parent / "other")
        return Library(Catalogue(self.folder), {}, homes, find_embeddings=find_none, pace=LibraryTimes(wait=wait))

    def write(self, name: str, text: str, *, at: float = 1_600_000_000) -> None:
        path = self.folder / "knowledge" / name
        path.write_text(text)
        os.utime(path, (at, at))

    async def find(self, question: str) -> list[str]:
        return [hit.text for hit in await self.library.search("travel", "handbook", question)]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "flows").mkdir()
    return Shelf(tmp_path / "flows")


def test_a_flow_finds_its_own_and_what_is_shared(shelf: Shelf) -> None:
    assert [one.address for one in shelf.library.list_all()] == ["rules", "travel/handbook"]
    assert shelf.library.find("travel", "handbook").address == "travel/handbook"
    assert shelf.library.find("travel", "rules").address == "rules"
    with pytest.raises(RunError, match=r"no knowledge 'handbok' \(did you mean handbook\?\)"):
        shelf.library.find("travel", "handbok")
    for name in ("handbook", "travel/handbook", "travel/handbok"):  # another flow's
        with pytest.raises(RunError, match=rf"^There is no knowledge '{name}'\.$"):
            shelf.library.find("echo", name)


def test_files_are_indexed_when_they_change(shelf: Shelf) -> None:
    """Without anybody asking for it; a first question waits for the first index."""

    async def finds(texts: list[str]) -> bool:
        return await shelf.find("Lyon") == texts

    async def watch() -> None:
        shelf.library.start()
        assert await shelf.find("Lyon") == ["Hotels in Lyon cost 120 euros."]
        shelf.write("hotels.md", "Hotels in Lyon cost 130 euros.", at=1_600_000_100)

        await eventually(lambda: finds(["Hotels in Lyon cost 130 euros."]))
        state = shelf.library.states["travel/handbook"]
        assert (state.is_running, state.done, state.failure) == (False, 1, None)
        (shelf.folder / "knowledge" / "hotels.md").unlink()

        await eventually(lambda: finds([]))
        await shelf.library.close()

    asyncio.run(watch())


def test_a_question_waits_for_the_first_files_where_the_index_was_made_before_they_came(shelf: Shelf) -> None:
    (shelf.folder / "knowledge" / "hotels.md").unlink()

    async def come() -> None:
        library = shelf.library
        assert (await library.index(library.find("travel", "handbook"))).passages == 0
        assert await shelf.find("Lyon") == []  # there is nothing to wait for
        library.pace = LibraryTimes(60, 0.05)  # the question itself has it looked at
        library.start()
        await asyncio.sleep(0)
        shelf.write("hotels.md", "Hotels in Lyon cost 120 euros.")
        assert await shelf.find("Lyon") == ["Hotels in Lyon cost 120 euros."]
        await library.close()

    asyncio.run(come())


@pytest.mark.parametrize("is_made", [True, False])
def test_a_question_waits_for_an_index_no_longer_than_it_may_and_says_so(shelf: Shelf, is_made: bool) -> None:
    library = shelf.open_elsewhere(0.3)

    async def wait() -> None:
        if is_made:
            (shelf.folder / "knowledge" / "hotels.md").unlink()
            await library.index(library.find("travel", "handbook"))
            shelf.write("hotels.md", "Hotels in Lyon cost 120 euros.")
        begun = time.monotonic()
        with pytest.raises(KnowledgeMissing, match="'travel/handbook' is not indexed yet"):
            await library.search("travel", "handbook", "Lyon")
        assert 0.3 <= time.monotonic() - begun < 15  # twenty, unless told otherwise

    asyncio.run(wait())


def test_a_failure_is_told_and_the_next_look_tries_again(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    data = shelf.folder.parent / "data"
    data.write_text("no folder")

    async def watch() -> None:
        shelf.library.start()

        async def has_failed() -> bool:
            return "travel/handbook" in shelf.library.states

        await eventually(has_failed)
        for _ in range(3):  # it fails again and again, and is told once
            shelf.library.states.clear()
            await eventually(has_failed)
        assert "cannot be stored" in (shelf.library.states["travel/handbook"].failure or "")
        data.unlink()
        assert await shelf.find("Lyon") == ["Hotels in Lyon cost 120 euros."]
        await shelf.library.close()

    asyncio.run(watch())
    assert caplog.text.count("The knowledge travel/handbook could not be indexed") == 1


def test_the_folder_of_an_index_that_nobody_wants_for_an_hour_goes(tmp_path: Path) -> None:
    """A flow whose file is away for a moment keeps its index; what is being made is left alone."""
    homes, now = IndexFolders(tmp_path), time.time()
    wanted = {"rules", "travel/handbook"}
    for address in ("rules", "old", "travel/handbook", "travel/old", "gone/handbook"):
        homes.open(address).take()()
    folders = [f"flows/{name}" for name in ("gone/handbook", "travel/handbook", "travel/old")]
    folders += ["shared/old", "shared/rules"]

    def list_folders() -> list[str]:
        return sorted(path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("lock"))

    for place in ("flows", "flows/travel", "shared"):
        (tmp_path / place / ".DS_Store").touch()  # of a file manager
    assert homes.forget(wanted, now=now) == []  # from now on it counts
    assert homes.forget({*wanted, "gone/handbook"}, now=now + 3_500) == []
    assert homes.forget(wanted, now=now + 3_700, deletes=False) == []
    release = homes.open("travel/old").take()
    assert (homes.forget(wanted, now=now + 3_700), list_folders()) == (["old"], [*folders[:3], folders[4]])
    release()
    assert homes.forget(wanted, now=now + 3_700) == ["travel/old"]
    assert homes.forget(wanted, now=now + 7_200) == ["gone/handbook"]
    assert (list_folders(), (tmp_path / "flows" / "gone").exists()) == ([folders[1], folders[4]], False)


def test_a_library_deletes_what_no_flow_names_unless_there_is_no_flow_or_one_with_mistakes(tmp_path: Path) -> None:
    """A folder of flows that is mounted or fetched later than the process starts is empty at first."""
    asked: list[tuple[set[str], bool]] = []
    flow, broken = tmp_path / "travel.yaml", tmp_path / "broken.yaml"
    shared = {"rules": KnowledgeSection(files=("*.md",))}

    class WatchedFolders(IndexFolders):
        def forget(self, wanted: Collection[str], *, now: float, deletes: bool = True) -> list[str]:
            asked.append((set(wanted), deletes))
            return ["gone/handbook"]

    async def watch(count: int) -> None:
        async def is_asked() -> bool:
            return len(asked) == count

        library = Library(Catalogue(tmp_path), shared, WatchedFolders(tmp_path / "data"), find_embeddings=find_none)
        library.start()
        await eventually(is_asked)
        await library.close()

    asyncio.run(watch(1))
    flow.write_text(FLOW + WITH)
    broken.write_text("components: [")
    asyncio.run(watch(2))
    broken.unlink()
    asyncio.run(watch(3))
    both = {"rules", "travel/handbook"}
    assert asked == [({"rules"}, False), (both, False), (both, True)]
