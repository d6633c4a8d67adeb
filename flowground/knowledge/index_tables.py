"""The index of one knowledge in tables of PostgreSQL, and its vectors, for all processes that share the database.

Each computer copies vectors from the table into arrays in files of its own, and copies them again where the table has
others. This module is imported only where the setting `database` names PostgreSQL, as the driver may be missing.
"""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg

from flowground.core.errors import RunError
from flowground.knowledge.building import ContentSignatures
from flowground.knowledge.embeddings import BATCH, Embeddings, ask_for_vectors, refuse_vectors
from flowground.knowledge.index import BuildPlace, IndexReader
from flowground.knowledge.index_home import KEPT_SECONDS
from flowground.knowledge.postgresql import Connection, PostgresqlPool, connect, explain
from flowground.knowledge.sources import PageStates, SourceFile, read_states, write_states
from flowground.knowledge.tables import TableIndexReader, publish_build, remove_leftovers
from flowground.knowledge.vectors import Floats, VectorReader, VectorWriter, normalize

_FIND = "SELECT id, version, about, passages, words, model, vectors FROM knowledge_indexes WHERE name = %s"
_ADD = (
    "INSERT INTO knowledge_indexes (name, wanted_at) VALUES (%s, %s) "
    "ON CONFLICT (name) DO UPDATE SET wanted_at = excluded.wanted_at"
)
_WANT = "UPDATE knowledge_indexes SET wanted_at = %s WHERE name = ANY (%s)"
_FORGET = "DELETE FROM knowledge_indexes WHERE name <> ALL (%s) AND wanted_at < %s"
_LOCK = "SELECT pg_try_advisory_lock(hashtext('knowledge_indexes'::regclass::oid::text), %s::int)"
_PASSAGES = """
    SELECT p.id FROM knowledge_passages p JOIN knowledge_files f ON f.id = file_id
    WHERE index_id = %s AND build IN ('', %s) AND f.id <> ALL (%s)
"""
_ENDING = ".arrays"
_ROWS = 2_000
"""Vectors that are fetched at once."""
_KEEP = "INSERT INTO knowledge_vectors (passage_id, model, vector) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


