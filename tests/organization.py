"""An organization in this process, whose people are in the database: an author owns a flow."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.store.people import members
from tests.people import HASHED, ROLES, make_cookie
from tests.running import chat_flow, running

FLOWS = {
    "talk": "owners: [olga]\n" + chat_flow("scripted", "Talk"),
    "other": "owners: [nobody]\n" + chat_flow("scripted", "Other"),
}


@asynccontextmanager
async def organization(
    folder: Path, flows: Mapping[str, str] = FLOWS, *, config: dict[str, Any] | None = None
) -> AsyncIterator[Runtime]:
    """Those of tests/people.py (olga owns the flow "talk"), and anton, another author. Only zoe has no password."""
    async with running(folder, flows, config=config) as runtime:
        for name, role in {**ROLES, "anton": "author"}.items():
            await runtime.store.write(
                members.add,
                name=name,
                display_name=name.title(),
                role=role,
                email=f"{name}@example.com",
                password=None if name == "zoe" else HASHED,
                by="tests",
            )
        yield runtime


async def sign_in(runtime: Runtime, name: str) -> Caller:
    caller = await runtime.sign_in.verify_cookie(await make_cookie(runtime.sign_in, name))
    assert caller is not None
    return caller
