"""Asking for a flow tells nothing; approving lets exactly that person in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowground.access import requests
from flowground.caller import Caller
from flowground.errors import InvalidRequest, NotAllowed
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import access_requests, members
from tests.organization import organization, signed_in
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with organization(tmp_path) as runtime:
        yield runtime


async def share(house: Runtime, sharing: Sharing) -> None:
    await house.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")


async def waiting(house: Runtime, name: str) -> list[tuple[str, str, str]]:
    found = await requests.list_waiting(house.access, await signed_in(house, name))
    return [(request.flow_id, request.member, request.note) for request in found]


async def opens(house: Runtime, name: str) -> bool:
    return "talk" in [flow.id for flow in await house.access.list_flows(await signed_in(house, name))]


async def test_unknown_and_forbidden_flows_are_answered_alike_and_only_real_ones_kept(house: Runtime) -> None:
    mia = await signed_in(house, "mia")
    for address in ("talk", "unknown", "../talk", ""):
        await requests.ask(house.access, mia, address, " please ")  # returns nothing, raises nothing
    await requests.ask(house.access, mia, "talk", "again")
    assert await waiting(house, "olga") == [("talk", "mia", "please")]
    assert await waiting(house, "root") == [("talk", "mia", "please")]
    assert await waiting(house, "anton") == []
    assert await waiting(house, "mia") == []


async def test_asking_is_bounded_alike_for_real_and_unknown_flows(house: Runtime) -> None:
    mia = await signed_in(house, "mia")
    for number in range(5):
        await requests.ask(house.access, mia, f"unknown {number}")
    for address in ("unknown", "talk"):
        with pytest.raises(InvalidRequest, match="several flows just now"):
            await requests.ask(house.access, mia, address)
    await requests.ask(house.access, await signed_in(house, "max"), "talk")
    assert await house.sign_in.tries.lockout("mia", "access") == 0


async def test_who_may_open_it_has_nothing_to_ask_for(house: Runtime) -> None:
    await share(house, Sharing(shared=True))
    await requests.ask(house.access, await signed_in(house, "mia"), "talk")
    assert await waiting(house, "olga") == []
    with pytest.raises(NotAllowed):
        await requests.ask(house.access, Caller("token", "1", "member", owner="mia"), "talk")


async def only(house: Runtime) -> str:
    [request] = await requests.list_waiting(house.access, await signed_in(house, "olga"))
    return request.id


OFF = Sharing(shared=False, audience="organization", api=True)
FORMER = Sharing(shared=False, audience="people", members=frozenset({"max"}))
PEOPLE = Sharing(shared=True, audience="people", members=frozenset({"max"}), api=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, Sharing(shared=True, audience="people", members=frozenset({"mia"}))),
        (OFF, Sharing(shared=True, audience="people", members=frozenset({"mia"}))),
        (FORMER, Sharing(shared=True, audience="people", members=frozenset({"mia"}))),
        (PEOPLE, Sharing(shared=True, audience="people", members=frozenset({"max", "mia"}), api=True)),
    ],
)
async def test_approving_lets_this_person_in_and_nobody_else(house: Runtime, before: Any, after: Sharing) -> None:
    if before is not None:
        await share(house, before)
    await requests.ask(house.access, await signed_in(house, "mia"), "talk")
    await requests.approve(house.access, await signed_in(house, "olga"), await only(house))
    assert await house.store.read(publications.read_sharing, flow_id="talk") == after
    assert await opens(house, "mia")
    assert await waiting(house, "olga") == []
    actions = [(entry.actor, entry.action, entry.subject) for entry in await house.store.read(list_entries)]
    assert ("member:olga", "access.approved", "talk member:mia") in actions
    assert ("member:mia", "access.requested", "talk") in actions


async def test_denying_keeps_out_and_quiet(house: Runtime) -> None:
    mia = await signed_in(house, "mia")
    await requests.ask(house.access, mia, "talk")
    request = await only(house)
    await requests.deny(house.access, await signed_in(house, "olga"), request)
    assert not await opens(house, "mia")
    await requests.ask(house.access, mia, "talk")
    assert await waiting(house, "olga") == []
    [(_, state)] = await house.store.read(access_requests.list_of, member="mia")
    assert state == "denied"
    for decide in (requests.approve, requests.deny):
        with pytest.raises(InvalidRequest, match="not there any more"):
            await decide(house.access, await signed_in(house, "olga"), request)


@pytest.mark.parametrize("name", ["anton", "mia", "max"])
async def test_nobody_but_owners_and_admins_decides(house: Runtime, name: str) -> None:
    await requests.ask(house.access, await signed_in(house, "mia"), "talk")
    request = await only(house)
    for decide in (requests.approve, requests.deny):
        with pytest.raises(InvalidRequest, match="not there any more"):
            await decide(house.access, await signed_in(house, name), request)
    assert await waiting(house, "olga") != []


async def test_somebody_who_left_is_not_let_in(house: Runtime) -> None:
    await requests.ask(house.access, await signed_in(house, "mia"), "talk")
    request = await only(house)
    await house.store.write(members.set_active, name="mia", active=False, by="tests")
    with pytest.raises(InvalidRequest, match="not active"):
        await requests.approve(house.access, await signed_in(house, "root"), request)
    await house.store.write(members.remove, name="mia", by="tests")
    assert await waiting(house, "olga") == []


async def test_of_two_owners_who_decide_at_once_one_does(house: Runtime) -> None:
    olga, root = await signed_in(house, "olga"), await signed_in(house, "root")
    await requests.ask(house.access, await signed_in(house, "mia"), "talk")
    request = await only(house)
    deeds = (requests.deny(house.access, olga, request), requests.approve(house.access, root, request))
    denied, approved = await asyncio.gather(*deeds, return_exceptions=True)
    assert {type(denied), type(approved)} == {type(None), InvalidRequest}
    assert await opens(house, "mia") == (approved is None)


async def test_approving_where_everybody_may_open_it_changes_nothing(house: Runtime) -> None:
    await requests.ask(house.access, await signed_in(house, "mia"), "talk")
    everybody = Sharing(shared=True, audience="organization", api=True)
    await share(house, everybody)
    await requests.approve(house.access, await signed_in(house, "olga"), await only(house))
    assert await house.store.read(publications.read_sharing, flow_id="talk") == everybody
    assert await opens(house, "mia")
    assert await opens(house, "max")
