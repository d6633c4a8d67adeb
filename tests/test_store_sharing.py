"""Audiences, groups, links and access requests, on both databases."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from flowground.errors import InvalidRequest, NotAllowed
from flowground.store import Store, tables
from flowground.store.flows import publications  # fmt: skip
from flowground.store.flows.publications import Sharing
from flowground.store.people import access_requests, groups, members, password_links, sign_ins
from flowground.store.people.groups import Group
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


async def share(store: Store, sharing: Sharing, flow_id: str = "talk") -> publications.Publication:
    return await store.write(publications.change, flow_id=flow_id, sharing=sharing, by="member:ada")


async def test_a_sharing_is_kept_whole(store: Store) -> None:
    assert await store.read(publications.read_sharing, flow_id="talk") == Sharing(is_shared=False)
    group = await store.write(groups.add, name="Sales", by="x")
    until = datetime.now(UTC) + timedelta(days=3)
    sharing = Sharing(True, "people", frozenset({"mia", "o'neil"}), frozenset({group.id}), True, until)
    made = await share(store, sharing)
    assert await store.read(publications.read_sharing, flow_id="talk") == sharing
    assert await store.read(publications.find, flow_id="talk") == made
    assert made.is_in_force
    off = await store.write(publications.set_shared, flow_id="talk", is_shared=False, by="x")
    assert (off.audience, off.shares_api, off.expires_at, off.is_in_force) == ("people", True, until, False)


async def named(store: Store, person: str | None, flow_id: str = "talk") -> bool | None:
    one = await store.read(publications.find, flow_id=flow_id, person=person)
    everything = await store.read(publications.list_publications, person=person)
    assert [item for item in everything if item.flow_id == flow_id] == ([one] if one else [])
    return one.names_person if one else None


async def test_who_is_named_by_name_or_group(store: Store) -> None:
    group = await store.write(groups.add, name="Sales", by="x")
    await store.write(groups.change_members, group_id=group.id, added=["gus"], by="x")
    await share(store, Sharing(True, "people", frozenset({"mia"}), frozenset({group.id})))
    await share(store, Sharing(True, "people", frozenset({"max"})), "other")
    for person, found in (("mia", True), ("gus", True), ("max", False), ("", False), (None, False), (group.id, False)):
        assert await named(store, person) is found
    assert await named(store, "mia", "nothing") is None
    assert await store.write(groups.remove, group_id=group.id, by="x")
    assert not await named(store, "gus")
    assert (await store.read(publications.read_sharing, flow_id="talk")).groups == frozenset()


async def test_a_groups_name_is_its_own_whatever_its_case(store: Store) -> None:
    sales, support = [await store.write(groups.add, name=name, by="x") for name in ("Sales", "Straße")]
    for taken in ("SALES", "STRASSE", " "):
        with pytest.raises(InvalidRequest):
            await store.write(groups.add, name=taken, by="x")
    assert await store.write(groups.rename, group_id=sales.id, name="sales", by="x")
    with pytest.raises(InvalidRequest):
        await store.write(groups.rename, group_id=support.id, name="Sales", by="x")
    assert not await store.write(groups.rename, group_id="unknown", name="Other", by="x")
    assert not await store.write(groups.change_members, group_id="unknown", added=["mia"], by="x")
    await store.write(groups.change_members, group_id=sales.id, added=["mia", "max"], by="x")
    await store.write(groups.change_members, group_id=sales.id, added=["max", "ben"], removed=["mia", "gus"], by="x")
    found = [Group(sales.id, "sales", 2), Group(support.id, "Straße", 0)]
    assert await store.read(groups.find_page, limit=9) == (found, 2)
    assert await store.read(groups.list_first_members, ids=[sales.id, support.id], most=1) == {
        sales.id: ["ben"],
        support.id: [],
    }
    for words, having, lacking, names in (
        ("STRASSE", None, None, ["Straße"]),
        ("sa l", None, None, ["sales"]),
        ("sa x", None, None, []),
        ("", "ben", None, ["sales"]),
        ("", None, "ben", ["Straße"]),
        ("", "mia", None, []),
    ):
        page, count = await store.read(groups.find_page, words=words, having=having, lacking=lacking, limit=9)
        assert ([group.name for group in page], count) == (names, len(names))
    assert await store.read(groups.find_page, limit=1, offset=1) == (found[1:], 2)


async def test_a_removed_members_rights_are_not_the_next_bearers(store: Store) -> None:
    async def add() -> None:
        await store.write(members.add, name="mia", display_name="Mia", role="member", by="x")

    await add()
    group = await store.write(groups.add, name="Sales", by="x")
    await store.write(groups.change_members, group_id=group.id, added=["mia"], by="x")
    await share(store, Sharing(True, "people", frozenset({"mia"}), frozenset({group.id})))
    await store.write(access_requests.ask, flow_id="other", member="mia", note="")
    link = await add_link(store, "secret")
    assert await store.write(members.remove, member="mia", by="x")
    await add()
    assert not await named(store, "mia")
    assert await store.read(access_requests.list_requests, member="mia") == []
    assert link.member == "mia"
    assert await store.read(password_links.find, hashed="secret") is None


async def add_link(store: Store, hashed: str, *, seconds: float = 60) -> password_links.PasswordLink:
    options: dict[str, Any] = {"kind": "reset", "member": "mia", "by": "member:ada"}
    return await store.write(password_links.add, hashed=hashed, expires_at=time.time() + seconds, **options)


async def test_a_link_works_once_and_of_many_at_once_for_one(store: Store) -> None:
    await add_link(store, "late", seconds=-1)
    assert await store.read(password_links.find, hashed="late") is None
    assert not await store.write(members.set_password_by_link, link="late", password="h")
    link = await add_link(store, "good")
    assert await store.read(password_links.list_links) == [link]
    tries = [store.write(members.set_password_by_link, link="good", password=f"h{number}") for number in range(10)]
    assert sorted(await asyncio.gather(*tries)) == [False] * 9 + [True]
    assert await store.read(password_links.list_links) == []
    actions = [entry.action for entry in await store.read(list_entries)]
    assert actions.count("reset.used") == 1


async def test_two_admins_cannot_dismiss_each_other(store: Store) -> None:
    for name in ("ada", "bob"):
        await store.write(members.add, name=name, display_name=name, role="admin", password="h", by="x")
    deeds = [
        store.write(members.set_role, member=name, role="member", by="x", keep_admin=True) for name in ("ada", "bob")
    ]
    results = await asyncio.gather(*deeds, return_exceptions=True)
    assert [type(result) for result in results] == [bool, NotAllowed]
    assert [member.role for member in await store.read(members.list_members)] == ["member", "admin"]


async def test_a_request_is_kept_once_and_decided_once(store: Store) -> None:
    async def ask(flow_id: str, note: str = "") -> bool:
        return await store.write(access_requests.ask, flow_id=flow_id, member="mia", note=note)

    assert await ask("talk", "x" * 1000 + "\x00")
    assert not await ask("talk")
    [request] = await store.read(access_requests.list_open, flows=["talk", "other"])
    assert (request.member, len(request.note)) == ("mia", access_requests.NOTE_CHARS)
    assert await store.read(access_requests.list_open, flows=[]) == []
    decide: dict[str, Any] = {"request_id": request.id, "by": "member:ada"}
    assert await store.write(access_requests.decide, is_approved=False, **decide) == request
    assert await store.write(access_requests.decide, is_approved=True, **decide) is None
    assert not await store.write(access_requests.approve, flow_id="talk", **decide)
    assert not await ask("talk")

    def a_day_passes(connection: Connection) -> None:
        decided = tables.access_requests.c.decided_at
        connection.execute(tables.access_requests.update().values(decided_at=decided - 90_000))

    await store.write(a_day_passes)
    assert await ask("talk")
    for number in range(access_requests.MOST_OPEN - 1):
        assert await ask(f"flow {number}")
    assert not await ask("one more")


async def test_a_sign_in_is_revoked_for_its_member_only(store: Store) -> None:
    until = time.time() + 60
    await store.write(sign_ins.add_ticket, ticket="t", member="mia", browser="b", expires_at=until)
    await store.write(sign_ins.redeem, ticket="t", browser="b", sign_in_id="one", expires_at=until, agent="Firefox")
    assert [one.agent for one in (await store.read(sign_ins.find_page, member="mia", limit=9))[0]] == ["Firefox"]
    assert not await store.write(sign_ins.revoke, sign_in_id="one", member="max")
    assert await store.write(sign_ins.revoke, sign_in_id="one", member="mia")
