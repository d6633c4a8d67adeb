"""Asking for a flow tells nothing; approving lets exactly that person in."""

import asyncio
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
from tests.organization import signed_in
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


async def share(acme: Runtime, sharing: Sharing) -> None:
    await acme.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")


async def waiting(acme: Runtime, name: str) -> list[tuple[str, str, str]]:
    found = await access_requests.list_waiting(acme.access, await signed_in(acme, name))
    return [(request.flow_id, request.member, request.note) for request in found]


async def opens(acme: Runtime, name: str) -> bool:
    return "talk" in [flow.id for flow in await acme.access.list_flows(await signed_in(acme, name))]


async def test_unknown_and_forbidden_flows_are_answered_alike_and_only_real_ones_kept(acme: Runtime) -> None:
    mia = await signed_in(acme, "mia")
    for address in ("talk", "unknown", "../talk", ""):
        await access_requests.ask(acme.access, mia, address, " please ")  # returns nothing, raises nothing
    await access_requests.ask(acme.access, mia, "talk", "again")
    assert await waiting(acme, "olga") == [("talk", "mia", "please")]
    assert await waiting(acme, "root") == [("talk", "mia", "please")]
    assert await waiting(acme, "anton") == []
    assert await waiting(acme, "mia") == []


async def test_asking_is_bounded_alike_for_real_and_unknown_flows(acme: Runtime) -> None:
    mia = await signed_in(acme, "mia")
    for number in range(5):
        await access_requests.ask(acme.access, mia, f"unknown {number}")
    for address in ("unknown", "talk"):
        with pytest.raises(InvalidRequest, match="several flows just now"):
            await access_requests.ask(acme.access, mia, address)
    await access_requests.ask(acme.access, await signed_in(acme, "max"), "talk")
    assert await acme.sign_in.tries.find_wait("mia", "access") == 0


async def test_who_may_open_it_has_nothing_to_ask_for(acme: Runtime) -> None:
    await share(acme, Sharing(is_shared=True))
    await access_requests.ask(acme.access, await signed_in(acme, "mia"), "talk")
    assert await waiting(acme, "olga") == []
    with pytest.raises(NotAllowed):
        await access_requests.ask(acme.access, Caller("token", "1", "member", owner="mia"), "talk")


async def only(acme: Runtime) -> str:
    [request] = await access_requests.list_waiting(acme.access, await signed_in(acme, "olga"))
    return request.id


OFF = Sharing(is_shared=False, audience="organization", shares_api=True)
FORMER = Sharing(is_shared=False, audience="people", members=frozenset({"max"}))
PEOPLE = Sharing(is_shared=True, audience="people", members=frozenset({"max"}), shares_api=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, Sharing(is_shared=True, audience="people", members=frozenset({"mia"}))),
        (OFF, Sharing(is_shared=True, audience="people", members=frozenset({"mia"}))),
        (FORMER, Sharing(is_shared=True, audience="people", members=frozenset({"mia"}))),
        (PEOPLE, Sharing(is_shared=True, audience="people", members=frozenset({"max", "mia"}), shares_api=True)),
    ],
)
async def test_approving_lets_this_person_in_and_nobody_else(acme: Runtime, before: Any, after: Sharing) -> None:
    if before is not None:
        await share(acme, before)
    await access_requests.ask(acme.access, await signed_in(acme, "mia"), "talk")
    await access_requests.approve(acme.access, await signed_in(acme, "olga"), await only(acme))
    assert await acme.store.read(publications.read_sharing, flow_id="talk") == after
    assert await opens(acme, "mia")
    assert await waiting(acme, "olga") == []
    actions = [(entry.actor, entry.action, entry.subject) for entry in await acme.store.read(list_entries)]
    assert ("member:olga", "access.approved", "talk member:mia") in actions
    assert ("member:mia", "access.requested", "talk") in actions


async def test_denying_keeps_out_and_quiet(acme: Runtime) -> None:
    mia = await signed_in(acme, "mia")
    await access_requests.ask(acme.access, mia, "talk")
    request = await only(acme)
    await access_requests.deny(acme.access, await signed_in(acme, "olga"), request)
    assert not await opens(acme, "mia")
    await access_requests.ask(acme.access, mia, "talk")
    assert await waiting(acme, "olga") == []
    [(_, state)] = await acme.store.read(stored_requests.list_requests, member="mia")
    assert state == "denied"
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="not there any more"):
            await decide(acme.access, await signed_in(acme, "olga"), request)


@pytest.mark.parametrize("name", ["anton", "mia", "max"])
async def test_nobody_but_owners_and_admins_decides(acme: Runtime, name: str) -> None:
    await access_requests.ask(acme.access, await signed_in(acme, "mia"), "talk")
    request = await only(acme)
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="not there any more"):
            await decide(acme.access, await signed_in(acme, name), request)
    assert await waiting(acme, "olga") != []


async def test_somebody_who_left_is_not_let_in(acme: Runtime) -> None:
    await access_requests.ask(acme.access, await signed_in(acme, "mia"), "talk")
    request = await only(acme)
    await acme.store.write(members.set_active, name="mia", active=False, by="tests")
    with pytest.raises(InvalidRequest, match="not active"):
        await access_requests.approve(acme.access, await signed_in(acme, "root"), request)
    await acme.store.write(members.remove, name="mia", by="tests")
    assert await waiting(acme, "olga") == []


async def test_of_two_owners_who_decide_at_once_one_does(acme: Runtime) -> None:
    olga, root = await signed_in(acme, "olga"), await signed_in(acme, "root")
    await access_requests.ask(acme.access, await signed_in(acme, "mia"), "talk")
    request = await only(acme)
    deeds = (access_requests.deny(acme.access, olga, request), access_requests.approve(acme.access, root, request))
    denied, approved = await asyncio.gather(*deeds, return_exceptions=True)
    assert {type(denied), type(approved)} == {type(None), InvalidRequest}
    assert await opens(acme, "mia") == (approved is None)


async def test_approving_where_everybody_may_open_it_changes_nothing(acme: Runtime) -> None:
    await access_requests.ask(acme.access, await signed_in(acme, "mia"), "talk")
    everybody = Sharing(is_shared=True, audience="organization", shares_api=True)
    await share(acme, everybody)
    await access_requests.approve(acme.access, await signed_in(acme, "olga"), await only(acme))
    assert await acme.store.read(publications.read_sharing, flow_id="talk") == everybody
    assert await opens(acme, "mia")
    assert await opens(acme, "max")
