"""A built-in model without weights: `Local` with tiny_model.py as its process."""

import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Literal

from flowground.messages import Message
from flowground.providers.base import ModelCall, Piece
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.sources import HubFile
from flowground.providers.builtin.weights import Weights
from tests.wire import Part, whole, wire

TINY = (sys.executable, str(Path(__file__).with_name("tiny_model.py")))


def call(text: str, **options: float) -> ModelCall:
    return ModelCall("local", (Message("user", text),), options)


@asynccontextmanager
async def own_file(
    folder: Path, manners: dict[str, str] | None = None, *, idle_seconds: float = 60
) -> AsyncIterator[Local]:
    """A model from a file of one's own."""
    (folder / "mine.gguf").write_text(json.dumps(manners or {}))
    entry = LocalSettings(path=folder / "mine.gguf", timeout=5)
    local = Local("local", entry, folder, program=TINY, idle_seconds=idle_seconds)
    try:
        yield local
    finally:
        await local.close()


@asynccontextmanager
async def fetched(
    folder: Path, *answer: Part, download: Literal["auto", "on_first_message", "off"] = "on_first_message"
) -> AsyncIterator[Local]:
    """A model whose weights a server on loopback gives."""
    data = b"{}"
    async with wire([*answer, whole(data)]) as hub:
        source = HubFile(f"{hub.url}/tiny.gguf")
        wanted = Weights("Tiny", "CC0", "tiny.gguf", len(data), hashlib.sha256(data).hexdigest(), (source,))
        local = Local("local", LocalSettings(download=download), folder / "models", weights=wanted, program=TINY)
        try:
            yield local
        finally:
            await local.close()


async def all_of(local: Local, text: str) -> list[Piece]:
    async with aclosing(local.stream(call(text))) as pieces:
        return [piece async for piece in pieces]
