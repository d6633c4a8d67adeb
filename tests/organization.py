"""An organization for tests: an admin, an author who owns a flow, members, and how they sign in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt

from flowground.caller import Caller, Role
from flowground.runtime import Runtime
from flowground.store.people import members
from tests.running import chat_flow, running

PASSWORD = "a long good phrase"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
ROLES: dict[str, Role] = {"root": "admin", "olga": "author", "anton": "author", "mia": "member", "max": "member"}
FLOWS = {
    "talk": "owners: [olga]\n" + chat_flow("scripted", "Talk"),
    "other": "owners: [nobody]\n" + chat_flow("scripted", "Other"),
}


@asynccontextmanager
async def organization(folder: Path, *, config: dict[str, Any] | None = None) -> AsyncIterator[Runtime]:
    """root: admin; olga: author, owns the flow "talk"; anton: author; mia, max: members. All but max have PASSWORD."""
    async with running(folder, FLOWS, config=config) as runtime:
        for name, role in ROLES.items():
            password = None if name == "max" else HASHED
            await runtime.store.write(
                members.add, name=name, display_name=name.title(), role=role, password=password, by="tests"
            )
        yield runtime


async def cookie_of(runtime: Runtime, name: str) -> str:
    cookie = await runtime.sign_in.redeem(await runtime.sign_in.issue_ticket(name, "browser"), "browser", "Firefox")
    assert cookie is not None
    return cookie


async def signed_in(runtime: Runtime, name: str) -> Caller:
    caller = await runtime.sign_in.verify_cookie(await cookie_of(runtime, name))
    assert caller is not None
    return caller
