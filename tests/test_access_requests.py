"""Asking for a flow tells nothing; approving lets exactly that person in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowground.access import account
from flowground.access import sharing as access_requests
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.core.errors import InvalidRequest
from flowground.store import publications
from flowground.store.people import access_requests as stored_requests
from flowground.store.people import members
from flowground.store.publications import Sharing
from tests.people import HASHED
from tests.running import FLOWS, organization, sign_in
from tests.stored import list_entries


@pytest.fixture
async def bob(acme: Runtime) -> Caller:
    return await sign_in(acme, "bob")


async def share(acme: Runtime, sharing: Sharing) -> None:
    await acme.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")


async def waiting(acme: Runtime, name: str) -> list[tuple[str, str, str]]:
    found, _ = await access_requests.find_waiting(acme.access, await sign_in(acme, name))
    return [(request.flow_id, request.member, request.note) for request in found]


async def opens(acme: Runtime, name: str) -> bool:
    return "talk" in [flow.id for flow in await acme.access.list_flows(await sign_in(acme, name))]


async def ask_as_bob(acme: Runtime) -> str:
    """The id of the one request that waits then."""
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    [request], _ = await access_requests.find_waiting(acme.access, await sign_in(acme, "olga"))
    return request.id


async def is_nothing_to(acme: Runtime, name: str, request: str) -> None:
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="no longer exists"):
            await decide(acme.access, await sign_in(acme, name), request)


async def test_unknown_and_forbidden_flows_are_answered_alike_and_only_real_ones_kept(acme: Runtime) -> None:
    bob = await sign_in(acme, "bob")
    for address in ("talk", "unknown", "../talk", ""):
        await access_requests.ask(acme.access, bob, address, " please ")  # returns nothing, raises nothing
    await access_requests.ask(acme.access, bob, "talk", "again")
    assert await waiting(acme, "olga") == [("talk", "bob", "please")]
    assert await waiting(acme, "augusta") == [("talk", "bob", "please")]
    assert await waiting(acme, "anton") == []
    assert await waiting(acme, "bob") == []


async def test_what_one_asked_is_told_alike_for_real_and_unknown_flows(tmp_path: Path) -> None:
    flows = FLOWS | {"third": FLOWS["talk"] + "api: {endpoint_name: by-name}\n"}
    async with organization(tmp_path, flows) as acme:
        bob, augusta = await sign_in(acme, "bob"), await sign_in(acme, "augusta")
        for address in ("third", "unknown"):
            await access_requests.ask(acme.access, bob, address, "please")
        for address, is_asked in {"third": True, "unknown": True, "by-name": False, "Third": False, "": False}.items():
            assert (await access_requests.find_last(acme.access, bob, address) is not None) == is_asked, address
        data = "".join([piece async for piece in await account.read_data(acme.access, bob)])
        mine = [(item["flow"], item["state"]) for item in json.loads(data)["access_requests"]]
        assert sorted(mine) == [("third", "open"), ("unknown", "open")]
        with pytest.raises(InvalidRequest, match="so long"):
            await access_requests.ask(acme.access, bob, "x" * 201)
        zoe = await sign_in(acme, "zoe")  # who asks by the endpoint's name is let in
        await access_requests.ask(acme.access, zoe, "by-name")
        assert await access_requests.count_waiting(acme.access, augusta, flow_id="third") == 2
        found, _ = await access_requests.find_waiting(acme.access, augusta, flow_id="third")
        (request,) = (one for one in found if one.member == "zoe")
        await access_requests.approve(acme.access, augusta, request.id)
        assert [wired.id for wired in await acme.access.list_flows(zoe)] == ["third"]


async def test_asking_is_bounded_alike_for_all_addresses(acme: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, asked, refused, says in (
        ("bob", [f"unknown {number}" for number in range(5)], ("unknown", "talk"), "asked for access to several flows"),
        ("zoe", ["talk", "unknown", "talk"], ("other", "elsewhere"), "as many flows as one may"),
    ):
        caller = await sign_in(acme, name)
        for address in asked:
            await access_requests.ask(acme.access, caller, address)
        for address in refused:
            with pytest.raises(InvalidRequest, match=says):
                await access_requests.ask(acme.access, caller, address)
        assert await acme.sign_in.attempts.find_wait(name, "access") == 0
        monkeypatch.setattr(stored_requests, "MOST_OPEN", 2)


OFF = Sharing(is_shared=False, audience="organization", shares_api=True)
FORMER = Sharing(is_shared=False, audience="people", members=frozenset({"zoe"}))
PEOPLE = Sharing(is_shared=True, audience="people", members=frozenset({"zoe"}), shares_api=True)
EVERYBODY = Sharing(is_shared=True, audience="organization", shares_api=True)
BOB = Sharing(is_shared=True, audience="people", members=frozenset({"bob"}))
BOTH = replace(PEOPLE, members=frozenset({"zoe", "bob"}))


@pytest.mark.parametrize(
    ("before", "after"), [(None, BOB), (OFF, BOB), (FORMER, BOB), (PEOPLE, BOTH), (EVERYBODY, EVERYBODY)]
)
async def test_approving_lets_this_person_in_and_nobody_else(acme: Runtime, before: Any, after: Sharing) -> None:
    request = await ask_as_bob(acme)
    if before is not None:
        await share(acme, before)
    await access_requests.approve(acme.access, await sign_in(acme, "olga"), request)
    assert await acme.store.read(publications.read_sharing, flow_id="talk") == after
    assert await opens(acme, "bob")
    assert await waiting(acme, "olga") == []
    actions = [(entry.actor, entry.action, entry.subject) for entry in await acme.store.read(list_entries)]
    assert ("member:olga", "access.approved", "talk member:bob") in actions
    assert ("member:bob", "access.requested", "talk") in actions


async def test_who_was_denied_is_told_and_may_ask_again(acme: Runtime) -> None:
    bob, zoe = await sign_in(acme, "bob"), await sign_in(acme, "zoe")
    for asker, address in ((bob, "talk"), (bob, "unknown")):
        await access_requests.ask(acme.access, asker, address)
        last = await access_requests.find_last(acme.access, asker, address)
        assert last is not None
        assert not last.is_denied
    [waits], _ = await access_requests.find_waiting(acme.access, await sign_in(acme, "olga"))
    request = waits.id
    await access_requests.deny(acme.access, await sign_in(acme, "olga"), request)
    told = [(asker, address) for asker in (bob, zoe) for address in ("talk", "unknown", "other")]
    lasts = [await access_requests.find_last(acme.access, *one) for one in told]
    assert [last and last.is_denied for last in lasts] == [True, False, None, None, None, None]
    assert not await opens(acme, "bob")
    await is_nothing_to(acme, "olga", request)
    assert await waiting(acme, "olga") == []
    await access_requests.ask(acme.access, bob, "talk", "once more")
    assert await waiting(acme, "olga") == [("talk", "bob", "once more")]
    last = await access_requests.find_last(acme.access, bob, "talk")
    assert last is not None
    assert not last.is_denied


async def test_nobody_but_owners_and_admins_decides(acme: Runtime) -> None:
    request = await ask_as_bob(acme)
    for name in ("anton", "bob", "zoe"):
        await is_nothing_to(acme, name, request)
    assert await waiting(acme, "olga") != []


async def test_somebody_who_left_is_not_let_in(acme: Runtime) -> None:
    request = await ask_as_bob(acme)
    await acme.store.write(members.set_active, member="bob", is_active=False, by="tests")
    with pytest.raises(InvalidRequest, match="no longer active"):
        await access_requests.approve(acme.access, await sign_in(acme, "augusta"), request)
    await acme.store.write(members.remove, member="bob", by="tests")
    assert await waiting(acme, "olga") == []


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
