"""A name that is free again brings its next bearer nothing of who had it.

Names change and are given to others; what somebody has stays theirs, and nobody else gets any of it.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowground.access import account, application_tokens, people
from flowground.access.sharing import share
from flowground.app import endpoint
from flowground.app.authorize import PersonTrying
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import InvalidRequest, NotAllowed, NotSignedIn
from flowground.store.publications import Sharing
from tests.canary import finish_removals
from tests.office import DESK, Office, count_everything, give_everything, open_office
from tests.people import PASSWORD, make_cookie
from tests.running import FLOWS, running, sign_in
from tests.stored import collect_data, list_entries


@pytest.mark.parametrize("how", ["renamed", "removed"])
async def test_a_freed_name_brings_nothing_to_its_next_bearer(office: Office, how: str) -> None:
    access, verify = office.runtime.access, office.runtime.sign_in.verify_token
    bob = await office.add("bob")
    token, link, ticket, run = await give_everything(office, bob)
    await sign_in(office.runtime, bob.id)
    had = await count_everything(office, bob)
    assert all(had.values()), had
    if how == "renamed":
        await people.rename(access, office.augusta, bob.id, "Robert")
    else:
        await people.remove(access, office.augusta, bob.id)

    newcomer = await office.add("bob")
    assert newcomer.id.startswith("bob~")
    assert await count_everything(office, newcomer) == dict.fromkeys(had, 0)
    caller = await verify(token)
    assert (caller and caller.person) == (bob.id if how == "renamed" else None)
    redeemed = await office.runtime.sign_in.redeem(ticket, "browser")
    signed_in = await office.runtime.sign_in.verify_cookie(redeemed or "")
    assert (signed_in and signed_in.id) == (bob.id if how == "renamed" else None)
    await share(access, office.augusta, "talk", Sharing(True, shares_api=True))
    _, fresh = await application_tokens.make(access, newcomer, "talk", name="phone")
    told = await office.client.get(f"/api/v1/runs/{run}", headers={"x-api-key": fresh})
    assert told.status_code == 404
    assert await office.run(fresh) == 200, "the runs of whoever had the name are not counted as theirs"
    if how == "removed":
        with pytest.raises(NotSignedIn):
            await office.runtime.sign_in.links.find(link, "here")
        return
    _, whose = await office.runtime.sign_in.links.find(link, "here")
    assert (whose.id, whose.name) == ("bob", "robert")
    assert (await office.client.get(f"/api/v1/runs/{run}", headers={"x-api-key": token})).status_code == 200
    assert await office.run(token) == 429, "renamed, but as often as before"
    await share(access, office.augusta, "talk", Sharing(True, "people", frozenset({bob.id}), shares_api=True))
    now = await count_everything(office, bob)
    assert {kind: now[kind] - had[kind] for kind in had if now[kind] < had[kind]} == {}


async def test_a_freed_name_brings_no_known_desk(office: Office) -> None:
    room = office.runtime.sign_in
    bob = await office.add("bob")
    assert await room.check_password("bob", PASSWORD, DESK) is not None
    await people.rename(office.runtime.access, office.augusta, bob.id, "robert")
    await office.add("bob")
    for name in ("bob", "robert"):
        for number in range(55):
            await room.attempts.count(name, f"stranger {number // 5}")
    assert await room.attempts.find_wait("robert", DESK) == 0
    assert await room.attempts.find_wait("bob", DESK) > 0


async def test_whoever_leaves_takes_nothing_of_the_one_whose_id_is_their_name(office: Office) -> None:
    bob, store = await office.add("bob"), office.runtime.store
    await give_everything(office, bob)
    await people.rename(office.runtime.access, office.augusta, bob.id, "robert")
    newcomer = await office.add("bob")
    await office.runtime.sign_in.check_password("bob", "wrong", DESK)
    had = await count_everything(office, bob)
    lines = [entry for entry in await store.read(list_entries) if newcomer.id not in entry.subject]
    await people.remove(office.runtime.access, office.augusta, newcomer.id)
    await finish_removals(store)
    assert await count_everything(office, bob) == had
    left = await store.read(list_entries)
    assert len(lines) > 10
    assert [entry for entry in lines if entry not in left and str(newcomer.owner) != entry.actor] == []


FRESH = "another long phrase"


@pytest.fixture
async def office(url: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(url, tmp_path) as opened:
        yield opened


async def test_whoever_is_renamed_signs_in_by_the_new_name_only_and_stays_signed_in(office: Office) -> None:
    room = office.runtime.sign_in
    bob = await office.add("bob")
    cookie = await make_cookie(room, bob.id)
    await people.rename(office.runtime.access, office.augusta, bob.id, " Robert ")
    assert (await room.verify_cookie(cookie) or bob).id == "bob"
    assert await office.runtime.access.recheck(bob) == bob
    assert await room.check_password("bob", PASSWORD, "here") is None
    robert = await room.check_password("ROBERT", PASSWORD, "here")
    assert robert is not None
    assert (robert.id, robert.name) == ("bob", "robert")
    await account.change_password(office.runtime.access, bob, PASSWORD, FRESH, address="here")
    assert await room.check_password("robert", FRESH, "here") == robert
    entries = await office.runtime.store.read(list_entries)
    assert ("member:augusta", "member.renamed", "bob robert") in [(e.actor, e.action, e.subject) for e in entries]


async def test_whose_id_is_not_their_name_signs_in_and_out_as_anybody(office: Office) -> None:
    room = office.runtime.sign_in
    await office.add("bob")
    await people.rename(office.runtime.access, office.augusta, "bob", "robert")
    newcomer = await office.add("bob")
    member = await room.check_password("bob", PASSWORD, "here")
    assert member is not None
    assert (member.id, member.name) == (newcomer.id, "bob")
    cookie = await make_cookie(room, member.id)
    caller = await room.verify_cookie(cookie)
    assert caller is not None
    assert (caller.id, str(caller.owner)) == (newcomer.id, f"member:{newcomer.id}")
    assert await room.check_password(newcomer.id, PASSWORD, "here") is None, "an id is no name"
    assert await account.sign_out(office.runtime.access, newcomer, str(caller.sign_in_id))
    assert await room.verify_cookie(cookie) is None


async def test_a_name_that_is_taken_or_none_is_refused(office: Office) -> None:
    await office.add("bob")
    no_name = dict.fromkeys(("a b", "bob~x7f3", ""), "made of small letters")
    for name, says in {"augusta": "already a member augusta", **no_name}.items():
        with pytest.raises(InvalidRequest, match=says):
            await people.rename(office.runtime.access, office.augusta, "bob", name)
    assert await office.runtime.sign_in.check_password("bob", PASSWORD, "here") is not None


async def test_the_owners_in_a_flow_file_are_ids(office: Office) -> None:
    """So whoever gets an owner's earlier name publishes nothing."""
    access = office.runtime.access
    olga = await office.add("olga", "author")
    await people.rename(access, office.augusta, olga.id, "helga")
    newcomer = await office.add("olga", "author")
    wired = await access.open_flow(olga, "talk")
    assert (access.may_publish(olga, wired), access.may_publish(newcomer, wired)) == (True, False)


