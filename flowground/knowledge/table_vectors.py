"""Vectors of an index in tables of PostgreSQL. Who searches keeps arrays of them in files of their own, made anew
where the table has others. Imported by knowledge with `embeddings:` only: numpy takes a tenth of a second."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

from flowground.knowledge.embeddings import BATCH, Embeddings, ask_for_vectors, refuse_vectors
from flowground.knowledge.index import IndexReader
from flowground.knowledge.postgresql_lines import Line, PostgresqlLines
from flowground.knowledge.vectors import Floats, VectorReader, VectorWriter, normalize

_ROWS = 2_000
"""Vectors that are fetched at once."""
_KEEP = "INSERT INTO knowledge_vectors (passage_id, model, vector) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


async def embed_table(line: Line, reader: IndexReader, ids: Sequence[int], embeddings: Embeddings) -> int:
    """Keeps the vectors of the passages that have none of this model; how many were asked for.

    Those that were kept stay where the model fails later. Raises ProviderError and psycopg.Error.
    """
    asked = "SELECT passage_id FROM knowledge_vectors WHERE model = %s AND passage_id = ANY (%s)"
    rows = await asyncio.to_thread(lambda: line.execute(asked, (embeddings.model, list(ids))).fetchall())
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
        await asyncio.to_thread(_keep, line, kept)
    return len(missing)


def open_arrays(lines: PostgresqlLines, index: int, model: str, folder: Path, old: VectorReader | None) -> VectorReader:
    """The arrays in a folder, which are made of the table where it has none; `old` saves fetching what it has.

    Raises RunError, OSError, and ValueError where the table has no vectors that fit.
    """
    with suppress(ValueError):
        return VectorReader(folder, model)
    beside = folder.with_name(f"{folder.name}.{uuid4().hex}")
    try:
        _write_arrays(lines, index, model, beside, old)
        with suppress(OSError):  # another process of this computer was quicker
            beside.rename(folder)
        return VectorReader(folder, model)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_arrays(lines: PostgresqlLines, index: int, model: str, folder: Path, old: VectorReader | None) -> None:
    joined = (
        "FROM knowledge_vectors v JOIN knowledge_passages p ON p.id = passage_id JOIN knowledge_files f "
        "ON f.id = file_id WHERE index_id = %s AND build = '' AND model = %s"
    )
    rows = lines.ask(f"SELECT passage_id {joined} ORDER BY passage_id", (index, model))
    ids = [number for (number,) in rows]
    known = old.find_known(ids) if old else {}
    writer: VectorWriter | None = None
    for at in range(0, len(ids), _ROWS):
        part = ids[at : at + _ROWS]
        vectors = _fetch(lines, [number for number in part if number not in known], model)
        if any(number not in known and number not in vectors for number in part):
            raise ValueError("they went meanwhile")
        block = [old.vectors[known[number]] if old and number in known else vectors[number] for number in part]
        if writer is None:
            writer = VectorWriter(folder, ids, len(block[0]))
        writer.put(at, np.asarray(block, np.float32))
    if writer is None:
        raise ValueError("no vectors")
    writer.finish(model)


def _fetch(lines: PostgresqlLines, ids: Sequence[int], model: str) -> Mapping[int, Floats]:
    asked = "SELECT passage_id, vector FROM knowledge_vectors WHERE passage_id = ANY (%s) AND model = %s"
    if not ids:
        return {}
    rows = lines.ask(asked, (list(ids), model), binary=True)
    return {number: np.frombuffer(vector, np.float32) for number, vector in rows}


def _keep(line: Line, rows: Sequence[tuple[int, str, bytes]]) -> None:
    with line.cursor() as cursor:
        cursor.executemany(_KEEP, rows)