class IndexTables:
    """An `IndexHome` in tables. `folder` is where this computer keeps its arrays of vectors."""

    def __init__(self, name: str, pool: PostgresqlPool, folder: Path) -> None:
        self._name, self._pool, self._folder = name, pool, folder
        self._reader: tuple[tuple[Any, ...], TableIndexReader] | None = None
        self._vectors: tuple[str, VectorReader] | None = None
        self._lock, self._vectors_lock = threading.Lock(), threading.Lock()
        self._held: Connection  # the one that holds the lock, once `take` has it
        self._contents = ContentSignatures()

    def open(self) -> TableIndexReader | None:
        row = self._find()
        if row is None:
            return None
        number, version, about, passages, words, *_ = row
        with self._lock:
            if self._reader is None or self._reader[0] != (number, version):
                if self._reader is not None:
                    self._reader[1].is_retired = True
                self._reader = ((number, version), TableIndexReader(self._pool, number, about, passages, words))
            return self._reader[1]

    def open_vectors(self, model: str) -> VectorReader | None:
        row = self._find()
        if row is None or row[5] != model:
            return None
        name = row[6]
        with self._vectors_lock:
            if self._vectors is None or self._vectors[0] != name:
                self._folder.mkdir(parents=True, exist_ok=True)
                old = self._vectors[1] if self._vectors else None
                try:
                    arrays = open_arrays(self._pool, row[0], model, self._folder / f"{name}{_ENDING}", old)
                except ValueError:
                    return None
                self._vectors = (name, arrays)
                for other in self._folder.glob(f"*{_ENDING}"):
                    if other.name != f"{name}{_ENDING}":
                        shutil.rmtree(other, ignore_errors=True)
            return self._vectors[1]

    def sign(self, files: Mapping[str, SourceFile]) -> Mapping[str, SourceFile]:
        return self._contents.sign(files)

    def take(self) -> Callable[[], None]:
        """Takes the lock of a database session, which ends with the process, and removes what a killed build left."""
        with self._explain():
            db = connect(self._pool.url, "idle_session_timeout=0")
            try:
                db.execute(_ADD, (self._name, time.time()))
                (number, *_) = db.execute(_FIND, (self._name,)).fetchone() or (0,)
                (is_mine,) = db.execute(_LOCK, (number,)).fetchone() or (False,)
                if not is_mine:
                    raise BlockingIOError
                remove_leftovers(db, number)
            except BaseException:
                db.close()
                raise
        self._held, self._number = db, number
        return db.close

    def plan(self, *, is_copy: bool) -> BuildPlace:
        return BuildPlace(uuid4().hex, "served" if is_copy else None, self._pool.url, self._number)

    async def embed(self, place: BuildPlace, embeddings: Embeddings) -> None:
        db = self._held
        with self._explain():
            before, changes, ids = await asyncio.to_thread(self._list_embedded, db, place)
            reader = TableIndexReader(self._pool, place.index, "{}", 0, 0)
            made = await embed_table(db, reader, ids, embeddings)
            is_same = before[0] == embeddings.model and not made
            changes |= {"model": embeddings.model, "vectors": before[1] if is_same else uuid4().hex}
            write = "UPDATE knowledge_indexes SET changes = %s WHERE id = %s"
            await asyncio.to_thread(db.execute, write, (json.dumps(changes), place.index))

    def publish(self, place: BuildPlace) -> None:
        with self._explain():
            publish_build(self._held, place)
            remove_leftovers(self._held, place.index)

    def remove(self, place: BuildPlace) -> None:
        """Removes a build; where the connection broke, the next build removes it."""
        with suppress(psycopg.Error):
            remove_leftovers(self._held, place.index, place.new)

    def read_pages(self) -> PageStates:
        rows = self._pool.ask("SELECT pages FROM knowledge_indexes WHERE name = %s", (self._name,))
        return read_states(json.loads(rows[0][0])) if rows else {}

    def write_pages(self, states: PageStates) -> None:
        written = (json.dumps(write_states(states)), self._number)
        with self._explain():
            self._held.execute("UPDATE knowledge_indexes SET pages = %s WHERE id = %s", written)

    def close(self) -> None:
        with self._lock:
            self._reader = None
        with self._vectors_lock:
            self._vectors = None

    def _find(self) -> tuple[Any, ...] | None:
        """The row of the serving index."""
        rows = self._pool.ask(_FIND, (self._name,))
        return rows[0] if rows and rows[0][1] else None

    def _list_embedded(self, db: Connection, place: BuildPlace) -> tuple[tuple[str, str], dict[str, Any], list[int]]:
        """The model and the name of the present vectors, what the build changes, and its passages."""
        asked = "SELECT model, vectors, changes FROM knowledge_indexes WHERE id = %s"
        model, vectors, written = db.execute(asked, (place.index,)).fetchone() or ("", "", "{}")
        changes: dict[str, Any] = json.loads(written)
        rows = db.execute(_PASSAGES, (place.index, place.new, changes["gone"]))
        return (model, vectors), changes, [number for (number,) in rows]

    @contextmanager
    def _explain(self) -> Iterator[None]:
        """Raises RunError in the place of the driver's errors."""
        try:
            yield
        except psycopg.Error as error:
            raise RunError(f"The knowledge {self._name!r} cannot be stored: {explain(error)}.") from None


def forget_indexes(url: str, wanted: Collection[str], *, now: float, deletes: bool) -> None:
    """Marks indexes as wanted; with `deletes`, removes those that no process has wanted for an hour.

    Raises RunError.
    """
    try:
        with connect(url) as db, db.transaction():
            db.execute(_WANT, (now, list(wanted)))
            if deletes:
                db.execute(_FORGET, (list(wanted), now - KEPT_SECONDS))
    except psycopg.Error as error:
        raise RunError(f"Old indexes cannot be deleted: {explain(error)}.") from None


