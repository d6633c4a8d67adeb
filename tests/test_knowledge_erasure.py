"""An index holds nothing of what was in files before they were changed or removed, in none of its bytes."""

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flowground.knowledge import Knowledge, KnowledgeSources
from flowground.knowledge.index import IndexedFile, IndexedPassage
from flowground.knowledge.index_file import IndexWriter
from flowground.knowledge.index_folder import IndexFolder
from tests.canary import WORD, find_in_files

_MARK = re.compile(rb"qq\d+x\d+qq")


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("Nothing of it.")])
async def test_a_file_that_is_gone_or_says_something_else(tmp_path: Path, change: Callable[[Path], object]) -> None:
    folder, kept = tmp_path / "flows", tmp_path / "knowledge"
    folder.mkdir()
    for name in ("a", "b", "c"):
        said = WORD if name == "b" else "Something else"
        (folder / f"{name}.txt").write_text(f"{name} is here. " + f"{said} at length. " * 400)
    knowledge, sources = Knowledge("all", IndexFolder(kept)), KnowledgeSources(folder, ("*.txt",))
    await knowledge.index(sources)
    assert find_in_files(kept)
    change(folder / "b.txt")
    assert (await knowledge.index(sources)).passages
    assert not find_in_files(kept)
    knowledge.close()


@pytest.mark.parametrize("seed", range(5))
def test_files_that_change_again_and_again(tmp_path: Path, seed: int) -> None:
    """SQLite moves rows from page to page, and leaves copies of them: which, depends on how long the others are."""
    drawn, now, old = random.Random(seed), dict[int, str](), None
    for number in range(25):
        path = tmp_path / f"{number}.index"
        writer = IndexWriter(path, about={"format": "1"}, old=old)
        for file in [file for file in range(12) if not number or drawn.random() < 0.5]:
            now[file] = f"qq{number}x{file}qq"
            texts = [f"{now[file]} {'x' * drawn.choice([10, 300, 900, 2500])}" for _ in range(drawn.randint(1, 6))]
            passages = [IndexedPassage(text, 0, len(text), None, "") for text in texts]
            writer.put_file(IndexedFile(f"{file}.txt", "signed"), passages)
        writer.finish()
        writer.close()
        assert {found.decode() for found in _MARK.findall(path.read_bytes())} == set(now.values())
        old = path
