"""`python -m bench.knowledge_commits`: how long a chat's commits take, alone and while 10,000 passages are indexed.

In turns within one run, on SQLite: turns are begun and finished one after the other, as a run does it, alone for as
long as an index takes, and beside one that is made. The mark is 1.5 times the quiet 95th percentile. Not part of CI.
"""

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.knowledge import write_corpus
from bench.load import percentile
from flowground.knowledge import IndexFolder, Knowledge, KnowledgeSources
from flowground.store import Store
from flowground.store.runs import turns
from flowground.store.runs.records import RunRecord, StoredMessage

_SLOWER = 1.5
_REST_SECONDS = 0.002
"""Between two turns: people chat, and do not load the writer."""
_SAID = "What a message and its answer say, in some words. " * 4


@dataclass(slots=True)
class CommitFigures:
    """Seconds of each commit, alone and beside an index; `lasted` of each index."""

    quiet: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    lasted: list[float] = field(default_factory=list)

    @property
    def slower(self) -> float:
        return percentile(self.busy, 95) / percentile(self.quiet, 95)


async def commit_turns(store: Store, is_over: Callable[[], bool]) -> list[float]:
    """Turns of one conversation after the other; the seconds of each commit."""
    taken: list[float] = []

    async def write(job: Callable[..., Any], **given: Any) -> None:
        began = time.perf_counter()
        await store.write(job, **given)
        taken.append(time.perf_counter() - began)

    while not is_over():
        place = {"flow_id": "bench", "owner": "member:ada", "session_id": str(uuid4())}
        at = datetime.now(UTC)
        run = RunRecord(str(uuid4()), "bench", "v", place["owner"], place["session_id"], "running", at, 0, holder="h")
        question = StoredMessage(str(uuid4()), "user", _SAID, "complete", at, run.id)
        await write(turns.begin_turn, **place, message=question, run=run)
        answer = StoredMessage(str(uuid4()), "assistant", _SAID, "complete", at, run.id)
        ended = replace(run, status="complete", seconds=0.1)
        await write(turns.finish_turn, **place, answers=[answer], run=ended, question=_SAID)
        await asyncio.sleep(_REST_SECONDS)
    return taken


async def measure(folder: Path, *, passages: int, rounds: int) -> CommitFigures:
    """Index and turns anew in each round."""
    figures, store = CommitFigures(), Store.open(f"sqlite:///{folder}/bench.db")
    (folder / "flows").mkdir()
    write_corpus(folder / "flows", passages, random.Random(13))
    knowledge = Knowledge("bench", IndexFolder(folder / "index"))
    sources = KnowledgeSources(folder / "flows", ("*.txt",), size=1_000, overlap=0)
    await knowledge.index(sources)
    for _ in range(rounds):
        knowledge.close()
        shutil.rmtree(folder / "index")
        knowledge = Knowledge("bench", IndexFolder(folder / "index"))
        indexing = asyncio.create_task(knowledge.index(sources))
        figures.busy += await commit_turns(store, indexing.done)
        figures.lasted.append((await indexing).seconds)
        end = time.monotonic() + figures.lasted[-1]
        figures.quiet += await commit_turns(store, lambda end=end: time.monotonic() > end)  # type: ignore[misc]  # its own
    knowledge.close()
    store.close()
    return figures


def main() -> int:
    """1 where the mark is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.knowledge_commits", description=__doc__)
    parser.add_argument("--passages", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=8, help="of both in turn (default: 8)")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), passages=given.passages, rounds=given.rounds))
    for name, taken in (("alone", figures.quiet), ("beside an index", figures.busy)):
        p50, p95 = (percentile(taken, at) * 1000 for at in (50, 95))
        print(f"{name}: {len(taken):,} commits, p50 {p50:.2f} ms, p95 {p95:.2f} ms")
    print(f"p95 against quiet: {figures.slower:.2f} (mark: {_SLOWER})")
    return int(figures.slower > _SLOWER)


if __name__ == "__main__":
    sys.exit(main())
