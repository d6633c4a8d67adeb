"""The release before serves beside this one on a database that this one migrated: what each writes, the other reads.

Its statements are text (tests/statements_before.py); whole processes of both were tried by hand.
"""

import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import Connection, text

from flowground.api.app import create_api
from flowground.app.runtime import Runtime
from flowground.core.caller import Owner
from flowground.store import publications, tables
from flowground.store.connections import Database
from flowground.store.migrations import ADDITIONS, migrate
from flowground.store.people import members, tokens
from flowground.store.runs.conversations import make_session_key
from tests import statements_before as before
from tests.people import HASHED, PASSWORD, make_cookie
from tests.running import FLOWS, running
from tests.stored import list_sessions

MEMBER = {"display_name": "Ann", "email": None, "role": "author", "active": True, "created_at": 1.0}


@dataclass
class Both:
    """This release with a client of its API, and what the release before does on the same database."""

    runtime: Runtime
    client: httpx2.AsyncClient

    async def old(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """Rows of one statement of the release before; none where it gives none."""

        def execute(connection: Connection) -> list[tuple[Any, ...]]:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []

        return await self.runtime.store.write(execute)

    async def add_old_member(self, name: str, **others: object) -> None:
        await self.old(before.ADD_MEMBER, name=name, **{**MEMBER, **others})
        await self.old(before.ADD_PASSWORD, name=name, hash=HASHED, changed_at=1.0)
        await self.old(before.AUDIT, at=1.0, actor="cli", action="member.added", subject=name)

    async def add_old_token(self, owner: str) -> tuple[str, Mapping[str, str]]:
        """Its id, and the headers of a call with it."""
        secret, key = f"fg_{secrets.token_urlsafe(32)}", str(uuid4())
        hashed = hashlib.sha256(secret.encode()).hexdigest()
        facts = {"flows": None, "created_at": 1.0, "expires_at": None, "uses": 0}
        await self.old(before.ADD_TOKEN, id=key, name="old", prefix=secret[:8], hash=hashed, owner=owner, **facts)
        return key, {"x-api-key": secret}

    async def say_old(self, owner: str, question: str, answer: str) -> str:
        """A turn of the flow "talk" in session "s"; the session's key."""
        session, run, now = make_session_key("talk", owner, "s"), str(uuid4()), time.time()
        place = {"flow_id": "talk", "owner": owner, "session_id": "s"}
        made = {"title": question, "created_at": now, "updated_at": now, "messages": 1}
        await self.old(before.BEGIN_SESSION, id=session, **place, **made)
        rest = dict.fromkeys(("model", "input_tokens", "output_tokens", "seconds", "trace", "error"))
        here = {"session": session, "state": "complete", "created_at": now, "run_id": run, **rest}
        await self.old(before.ADD_MESSAGE, id=str(uuid4()), role="user", text=question, **here)
        await self.old(before.TOUCH_SESSION, session=session, updated_at=now, more=1)
        await self.old(before.ADD_MESSAGE, id=str(uuid4()), role="assistant", text=answer, **here)
        facts = {"flow_version": "v", "status": "complete", "started_at": now, "seconds": 0.1, "streamed": False}
        none = {"input_tokens": None, "output_tokens": None, "error_code": None}
        await self.old(before.ADD_RUN, id=run, **place, **facts, **none)
        return session

    async def read_old(self, session: str) -> list[str]:
        """The history that a flow gets there, oldest first."""
        rows = await self.old(before.READ_HISTORY, session=session, before=None, limit=100)
        shown = await self.old(before.LIST_MESSAGES, session=session, limit=100)
        assert [row[2] for row in shown] == [row[1] for row in rows]
        return [row[1] for row in rows][::-1]

    async def say(self, headers: Mapping[str, str], question: str) -> int:
        body = {"input_value": question, "session_id": "s"}
        return (await self.client.post("/api/v1/run/talk", json=body, headers=headers)).status_code


@pytest.fixture
async def both(url: str, tmp_path: Path) -> AsyncIterator[Both]:
    async with running(tmp_path, FLOWS, config={"database": url}) as runtime:
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://flowground") as client:
            yield Both(runtime, client)


async def test_whom_it_adds_signs_in_here_and_whom_this_adds_there(both: Both) -> None:
    await both.add_old_member("ann")
    room = both.runtime.sign_in
    ann = await room.check_password("ann", PASSWORD, "here")
    assert ann == members.Member("ann", "ann", "Ann", None, "author", True, "database")
    bob = await room.roster.add("bob", display_name="Bob", password=PASSWORD, by="tests")
    assert await both.old(before.FIND_MEMBER, name_1="bob") == [("bob", "Bob", None, "member", True, "bob")]
    [(hashed,)] = await both.old(before.FIND_PASSWORD, name_1="bob")
    assert hashed.startswith("$2b$")
    await room.roster.rename(bob.id, "robert", by="tests")
    names = [(row[0], row[5]) for row in await both.old(before.LIST_MEMBERS)]
    assert names == [("ann", "ann"), ("bob", "bob")], "it knows him by the id, with which he signs in there"


async def test_members_of_config_yaml_keep_what_they_had_there_and_go_back(url: str, tmp_path: Path) -> None:
    """It kept of them a fingerprint and an email; the rest it read from the file."""
    database = Database.make(url)
    migrate(database.writer, additions=ADDITIONS[:-1])
    digest = hashlib.sha256(HASHED.encode()).hexdigest()
    entries = [("ada", f"hash {digest}", None, True), ("eve", "hash of another one", None, False)]
    now, secret = time.time(), f"fg_{secrets.token_urlsafe(32)}"
    owned = {"owner": "ada", "hash": hashlib.sha256(secret.encode()).hexdigest(), "flows": None, "expires_at": None}
    signed_in = {"id": "theirs", "member": "ada", "created_at": now, "expires_at": now + 1000, "agent": None}
    talk = {"flow_id": "talk", "owner": "member:ada", "session_id": "s"}
    chat = {"id": make_session_key(**talk), "title": "t", "created_at": now, "updated_at": now, "messages": 1}
    statements: list[tuple[str, dict[str, Any]]] = [
        *(
            (before.ADD_ENTRY, dict(zip(("name", "fingerprint", "email", "present"), one, strict=True)))
            for one in entries
        ),
        (before.ADD_SIGN_IN, signed_in),
        (before.ADD_TOKEN, {"id": "t", "name": "old", "prefix": secret[:8], "created_at": 1.0, "uses": 0, **owned}),
        (before.BEGIN_SESSION, talk | chat),
    ]
    with database.writer.begin() as connection:
        for statement, values in statements:
            connection.execute(text(statement), values)
        connection.execute(tables.audiences.insert(), {"flow_id": "talk", "kind": "member", "name": "ada"})
        shared = {"shared": True, "audience": "people", "changed_by": "x", "changed_at": 1.0}
        connection.execute(tables.publications.insert(), {"flow_id": "talk", **shared})
    usernames = {"ada": {"password": HASHED, "roles": ["author"], "name": "Ada"}}
    config = {"database": url, "credentials": {"usernames": usernames}}
    for _ in range(2):
        async with running(tmp_path, FLOWS, config=config) as runtime:
            room, read = runtime.sign_in, runtime.store.read
            cookie = room.cookies.write_sign_in(username="ada", sign_in_id="theirs", expires_at=now + 1000)
            caller, token = await room.verify_cookie(cookie), await room.verify_token(secret)
            assert (caller and caller.role, token and (token.role, token.person)) == ("author", ("author", "ada"))
            assert await room.check_password("ada", PASSWORD, "here") is not None
            assert len(await read(list_sessions, flow_id="talk", owner="member:ada")) == 1
            assert (await read(publications.read_sharing, flow_id="talk")).members == {"ada"}
            rows = await read(lambda to: [tuple(row) for row in to.execute(text(before.LIST_ENTRIES))])
            assert [(*row[:3], bool(row[3])) for row in rows] == entries
            shown = [(one.name, one.is_active) for one in await room.roster.list_members()]
            assert shown == [("ada", True), ("eve", False)]
        with database.writer.begin() as connection:  # as it leaves its rows after a start of its own
            connection.execute(tables.config_entries.update().values(display_name=None, role=None))


async def test_sign_ins_count_on_both_sides(both: Both) -> None:
    await both.add_old_member("ann")
    room = both.runtime.sign_in
    now = time.time()
    await both.old(
        before.ADD_SIGN_IN, id="theirs", member="ann", created_at=now, expires_at=now + 1000, agent="Firefox"
    )
    there = room.cookies.write_sign_in(username="ann", sign_in_id="theirs", expires_at=now + 1000)
    caller = await room.verify_cookie(there)
    assert caller is not None
    assert (caller.id, caller.role) == ("ann", "author")
    here = await room.verify_cookie(await make_cookie(room, "ann"))
    assert here is not None
    await both.old(before.SET_ROLE, role="member", name_1="ann")
    [(member, _, ended, role, active, mark)] = await both.old(before.CHECK_SIGN_IN, id=here.sign_in_id)
    assert (member, ended, role, bool(active), mark) == ("ann", None, "member", True, None)
    assert (await both.runtime.access.recheck(here)).role == "member"
    assert await both.old(before.END_SIGN_IN, id_1=here.sign_in_id, revoked_at=now) == [("ann",)]
    assert await room.find_caller(str(here.sign_in_id)) is None


async def test_tokens_count_on_both_sides(both: Both) -> None:
    await both.add_old_member("ann")
    key, headers = await both.add_old_token("ann")
    assert await both.say(headers, "hi") == 200
    made, secret = await both.runtime.store.write(
        tokens.create, name="new", owner="ann", flows=None, expires_at=None, by="tests"
    )
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    [(found, *_, role, active)] = await both.old(before.FIND_TOKEN, hash=hashed)
    assert (found, role, bool(active)) == (made.id, "author", True)
    await both.old(before.COUNT_USES, token_id=key, more=3, last=2.0)
    await both.old(before.REVOKE_TOKEN, id_1=key, revoked_at=3.0)
    assert await both.say(headers, "hi") == 403


async def test_a_conversation_goes_back_and_forth_between_both(both: Both) -> None:
    await both.add_old_member("ann")
    key, headers = await both.add_old_token("ann")
    owner = str(Owner("token", key))
    session = await both.say_old(owner, "one", "1")
    assert await both.say(headers, "two") == 200
    assert await both.say_old(owner, "three", "3") == session
    _, other = await both.add_old_token("ann")
    assert await both.say(other, "four") == 200
    told = ["one", "1", "two", "You said: two", "three", "3", "four", "You said: four"]
    assert await both.read_old(session) == told
    read = await both.client.get("/api/v1/monitor/messages", params={"session_id": "s"}, headers=other)
    assert [item["text"] for item in read.json()] == told
    listed = await both.old(before.LIST_SESSIONS, flow_id_1="talk", owner_1=owner, messages_1=0, param_1=50)
    assert [(row[0], row[1], row[4]) for row in listed] == [("s", "one", 8)]
    assert [row[5] for row in await both.old(before.EXPORT, owner_1_1=owner)] == told


async def test_whom_it_removes_is_gone_here_with_what_programs_said_here(both: Both) -> None:
    await both.add_old_member("ann")
    key, headers = await both.add_old_token("ann")
    assert await both.say(headers, "canary") == 200
    programs = str(Owner("programs", "ann"))
    assert [row[5] for row in await both.old(before.EXPORT, owner_1_1=programs)] == ["canary", "You said: canary"]
    owners = {"owner_1_1": "member:ann", "owner_1_2": programs, "owner_1_3": str(Owner("token", key))}
    await both.old(before.REMOVE_MEMBER, name_1="ann")
    await both.old(before.REMOVE_PASSWORD, name_1="ann")
    await both.old(before.REMOVE_SESSIONS, **owners)
    await both.old(before.REVOKE_TOKEN, id_1=key, revoked_at=3.0)
    await both.old(before.AUDIT, at=1.0, actor="x", action="member.removed", subject="ann")
    assert await both.runtime.sign_in.check_password("ann", PASSWORD, "here") is None
    assert await both.say(headers, "hi") == 403
    ann = await both.runtime.sign_in.roster.add("ann", password=PASSWORD, by="tests")
    assert ann.id.startswith("ann~")
    _, fresh = await both.add_old_token(ann.id)
    assert (await both.client.get("/api/v1/monitor/messages", headers=fresh)).json() == []
