"""Who may make, see and revoke which tokens."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowground.access import application_tokens
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.store import publications
from flowground.store.people import members, tokens
from flowground.store.publications import Sharing
from tests.people import HASHED, ROLES
from tests.running import chat_flow, running, sign_in

FLOWS = {name: chat_flow("scripted", name.title()) for name in ("open", "chat-only", "private")}


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    """One flow shared with its API, one without, one not at all."""
    async with running(tmp_path, FLOWS) as runtime:
        shared = Sharing(True, shares_api=True)
        await runtime.store.write(publications.change, flow_id="open", sharing=shared, by="tests")
        await runtime.store.write(publications.change, flow_id="chat-only", sharing=Sharing(True), by="tests")
        yield runtime


async def join(runtime: Runtime, name: str) -> Caller:
    """One of tests/people.py, added to the database and signed in."""
    await runtime.store.write(members.add, name=name, display_name=name, role=ROLES[name], password=HASHED, by="tests")
    return await sign_in(runtime, name)


async def make(runtime: Runtime, caller: Caller, flow: str = "open", **given: Any) -> tuple[tokens.StoredToken, str]:
    return await application_tokens.make(runtime.access, caller, flow, **({"name": "ci"} | given))


async def verify(runtime: Runtime, secret: str) -> Caller:
    caller = await runtime.sign_in.verify_token(secret)
    assert caller is not None
    return caller


async def names(runtime: Runtime, caller: Caller, flow_id: str | None = None) -> set[str]:
    found, count = await application_tokens.find_page(runtime.access, caller, flow_id=flow_id, limit=9)
    assert len(found) == count
    return {token.name for token in found}


async def test_a_token_is_its_makers_for_one_flow_or_for_all_they_may_run(runtime: Runtime) -> None:
    olga = await join(runtime, "olga")
    one, secret = await make(runtime, olga, name="  my   script ")
    assert (one.name, one.owner, one.flows, one.expires_at) == ("my script", "olga", ("open",), None)
    caller = await verify(runtime, secret)
    assert {flow.id for flow in await runtime.access.list_flows(caller)} == {"open"}
    every, _ = await make(runtime, olga, reach="all", expires_in=timedelta(days=30))
    assert every.flows is None
    assert every.expires_at is not None
    assert timedelta(days=29) < every.expires_at - datetime.now(UTC) < timedelta(days=31)


async def test_a_members_token_needs_a_shared_api_and_reaches_no_other_flow(runtime: Runtime) -> None:
    bob = await join(runtime, "bob")
    with pytest.raises(NotAllowed, match="not for its API"):
        await make(runtime, bob, "chat-only")
    with pytest.raises(FlowNotFound):
        await make(runtime, bob, "private")
    _, secret = await make(runtime, bob, "open", reach="all")
    caller = await verify(runtime, secret)
    assert {flow.id for flow in await runtime.access.list_flows(caller)} == {"open"}


async def test_everyone_sees_and_revokes_their_own_admins_all(runtime: Runtime) -> None:
    olga, bob = await join(runtime, "olga"), await join(runtime, "bob")
    augusta = await join(runtime, "augusta")
    olgas, _ = await make(runtime, olga, "private", name="olgas")
    bobs, secret = await make(runtime, bob, name="bobs")
    await make(runtime, augusta, name="augustas", reach="all")
    assert await names(runtime, olga) == {"olgas"}
    assert await names(runtime, bob) == {"bobs"}
    assert await names(runtime, augusta) == {"olgas", "bobs", "augustas"}
    assert await names(runtime, augusta, "private") == {"olgas", "augustas"}
    own, _ = await application_tokens.find_page(runtime.access, augusta, is_own=True, limit=9)
    assert [token.name for token in own] == ["augustas"]
    with pytest.raises(InvalidRequest, match="no such token"):
        await application_tokens.revoke(runtime.access, bob, olgas.id)
    await application_tokens.revoke(runtime.access, augusta, bobs.id)
    assert await runtime.sign_in.verify_token(secret) is None
    with pytest.raises(InvalidRequest, match="no such token"):
        await application_tokens.revoke(runtime.access, bob, bobs.id)
    await application_tokens.revoke(runtime.access, olga, olgas.id)
    assert await names(runtime, augusta) == {"augustas"}


async def test_the_local_owner_proves_it_first_and_makes_the_organizations(runtime: Runtime) -> None:
    stranger = Caller(kind="local", id="owner", role="admin", is_proven=False)
    with pytest.raises(NotAllowed, match="owner code"):
        await make(runtime, stranger)
    with pytest.raises(NotAllowed, match="owner code"):
        await application_tokens.find_page(runtime.access, stranger, limit=9)
    made, _ = await make(runtime, LOCAL_OWNER)
    assert made.owner is None
    augusta = await join(runtime, "augusta")
    assert await names(runtime, augusta) == {"ci"}
    with pytest.raises(NotSignedIn):
        await make(runtime, LOCAL_OWNER)


async def test_only_people_have_tokens(runtime: Runtime) -> None:
    for caller in (Caller("token", "x", "admin"), Caller("visitor", "x", "admin")):
        with pytest.raises((NotAllowed, NotSignedIn)):
            await make(runtime, caller)
        with pytest.raises((NotAllowed, NotSignedIn)):
            await application_tokens.find_page(runtime.access, caller, limit=9)


async def test_what_cannot_be_is_said_and_bounds_themselves_can_be(runtime: Runtime) -> None:
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"name": " "}, "Give the token a name"),
        ({"name": "a" * 61}, "at most 60 characters"),
        ({"name": "a\u202eb"}, "one line"),
        ({"expires_in": timedelta(0)}, "at most 10 years"),
        ({"expires_in": timedelta(days=3660, seconds=1)}, "at most 10 years"),
    )
    for given, sentence in refused:
        with pytest.raises(InvalidRequest, match=sentence):
            await make(runtime, LOCAL_OWNER, **given)
    for life in (timedelta(days=3660), timedelta(seconds=1)):
        made, _ = await make(runtime, LOCAL_OWNER, name="n" * 60, expires_in=life)
        assert made.name == "n" * 60


async def test_there_is_an_end_to_tokens_in_force_and_the_newest_stands_first(runtime: Runtime) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    for number in range(100):
        name = f"old {number}"
        await runtime.store.write(tokens.create, name=name, owner=None, flows=None, expires_at=past, by="tests")
    made, _ = await make(runtime, LOCAL_OWNER, name="new")
    listed, count = await application_tokens.find_page(runtime.access, LOCAL_OWNER, limit=2)
    assert (count, listed[0].id, listed[0].is_in_force, listed[1].is_in_force) == (101, made.id, True, False)
    for _ in range(99):
        await make(runtime, LOCAL_OWNER)
    with pytest.raises(InvalidRequest, match="100 tokens in use already"):
        await make(runtime, LOCAL_OWNER)
    await application_tokens.revoke(runtime.access, LOCAL_OWNER, made.id)
    await make(runtime, LOCAL_OWNER)


async def test_a_new_token_sees_answers_and_sets_what_was_opened(runtime: Runtime) -> None:
    for name in ("augusta", "olga", "bob"):
        made, secret = await make(runtime, await join(runtime, name))
        caller = await verify(runtime, secret)
        assert (made.sees, made.sets, caller.sees_inside, caller.sets_unprotected) == (
            "answers",
            "opened",
            False,
            False,
        )


@pytest.mark.parametrize("more", [{"sees": "inside"}, {"sets": "unprotected"}])
async def test_a_token_may_no_more_than_who_makes_it(runtime: Runtime, more: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed, match="no more than its owner"):
        await make(runtime, await join(runtime, "bob"), **more)
    made, secret = await make(runtime, await join(runtime, "olga"), **more)
    caller = await verify(runtime, secret)
    assert (made.sees == "inside", made.sets == "unprotected") == (caller.sees_inside, caller.sets_unprotected)
    assert caller.sees_inside is ("sees" in more)
    await runtime.store.write(members.set_role, member="olga", role="member", by="tests")
    caller = await verify(runtime, secret)
    assert (caller.sees_inside, caller.sets_unprotected, caller.opens_every_flow) == (False, False, False)
