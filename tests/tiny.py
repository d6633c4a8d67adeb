"""A built-in model without weights: `Local` with tiny_model.py as its process."""

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Literal

from flowground.core.messages import Message
from flowground.providers.base import ModelCall, Piece
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.sources import HubFile
from flowground.providers.builtin.weights import Weights
from tests.wire import Part, whole, wire

DATA = b"{}"
TINY = (sys.executable, str(Path(__file__).with_name("tiny_model.py")))


def call(text: str, **options: float) -> ModelCall:
    return ModelCall("local", (Message("user", text),), options)


def weights_at(url: str) -> Weights:
    digest = hashlib.sha256(DATA).hexdigest()
    return Weights("Tiny", "CC0", "tiny.gguf", len(DATA), digest, (HubFile(f"{url}/tiny.gguf"),))


@asynccontextmanager
async def own_file(
    folder: Path, manners: dict[str, str] | None = None, *, idle_seconds: float = 60
) -> AsyncIterator[Local]:
    """A model from a file of one's own."""
    (folder / "mine.gguf").write_text(json.dumps(manners or {}))
    entry = LocalSettings(path=folder / "mine.gguf", timeout=30)
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
    async with wire([*answer, whole(DATA)]) as hub:
        wanted = weights_at(hub.url)
        local = Local("local", LocalSettings(download=download), folder / "models", weights=wanted, program=TINY)
        try:
            yield local
        finally:
            await local.close()


async def end_of_fetch(local: Local) -> None:
    """Returns when nothing is being fetched; fails the test when that takes twenty seconds."""
    async with asyncio.timeout(60):
        while local.read_status().state == "fetching":  # noqa: ASYNC110 - pages ask too, again and again
            await asyncio.sleep(0.02)


async def all_of(local: Local, text: str) -> list[Piece]:
    async with aclosing(local.stream(call(text))) as pieces:
        return [piece async for piece in pieces]
