"""An organization for tests: an admin, an author who owns a flow, members, and how they sign in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from flowground.caller import Caller
from flowground.runtime import Runtime
from tests.running import chat_flow, running

PASSWORD = "a long good phrase"
FLOWS = {
    "talk": "owners: [olga]\n" + chat_flow("scripted", "Talk"),
    "other": "owners: [nobody]\n" + chat_flow("scripted", "Other"),
}


@asynccontextmanager
async def organization(folder: Path, *, config: dict[str, Any] | None = None) -> AsyncIterator[Runtime]:
    """root: admin; olga: author, owns the flow "talk"; anton: author; mia, max: members. All but max have PASSWORD."""
    async with running(folder, FLOWS, config=config) as runtime:
        sign_in = runtime.sign_in
        await sign_in.add_member("root", role="admin", password=PASSWORD, by="tests")
        for name, role in (("olga", "author"), ("anton", "author"), ("mia", "member")):
            await sign_in.add_member(name, role=role, password=PASSWORD, by="tests")  # type: ignore[arg-type]
        await sign_in.add_member("max", by="tests")
        yield runtime


async def cookie_of(runtime: Runtime, name: str) -> str:
    cookie = await runtime.sign_in.redeem(await runtime.sign_in.issue_ticket(name, "browser"), "browser", "Firefox")
    assert cookie is not None
    return cookie


async def signed_in(runtime: Runtime, name: str) -> Caller:
    caller = await runtime.sign_in.verify_cookie(await cookie_of(runtime, name))
    assert caller is not None
    return caller
