"""Vectors of an index's passages: those that an earlier index has are reused, the others requested from the model."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flowground.core.errors import ProviderRefused
from flowground.knowledge.index import FoundPassage
from flowground.knowledge.index_file import IndexReader

if TYPE_CHECKING:
    from flowground.knowledge.vectors import VectorReader

_BATCH = 32
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
    for at in range(0, len(ids), _BATCH):
        part = ids[at : at + _BATCH]
        missing = [number for number in part if number not in known]
        texts = await asyncio.to_thread(reader.read, missing)
        given = await embeddings.embed([_write(texts[number]) for number in missing]) if missing else ()
        if len(given) != len(missing):
            raise ProviderRefused(f"The model {embeddings.model} gave {len(given)} vectors for {len(missing)} texts.")
        vectors = dict(zip(missing, given, strict=True))
        rows = [old.vectors[known[number]] if old and number in known else vectors[number] for number in part]
        try:
            if writer is None:
                writer = await asyncio.to_thread(VectorWriter, folder, ids, len(rows[0]))
            await asyncio.to_thread(writer.put, at, rows)
        except ValueError:
            raise ProviderRefused(f"The model {embeddings.model} gives vectors that do not fit each other.") from None
    if writer is not None:
        await asyncio.to_thread(writer.finish, embeddings.model)


def _write(found: FoundPassage) -> str:
    """The text of a passage for the model: below its headings."""
    trail = found.passage.trail
    return f"{trail}\n\n{found.passage.text}"[:_TEXT_CHARS] if trail else found.passage.text[:_TEXT_CHARS]
