"""Knowledge, measured: how long an index takes, how large it is, how fast questions are answered, and how well.

`python -m bench.knowledge` measures 10,000 passages of 1,000 characters, `--passages 100000` more of them, and four
sets of questions: three over this project's docs, of which `knowledge_held_questions.yaml` was asked when the search
was done, and one over the docs of npm, which npm fetches.
"""

import argparse
import asyncio
import random
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from flowground.knowledge import Knowledge, KnowledgeSources
from flowground.knowledge.embeddings import Embeddings
from flowground.knowledge.index_folder import IndexFolder
from flowground.knowledge.searching import Hit

ROOT = Path(__file__).resolve().parents[1]
_DOCS = ("{README,CONTRIBUTING}.md", "docs/*.md", "docs/guide/*.md")
QUESTIONS = ("knowledge_questions.yaml", "knowledge_fresh_questions.yaml", "knowledge_held_questions.yaml")
NPM_QUESTIONS = "knowledge_npm_questions.yaml"
_NPM = "npm@11.6.2"
_WORDS = 60_000
_PASSAGE_CHARS = 1_000
_FILE_PASSAGES = 500
_ENOUGH = 100
"""Characters that a passage shares with the part of a file that answers."""


def make_words(chance: random.Random) -> list[str]:
    """Words of two to five syllables, the most common first."""
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "in")]
    return list({"".join(chance.choices(syllables, k=chance.randint(2, 5))): None for _ in range(_WORDS)})


