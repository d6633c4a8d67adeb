"""Every cell of the access matrix that is about knowledge: who sees it, and who adds and removes its files."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flowground import shelving
from flowground.caller import Caller
from flowground.errors import FlowNotFound, NotSignedIn
from flowground.knowledge import KnowledgeMissing
from flowground.runtime import Runtime
from tests.access_matrix import STATES, cells
from tests.test_access_matrix import Somebody, house

pytestmark = pytest.mark.anyio


async def look_up(runtime: Runtime, somebody: Somebody) -> tuple[str, str]:
    """As the page does it, new and open before: what they get of the knowledge, and of adding a file to it."""
    new = await runtime.sign_in.verify_cookie(somebody.cookie or somebody.token)
    found = ("sign in", "403") if new is None else await _look_up(runtime, new)
    if somebody.caller is not None:
        assert await _look_up(runtime, somebody.caller) == found
    return found


async def _look_up(runtime: Runtime, caller: Caller) -> tuple[str, str]:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"kept"

    handbook = (runtime, caller, "talk", "handbook")
    reads: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: shelving.list_knowledge(runtime, caller, "talk"),
        lambda: shelving.list_knowledge(runtime, caller, ""),
        lambda: shelving.read_knowledge(*handbook),
        lambda: shelving.find_passages(*handbook, "what?"),
    )
    got = {await _name_outcome(door) for door in reads}
    added = await _name_outcome(lambda: shelving.add_file(*handbook, file_name="a.txt", pieces=pieces()))
    assert await _name_outcome(lambda: shelving.remove_file(*handbook, "nothing")) == added
    words = {"does": ("reads", "adds"), "FlowNotFound": ("nothing", "404"), "NotSignedIn": ("sign in", "403")}
    (read,) = got
    return words[read][0], words[added][1]


async def _name_outcome(door: Callable[[], Awaitable[object]]) -> str:
    try:
        await door()
    except (FlowNotFound, NotSignedIn) as error:
        return type(error).__name__
    except KnowledgeMissing:
        return "does"
    return "does"


@pytest.mark.parametrize("state", STATES)
async def test_every_cell_of_knowledge(tmp_path: Path, state: str) -> None:
    async with house(tmp_path, state) as (runtime, everybody, _):
        looked_up = {who: await look_up(runtime, somebody) for who, somebody in everybody.items()}
        assert {who: read for who, (read, _) in looked_up.items()} == cells("knowledge", state)
        assert {who: added for who, (_, added) in looked_up.items()} == cells("added", state)
