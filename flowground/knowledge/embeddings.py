"""Vectors of an index's passages: those that an earlier index has are reused, the others requested from the model."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowground.core.errors import ProviderRefused
from flowground.knowledge.index import FoundPassage, IndexReader

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

BATCH = 32
"""Texts of one request to the model."""
_TEXT_CHARS = 8_000
"""The most characters of a passage that are sent: about what such models read."""


class Embeddings(Protocol):
    """A model that makes vectors of texts, for one event loop."""

    @property
    def model(self) -> str:
        """The model's name, `provider:model`."""

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each of a few texts, in their order. Raises ProviderError."""

    async def close(self) -> None:
        """Closes the connections."""


async def embed_passages(reader: IndexReader, old: "VectorReader | None", folder: Path, embeddings: Embeddings) -> None:
    """Writes the vectors of all passages into a folder. Raises ProviderError."""
    from flowground.knowledge.vectors import VectorWriter  # noqa: PLC0415 - numpy: 0.1 s, for who has embeddings

    ids = await asyncio.to_thread(reader.list_passage_ids)
    known = await asyncio.to_thread(old.find_known, ids) if old else {}
    writer: VectorWriter | None = None
    for at in range(0, len(ids), BATCH):
        part = ids[at : at + BATCH]
        missing = [number for number in part if number not in known]
        vectors = await ask_for_vectors(reader, missing, embeddings)
        rows = [old.vectors[known[number]] if old and number in known else vectors[number] for number in part]
        try:
            if writer is None:
                writer = await asyncio.to_thread(VectorWriter, folder, ids, len(rows[0]))
            await asyncio.to_thread(writer.put, at, rows)
        except ValueError:
            raise refuse_vectors(embeddings) from None
    if writer is not None:
        await asyncio.to_thread(writer.finish, embeddings.model)


async def ask_for_vectors(
    reader: IndexReader, ids: Sequence[int], embeddings: Embeddings
) -> dict[int, Sequence[float]]:
    """The model's vectors of a few passages, by their ids. Raises ProviderError."""
    texts = await asyncio.to_thread(reader.read, ids)
    vectors = await embeddings.embed([_write(texts[number]) for number in ids]) if ids else ()
    if len(vectors) != len(ids):
        raise ProviderRefused(f"The model {embeddings.model} gave {len(vectors)} vectors for {len(ids)} texts.")
    return dict(zip(ids, vectors, strict=True))


def refuse_vectors(embeddings: Embeddings) -> ProviderRefused:
    """The error for vectors of different lengths, or of values that are no numbers."""
    return ProviderRefused(f"The model {embeddings.model} gives vectors that do not fit each other.")


def _write(found: FoundPassage) -> str:
    """The text of a passage for the model: below its headings."""
    trail = found.passage.trail
    return f"{trail}\n\n{found.passage.text}"[:_TEXT_CHARS] if trail else found.passage.text[:_TEXT_CHARS]
