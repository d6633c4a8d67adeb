"""Calls of a model's adapter: what it says, what its server is sent, and how it fails."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from flowground.core.errors import FlowgroundError
from flowground.core.messages import FilePart
from flowground.providers.base import Completion, ModelCall, Piece, Provider, ProviderContext, ProviderSettings
from tests.wire import Part, Wire, wire

Fault = TypeVar("Fault", bound=FlowgroundError)
Opened = AbstractAsyncContextManager[tuple[Provider, Wire]]


@asynccontextmanager
async def opening(
    kind: type[ProviderSettings], path: str, answers: Sequence[Sequence[Part]], settings: Mapping[str, Any]
) -> AsyncIterator[tuple[Provider, Wire]]:
    """A provider of this kind whose server, at this path of its own, answers so."""
    async with wire(*answers) as server:
        entry = kind.model_validate({"base_url": f"{server.url}{path}", **settings})
        provider = entry.open("mine", ProviderContext(Path()))
        try:
            yield provider, server
        finally:
            await provider.close()


async def hear(provider: Provider, call: ModelCall) -> list[Piece]:
    async with aclosing(provider.stream(call)) as pieces:
        return [piece async for piece in pieces]


async def hear_end(opened: Opened, call: ModelCall) -> Completion:
    """The end of a stream."""
    async with opened as (provider, _):
        end = (await hear(provider, call))[-1]
        assert isinstance(end, Completion)
        return end


async def find_sent(opened: Opened, call: ModelCall) -> Any:
    """The body that the server of a whole answer is sent."""
    async with opened as (provider, server):
        await provider.complete(call)
        return server.asked[0].body


async def fault_of(answer: Awaitable[object], kind: type[Fault]) -> Fault:
    with pytest.raises(kind) as fault:
        await answer
    return fault.value


async def faults_of(provider: Provider, call: ModelCall, kind: type[Fault]) -> list[Fault]:
    """What the plain and the streamed call raise."""
    calls = (fault_of(provider.complete(call), kind), fault_of(hear(provider, call), kind))
    return list(await asyncio.wait_for(asyncio.gather(*calls), 60))


def make_files() -> list[FilePart]:
    """A picture and a document, three bytes each."""

    async def read() -> bytes:
        return b"abc"

    return [FilePart(kind, kind, kind, 3, "", read) for kind in ("image/png", "application/pdf")]