async def embed_table(db: Connection, reader: IndexReader, ids: Sequence[int], embeddings: Embeddings) -> int:
    """Stores the vectors of passages that have none of this model; returns how many were requested.

    Vectors stored so far stay where the model fails later. Raises ProviderError and psycopg.Error.
    """
    asked = "SELECT passage_id FROM knowledge_vectors WHERE model = %s AND passage_id = ANY (%s)"
    rows = await asyncio.to_thread(lambda: db.execute(asked, (embeddings.model, list(ids))).fetchall())
    missing = sorted(set(ids) - {number for (number,) in rows})
    dimensions = 0
    for at in range(0, len(missing), BATCH):
        given = await ask_for_vectors(reader, missing[at : at + BATCH], embeddings)
        try:
            vectors = normalize(np.asarray(list(given.values()), np.float32))
        except ValueError:
            raise refuse_vectors(embeddings) from None
        if dimensions not in (0, vectors.shape[1]):
            raise refuse_vectors(embeddings)
        dimensions = vectors.shape[1]
        kept = [(number, embeddings.model, vector.tobytes()) for number, vector in zip(given, vectors, strict=True)]
        await asyncio.to_thread(_keep, db, kept)
    return len(missing)


def open_arrays(pool: PostgresqlPool, index: int, model: str, folder: Path, old: VectorReader | None) -> VectorReader:
    """The arrays in a folder, made from the table where the folder has none; vectors in `old` are not fetched again.

    Raises RunError, OSError, and ValueError where the table has no vectors that fit.
    """
    with suppress(ValueError):
        return VectorReader(folder, model)
    beside = folder.with_name(f"{folder.name}.{uuid4().hex}")
    try:
        _write_arrays(pool, index, model, beside, old)
        with suppress(OSError):  # another process of this computer was faster
            beside.rename(folder)
        return VectorReader(folder, model)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_arrays(pool: PostgresqlPool, index: int, model: str, folder: Path, old: VectorReader | None) -> None:
    joined = (
        "FROM knowledge_vectors v JOIN knowledge_passages p ON p.id = passage_id JOIN knowledge_files f "
        "ON f.id = file_id WHERE index_id = %s AND build = '' AND model = %s"
    )
    rows = pool.ask(f"SELECT passage_id {joined} ORDER BY passage_id", (index, model))
    ids = [number for (number,) in rows]
    known = old.find_known(ids) if old else {}
    writer: VectorWriter | None = None
    for at in range(0, len(ids), _ROWS):
        part = ids[at : at + _ROWS]
        vectors = _fetch(pool, [number for number in part if number not in known], model)
        if any(number not in known and number not in vectors for number in part):
            raise ValueError("they went meanwhile")
        block = [old.vectors[known[number]] if old and number in known else vectors[number] for number in part]
        if writer is None:
            writer = VectorWriter(folder, ids, len(block[0]))
        writer.put(at, np.asarray(block, np.float32))
    if writer is None:
        raise ValueError("no vectors")
    writer.finish(model)


def _fetch(pool: PostgresqlPool, ids: Sequence[int], model: str) -> Mapping[int, Floats]:
    asked = "SELECT passage_id, vector FROM knowledge_vectors WHERE passage_id = ANY (%s) AND model = %s"
    if not ids:
        return {}
    rows = pool.ask(asked, (list(ids), model), binary=True)
    return {number: np.frombuffer(vector, np.float32) for number, vector in rows}


def _keep(db: Connection, rows: Sequence[tuple[int, str, bytes]]) -> None:
    with db.cursor() as cursor:
        cursor.executemany(_KEEP, rows)
