"""Asking for a flow tells nothing; approving lets exactly that person in."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flowground.access import access_requests
from flowground.caller import Caller
from flowground.errors import InvalidRequest, NotAllowed
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import access_requests as stored_requests
from flowground.store.people import members
from tests.organization import organization, sign_in
from tests.people import HASHED
from tests.running import look_at_once
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


async def share(acme: Runtime, sharing: Sharing) -> None:
    await acme.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")


async def waiting(acme: Runtime, name: str) -> list[tuple[str, str, str]]:
    found, _ = await access_requests.find_waiting(acme.access, await sign_in(acme, name))
    return [(request.flow_id, request.member, request.note) for request in found]


async def opens(acme: Runtime, name: str) -> bool:
    return "talk" in [flow.id for flow in await acme.access.list_flows(await sign_in(acme, name))]


async def test_unknown_and_forbidden_flows_are_answered_alike_and_only_real_ones_kept(acme: Runtime) -> None:
    bob = await sign_in(acme, "bob")
    for address in ("talk", "unknown", "../talk", ""):
        await access_requests.ask(acme.access, bob, address, " please ")  # returns nothing, raises nothing
    await access_requests.ask(acme.access, bob, "talk", "again")
    assert await waiting(acme, "olga") == [("talk", "bob", "please")]
    assert await waiting(acme, "augusta") == [("talk", "bob", "please")]
    assert await waiting(acme, "anton") == []
    assert await waiting(acme, "bob") == []


async def test_asking_is_bounded_alike_for_real_and_unknown_flows(acme: Runtime) -> None:
    bob = await sign_in(acme, "bob")
    for number in range(5):
        await access_requests.ask(acme.access, bob, f"unknown {number}")
    for address in ("unknown", "talk"):
        with pytest.raises(InvalidRequest, match="asked for access to several flows"):
            await access_requests.ask(acme.access, bob, address)
    await access_requests.ask(acme.access, await sign_in(acme, "zoe"), "talk")
    assert await acme.sign_in.tries.find_wait("bob", "access") == 0


async def test_who_may_open_it_has_nothing_to_ask_for(acme: Runtime) -> None:
    await share(acme, Sharing(is_shared=True))
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    assert await waiting(acme, "olga") == []
    with pytest.raises(NotAllowed):
        await access_requests.ask(acme.access, Caller("token", "1", "member", person="bob"), "talk")


async def only(acme: Runtime) -> str:
    [request], _ = await access_requests.find_waiting(acme.access, await sign_in(acme, "olga"))
    return request.id


OFF = Sharing(is_shared=False, audience="organization", shares_api=True)
FORMER = Sharing(is_shared=False, audience="people", members=frozenset({"zoe"}))
PEOPLE = Sharing(is_shared=True, audience="people", members=frozenset({"zoe"}), shares_api=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, Sharing(is_shared=True, audience="people", members=frozenset({"bob"}))),
        (OFF, Sharing(is_shared=True, audience="people", members=frozenset({"bob"}))),
        (FORMER, Sharing(is_shared=True, audience="people", members=frozenset({"bob"}))),
        (PEOPLE, Sharing(is_shared=True, audience="people", members=frozenset({"zoe", "bob"}), shares_api=True)),
    ],
)
async def test_approving_lets_this_person_in_and_nobody_else(acme: Runtime, before: Any, after: Sharing) -> None:
    if before is not None:
        await share(acme, before)
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    await access_requests.approve(acme.access, await sign_in(acme, "olga"), await only(acme))
    assert await acme.store.read(publications.read_sharing, flow_id="talk") == after
    assert await opens(acme, "bob")
    assert await waiting(acme, "olga") == []
    actions = [(entry.actor, entry.action, entry.subject) for entry in await acme.store.read(list_entries)]
    assert ("member:olga", "access.approved", "talk member:bob") in actions
    assert ("member:bob", "access.requested", "talk") in actions


async def test_denying_keeps_out_and_quiet(acme: Runtime) -> None:
    bob, zoe = await sign_in(acme, "bob"), await sign_in(acme, "zoe")
    for asker, address in ((bob, "talk"), (bob, "unknown")):
        await access_requests.ask(acme.access, asker, address)
        assert not await access_requests.is_denied(acme.access, asker, address)
    request = await only(acme)
    await access_requests.deny(acme.access, await sign_in(acme, "olga"), request)
    told = [(asker, address) for asker in (bob, zoe) for address in ("talk", "unknown", "other")]
    assert [await access_requests.is_denied(acme.access, *one) for one in told] == [True] + [False] * 5
    assert not await opens(acme, "bob")
    await access_requests.ask(acme.access, bob, "talk")
    assert await waiting(acme, "olga") == []
    [(_, state)] = await acme.store.read(stored_requests.list_requests, member="bob")
    assert state == "denied"
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="no longer exists"):
            await decide(acme.access, await sign_in(acme, "olga"), request)


@pytest.mark.parametrize("name", ["anton", "bob", "zoe"])
async def test_nobody_but_owners_and_admins_decides(acme: Runtime, name: str) -> None:
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    request = await only(acme)
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="no longer exists"):
            await decide(acme.access, await sign_in(acme, name), request)
    assert await waiting(acme, "olga") != []


async def test_somebody_who_left_is_not_let_in(acme: Runtime) -> None:
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    request = await only(acme)
    await acme.store.write(members.set_active, member="bob", is_active=False, by="tests")
    with pytest.raises(InvalidRequest, match="no longer active"):
        await access_requests.approve(acme.access, await sign_in(acme, "augusta"), request)
    await acme.store.write(members.remove, member="bob", by="tests")
    assert await waiting(acme, "olga") == []


async def test_a_request_for_a_flow_that_is_gone_is_gone_too(
    acme: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    request = await only(acme)
    look_at_once(monkeypatch)
    (tmp_path / "flows" / "talk.yaml").unlink()
    for _ in range(2):  # a file is gone once two looks missed it
        await acme.catalogue.refresh()
    assert await waiting(acme, "olga") == []
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="no longer exists"):
            await decide(acme.access, await sign_in(acme, "olga"), request)


async def test_of_two_owners_who_decide_at_once_one_does(acme: Runtime) -> None:
    olga, augusta = await sign_in(acme, "olga"), await sign_in(acme, "augusta")
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    request = await only(acme)
    deeds = (access_requests.deny(acme.access, olga, request), access_requests.approve(acme.access, augusta, request))
    denied, approved = await asyncio.gather(*deeds, return_exceptions=True)
    assert {type(denied), type(approved)} == {type(None), InvalidRequest}
    assert await opens(acme, "bob") == (approved is None)


async def test_approving_where_everybody_may_open_it_changes_nothing(acme: Runtime) -> None:
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    everybody = Sharing(is_shared=True, audience="organization", shares_api=True)
    await share(acme, everybody)
    await access_requests.approve(acme.access, await sign_in(acme, "olga"), await only(acme))
    assert await acme.store.read(publications.read_sharing, flow_id="talk") == everybody
    assert await opens(acme, "bob")
    assert await opens(acme, "zoe")


async def test_requests_are_found_by_who_asks_for_what_and_why(tmp_path: Path) -> None:
    config = {"credentials": {"usernames": {"carl": {"first_name": "Carla", "password": HASHED}}}}
    async with organization(tmp_path, config=config) as acme:
        for asker, flow, note in (("bob", "talk", "For the report"), ("zoe", "other", "soon"), ("carl", "other", "")):
            await access_requests.ask(acme.access, await sign_in(acme, asker), flow, note)
        ada = await sign_in(acme, "augusta")
        for words, askers in (
            ("", ["bob", "zoe", "carl"]),
            ("REPORT", ["bob"]),
            ("other", ["zoe", "carl"]),
            ("other soon", ["zoe"]),
            ("Carlà", ["carl"]),
            ("bob other", []),
        ):
            found, count = await access_requests.find_waiting(acme.access, ada, words, limit=2)
            assert ([one.member for one in found], count) == (askers[:2], len(askers)), words
        assert await access_requests.count_waiting(acme.access, ada) == 3
        assert await access_requests.count_waiting(acme.access, ada, flow_id="talk") == 1
        assert await access_requests.count_waiting(acme.access, await sign_in(acme, "anton")) == 0
