"""Homes of indexes for tests: a folder always, tables where TEST_DATABASE_URL names a PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flowground.knowledge import IndexHomes, Knowledge, KnowledgeSources
from flowground.store import Store
from tests.store_databases import empty_database


@contextmanager
def open_homes(kind: str, folder: Path) -> Iterator[IndexHomes]:
    """On an empty database of this kind (`DATABASES`)."""
    with empty_database(kind, folder) as url:
        Store.open(url, is_lasting=False).close()
        homes = IndexHomes(folder / "data", url)
        try:
            yield homes
        finally:
            homes.close()


def cancel_index(knowledge: Knowledge, sources: KnowledgeSources) -> None:
    """Once the first file is read."""

    def end(*_: int) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(knowledge.index(sources, end))