async def list_shown(office: Office) -> dict[str, str]:
    return {member.id: member.display_name for member in await office.runtime.sign_in.roster.list_members()}


async def test_members_and_admins_change_the_name_that_colleagues_see(office: Office) -> None:
    access = office.runtime.access
    bob = await office.add("bob")
    await account.show_as(access, bob, "  Bob   the Builder ")
    assert (await list_shown(office))["bob"] == "Bob the Builder"
    await people.show_as(access, office.augusta, bob.id, "Robert")
    assert (await list_shown(office))["bob"] == "Robert"
    for bad in ("", " ", "x" * 101, "a\u202eb", "a\nb\x00"):
        with pytest.raises(InvalidRequest, match="one line of 1 to 100"):
            await account.show_as(access, bob, bad)
    with pytest.raises(NotAllowed):
        await people.show_as(access, bob, "augusta", "Anybody")
    entries = [(e.actor, e.action, e.subject) for e in await office.runtime.store.read(list_entries)]
    assert ("member:bob", "member.shown_as", "bob") in entries
    assert ("member:augusta", "member.shown_as", "bob") in entries


async def test_my_data_is_complete_after_a_rename(office: Office) -> None:
    bob = await office.add("bob")
    await give_everything(office, bob)
    before: dict[str, Any] = await collect_data(office.runtime.access, bob)
    await people.rename(office.runtime.access, office.augusta, bob.id, "robert")
    await office.add("bob")
    after: dict[str, Any] = await collect_data(office.runtime.access, bob)
    assert len(before["conversations"]) == 2
    assert all(value for name, value in before.items() if name not in ("shared_chats", "ratings", "files")), before
    assert after == before | {"name": "robert"}
    assert await account.delete_conversations(office.runtime.access, bob) == 2


async def test_the_first_account_gets_what_the_local_owner_tried(url: str, tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"database": url}) as runtime:
        trial = await endpoint.answer(
            runtime, PersonTrying(LOCAL_OWNER), address="talk", ask=RunRequest("hi", session_id="s")
        )
        assert await trial.finish() is not None
        member = await runtime.sign_in.roster.add_first("owner", "", PASSWORD)
        caller = await sign_in(runtime, member.id)
        data = await collect_data(runtime.access, caller)
        assert [item["session"] for item in data["conversations"]] == ["s"]