def write_corpus(folder: Path, passages: int, chance: random.Random) -> list[str]:
    """Files of paragraphs of some 1,000 characters, whose words are as unevenly common as in languages; the words."""
    words = make_words(chance)
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    for number in range(-(-passages // _FILE_PASSAGES)):
        here = min(_FILE_PASSAGES, passages - number * _FILE_PASSAGES)
        paragraphs = []
        for _ in range(here):
            text = " ".join(chance.choices(words, cum_weights=weights, k=_PASSAGE_CHARS // 5))
            paragraphs.append(text[: _PASSAGE_CHARS - 4] + ".")
        (folder / f"{number:04}.txt").write_text("\n\n".join(paragraphs), "utf-8")
    return words


def make_questions(words: Sequence[str], chance: random.Random, number: int = 300) -> dict[str, list[str]]:
    """By how common their words are."""
    return {
        "three words as they come": [" ".join(chance.choices(words[:5_000], k=3)) for _ in range(number)],
        "eight words as they come": [" ".join(chance.choices(words[:5_000], k=8)) for _ in range(number)],
        "five of the commonest": [" ".join(chance.sample(words[:40], k=5)) for _ in range(number)],
        "five rare ones": [" ".join(chance.sample(words[20_000:], k=5)) for _ in range(number)],
        "one that is not there": [chance.choice(words[:5_000])[:-1] + "xx" for _ in range(number)],
    }


class MadeUpEmbeddings:
    """Vectors as random as their texts, at once: what a search costs beside the model."""

    model = "bench:random"

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [np.random.default_rng(zlib.crc32(text.encode())).normal(size=self._dimensions) for text in texts]  # type: ignore[misc]  # arrays serve as lists

    async def close(self) -> None:
        """There is nothing to close."""


async def measure_speed(passages: int, dimensions: int) -> None:
    """Prints how long the index takes, its size, and how long questions take."""
    chance = random.Random(13)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        words = write_corpus(folder, passages, chance)
        knowledge = Knowledge("bench", IndexFolder(folder / "index"))
        sources = KnowledgeSources(folder, ("*.txt",), size=_PASSAGE_CHARS, overlap=0)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = await knowledge.index(sources)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        size = sum(path.stat().st_size for path in (folder / "index").glob("*.index"))
        print(f"{report.passages:,} passages: {report.seconds:.1f} s, {seconds:.1f} s CPU, ", end="")
        print(f"{size / 1e6:.0f} MB, worker {used.ru_maxrss / 1e3:.0f} MB of memory")
        file = folder / "0000.txt"
        file.write_text(file.read_text("utf-8") + "\n\nmore", "utf-8")
        again = await knowledge.index(sources)
        print(f"one of {report.files} files changed: {again.seconds:.1f} s")
        asked = make_questions(words, chance)
        for kind, questions in asked.items():
            print(f"{kind}: {await _time_questions(knowledge, questions)}")
        embeddings = MadeUpEmbeddings(dimensions)
        begun = time.perf_counter()
        await knowledge.index(replace(sources, embeddings=embeddings))
        print(f"vectors of {dimensions} dimensions: {time.perf_counter() - begun:.1f} s without the model's time")
        for kind, questions in asked.items():
            print(f"hybrid, {kind}: {await _time_questions(knowledge, questions, embeddings)}")
        knowledge.close()


async def _time_questions(knowledge: Knowledge, questions: Sequence[str], embeddings: Embeddings | None = None) -> str:
    took = []
    for question in questions:
        begun = time.perf_counter()
        await knowledge.search(question, embeddings=embeddings)
        took.append((time.perf_counter() - begun) * 1000)
    cuts = statistics.quantiles(took, n=100)
    return f"p50 {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, longest {max(took):.1f} ms"


def read_questions(name: str) -> list[dict[str, Any]]:
    """Of a file beside this one: what is asked, and where it is answered."""
    asked: list[dict[str, Any]] = yaml.safe_load((ROOT / "bench" / name).read_text("utf-8"))
    return asked


def fetch_npm_docs(folder: Path) -> Path:
    """The docs that `knowledge_npm_questions.yaml` asks about, of the package as npm's registry has it."""
    subprocess.run(("npm", "pack", _NPM), cwd=folder, check=True, capture_output=True)
    shutil.unpack_archive(next(folder.glob("*.tgz")), folder, filter="data")
    return folder / "package" / "docs" / "content"


async def measure_quality(root: Path, names: Sequence[str] = QUESTIONS, *files: str) -> dict[str, Counter[str]]:
    """Of each set how many questions have a passage of the right file first, among the first four and the first five,
    and one of the right part of it."""
    figures = {}
    with tempfile.TemporaryDirectory() as made:
        knowledge = Knowledge("docs", IndexFolder(Path(made)))
        await knowledge.index(KnowledgeSources(root, files or _DOCS))
        for name in names:
            asked = read_questions(name)
            figures[name] = counts = Counter(questions=len(asked))
            for one in asked:
                hits = await knowledge.search(one["ask"], top_k=5)
                found = [(first, place, hit) for first in (1, 4, 5) for place in one["in"] for hit in hits[:first]]
                counts.update({f"file@{first}" for first, place, hit in found if place.split("#")[0] == hit.source})
                counts.update({f"part@{first}" for first, place, hit in found if _is_answer(root, place, hit)})
        knowledge.close()
    return figures


def _is_answer(root: Path, place: str, hit: Hit) -> bool:
    """Whether the passage stands in a file, or in the part of it below a heading."""
    file, _, heading = place.partition("#")
    if file != hit.source:
        return False
    text = (root / file).read_text("utf-8")
    begin = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE) if heading else None
    if begin is None:
        return not heading
    end = re.compile(rf"^#{{1,{len(begin[1])}}} ", re.MULTILINE).search(text, begin.end())
    last = end.start() if end else len(text)
    return min(hit.end, last) - max(hit.start, begin.start()) >= min(_ENOUGH, last - begin.start())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--only", choices=("speed", "quality"))
    parser.add_argument("--dimensions", type=int, default=384)
    given = parser.parse_args()
    if given.only != "speed":
        with tempfile.TemporaryDirectory() as npm:
            of_npm = measure_quality(fetch_npm_docs(Path(npm)), [NPM_QUESTIONS], "**/*.md")
            for name, counts in (asyncio.run(measure_quality(ROOT)) | asyncio.run(of_npm)).items():
                print(f"{name}: {dict(sorted(counts.items()))}")
    if given.only != "quality":
        asyncio.run(measure_speed(given.passages, given.dimensions))


if __name__ == "__main__":
    main()
