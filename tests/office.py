"""An organization of one admin in this process, whose members come, go and change names."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from flowground.access import account, application_tokens, groups, people, sharing
from flowground.access.sharing import share
from flowground.api.app import create_api
from flowground.app import endpoint
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Owner, RunRequest
from flowground.core.events import TurnFinished
from flowground.store.people import members
from flowground.store.publications import Sharing
from flowground.store.runs import shared_chats
from tests.people import HASHED
from tests.running import FLOWS, running, sign_in
from tests.stored import list_entries, list_sessions

DESK = "bob's desk"


@dataclass
class Office:
    """An organization in this process, with a client of its API."""

    runtime: Runtime
    client: httpx2.AsyncClient
    augusta: Caller

    async def add(self, name: str, role: str = "member") -> Caller:
        """Somebody with PASSWORD, signed in."""
        options: dict[str, Any] = {"display_name": name.title(), "role": role, "password": HASHED, "by": "tests"}
        options["email"] = f"{name}@example.com"
        member = await self.runtime.store.write(members.add, name=name, **options)
        return await sign_in(self.runtime, member.id)

    async def run(self, secret: str) -> int:
        """The status of a run of the flow "talk"."""
        body = {"input_value": "hi", "session_id": "s"}
        found = await self.client.post("/api/v1/run/talk", json=body, headers={"x-api-key": secret})
        return found.status_code


@asynccontextmanager
async def open_office(url: str, folder: Path) -> AsyncIterator[Office]:
    config = {"database": url, "limits": {"runs_per_minute": 2}}
    async with running(folder, FLOWS, config=config) as runtime:
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://flowground") as client:
            await runtime.store.write(
                members.add, name="augusta", display_name="Ada", role="admin", password=HASHED, by="tests"
            )
            yield Office(runtime, client, await sign_in(runtime, "augusta"))


async def give_everything(office: Office, bob: Caller) -> tuple[str, str, str, str]:
    """One of each kind of thing that a member can have. Secrets of a token and a link, a ticket, the id of a run."""
    access, store = office.runtime.access, office.runtime.store
    group = await groups.add(access, office.augusta, "Sales")
    await groups.change_members(access, office.augusta, group.id, added=[bob.id])
    await share(access, office.augusta, "talk", Sharing(True, "people", frozenset({bob.id}), shares_api=True))
    await sharing.ask(access, bob, "other", "For the report")
    wired = await access.open_flow(bob, "talk")
    finished = await endpoint.Answer(office.runtime, bob, wired, RunRequest("hi", session_id="s")).finish()
    _, token = await application_tokens.make(access, bob, "talk", name="laptop")
    assert [await office.run(token) for _ in range(3)] == [200, 200, 429]
    _, link = await people.reset_password(access, office.augusta, bob.id)
    assert isinstance(finished, TurnFinished)
    chat = {"flow_id": "talk", "owner": str(bob.owner), "session_id": "s"}
    assert await store.write(shared_chats.share, **chat, expires_at=None)
    return token, link, await office.runtime.sign_in.issue_ticket(bob.id, "browser"), finished.turn.run_id


async def count_everything(office: Office, somebody: Caller) -> dict[str, int]:
    """How much of each kind this person has."""
    access, read = office.runtime.access, office.runtime.store.read
    mine: dict[str, Any] = {"flow_id": "talk", "owner": str(somebody.owner)}
    of_programs = mine | {"owner": str(Owner("programs", somebody.id))}
    return {
        "conversations": len(await read(list_sessions, **mine)),
        "of programs": len(await read(list_sessions, **of_programs)),
        "shared chats": len((await read(shared_chats.list_of_owner, owner=str(somebody.owner)))[0]),
        "tokens": (await application_tokens.find_page(access, somebody, limit=9))[1],
        "groups": (await groups.find_groups(access, office.augusta, having=somebody.id, limit=9))[1],
        "flows": len(await access.list_flows(somebody)),
        "other sign-ins": (await account.find_sign_ins(access, somebody, limit=9))[1] - 1,
        "links": sum(link.member == somebody.id for link in await people.list_links(access, office.augusta)),
        "requests": sum(item.member == somebody.id for item in (await sharing.find_waiting(access, office.augusta))[0]),
        "audit": sum(
            str(somebody.owner) in (entry.actor, entry.subject) and entry.action != "signed_in"
            for entry in await read(list_entries)
        ),
    }
