"""A name that is free again brings its next bearer nothing of who had it."""

import pytest

from flowground.access import application_tokens, people
from flowground.access.sharing import share
from flowground.core.errors import NotSignedIn
from flowground.store import tables
from flowground.store.publications import Sharing
from tests.canary import finish_removals
from tests.office import DESK, Office, count_everything, give_everything
from tests.people import PASSWORD
from tests.running import sign_in
from tests.stored import list_entries
from tests.test_member_ids import office as office


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


async def test_an_id_that_a_release_before_left_is_never_given_again(office: Office) -> None:
    """Such a release removes members beside this one, and remembers no ids."""
    bob = await office.add("bob")
    await office.runtime.store.write(
        lambda to: [
            to.execute(tables.members.delete().where(tables.members.c.id == bob.id)),
            to.execute(tables.audit.insert(), {"at": 1, "actor": "x", "action": "member.removed", "subject": "cleo"}),
        ]
    )
    for name in ("bob", "cleo"):
        member = await office.runtime.sign_in.roster.add(name, by="tests")
        assert (member.name, member.id.startswith(f"{name}~")) == (name, True)


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
