"""Members, sign-ins, tokens, groups and links, on both databases."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.store import Store, tables
from flowground.store.people import groups, members, sign_ins, tokens
from flowground.store.people.groups import Group
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


async def actions(store: Store) -> list[tuple[str, str, str]]:
    entries = await store.read(list_entries)
    return [(entry.actor, entry.action, entry.subject) for entry in reversed(entries)]


# Tokens


async def make_token(store: Store, **given: Any) -> tuple[tokens.StoredToken, str]:
    options = {"name": "n", "owner": None, "flows": None, "expires_at": None, "by": "member:ada"} | given
    return await store.write(tokens.create, **options)


async def test_a_token_is_found_by_its_secret_which_is_stored_nowhere(store: Store) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    token, secret = await make_token(store, name="ci", flows=("echo", "basic"), expires_at=expires)
    assert len(secret) == 46
    assert token.prefix == secret[:8]
    assert await store.read(tokens.find, secret=secret) == token
    assert secret not in await store.read(lambda to: str(to.execute(tables.tokens.select()).fetchall()))
    assert await actions(store) == [("member:ada", "token.created", token.id)]
    for wrong in ("", "x", "fg_short", "fg_" + "a" * 43, "fg_" + "é" * 43, "fg_" + "a" * 42 + "\n"):
        assert await store.read(tokens.find, secret=wrong) is None


async def test_uses_are_counted_together_and_none_is_lost_at_the_end(url: str) -> None:
    store = Store.open(url)
    _, secret = await make_token(store)
    before = datetime.now(UTC)
    await asyncio.gather(*(store.use_token(secret) for _ in range(100)))
    assert await store.use_token("fg_" + "a" * 43) is None
    store.close()
    after = datetime.now(UTC)
    again = Store.open(url)
    token = await again.read(tokens.find, secret=secret)
    assert token
    assert token.last_used_at
    assert (token.uses, before <= token.last_used_at <= after) == (100, True)
    again.close()


# Members, their sign-ins, passwords and links


async def add(store: Store, name: str, **given: Any) -> members.Member:
    options = {"display_name": name.title(), "role": "member", "by": "cli"} | given
    return await store.write(members.add, name=name, **options)


async def test_two_admins_cannot_dismiss_each_other(store: Store) -> None:
    for name in ("ada", "bob"):
        await add(store, name, role="admin", password="h")
    deed: dict[str, Any] = {"role": "member", "by": "x", "keep_admin": True}
    deeds = [store.write(members.set_role, member=name, **deed) for name in ("ada", "bob")]
    results = await asyncio.gather(*deeds, return_exceptions=True)
    assert [type(result) for result in results] == [bool, NotAllowed]
    assert [member.role for member in await store.read(members.list_members)] == ["member", "admin"]


async def redeem(
    store: Store, ticket: str, browser: str = "b", *, days: float = 1, seconds: float | None = 30
) -> str | None:
    """A ticket for ada's sign-in, made where `seconds` says for how long, and handed in by a browser."""
    now, until = time.time(), time.time() + days * 86_400
    if seconds is not None:
        await store.write(sign_ins.add_ticket, ticket=ticket, member="ada", browser="b", expires_at=now + seconds)
    return await store.write(sign_ins.redeem, ticket=ticket, browser=browser, sign_in_id=ticket, expires_at=until)


async def test_a_ticket_works_once_in_one_browser_for_thirty_seconds_and_its_sign_in_ends(store: Store) -> None:
    assert await redeem(store, "late", seconds=-1) is None
    assert await redeem(store, "stolen", "another") is None
    assert await redeem(store, "stolen", seconds=None) is None
    assert await redeem(store, "good") == "ada"
    assert await redeem(store, "good", seconds=None) is None
    assert [one.id for one in (await store.read(sign_ins.find_page, member="ada", limit=9))[0]] == ["good"]
    revoked = [await store.write(sign_ins.revoke, sign_in_id="good", member=name) for name in ("max", "ada", "ada")]
    assert revoked == [False, True, False]
    await redeem(store, "old", days=-0.001)
    assert [await store.read(sign_ins.check, sign_in_id=name) for name in ("good", "old")] == [None, None]


async def add_link(store: Store, hashed: str, *, seconds: float = 60) -> sign_ins.PasswordLink:
    options: dict[str, Any] = {"kind": "reset", "member": "mia", "by": "member:ada"}
    return await store.write(sign_ins.add_link, hashed=hashed, expires_at=time.time() + seconds, **options)


async def test_a_link_works_once_and_of_many_at_once_for_one(store: Store) -> None:
    await add_link(store, "late", seconds=-1)
    assert await store.read(sign_ins.find_link, hashed="late") is None
    assert not await store.write(members.set_password_by_link, link="late", password="h")
    link = await add_link(store, "good")
    assert await store.read(sign_ins.list_links) == [link]
    tries = [store.write(members.set_password_by_link, link="good", password=f"h{number}") for number in range(10)]
    assert sorted(await asyncio.gather(*tries)) == [False] * 9 + [True]
    assert await store.read(sign_ins.list_links) == []
    assert [action for _, action, _ in await actions(store)].count("reset.used") == 1


# Groups


async def test_a_groups_name_is_its_own_whatever_its_case(store: Store) -> None:
    sales, support = [await store.write(groups.add, name=name, by="x") for name in ("Sales", "Straße")]
    for taken in ("SALES", "STRASSE", " "):
        with pytest.raises(InvalidRequest):
            await store.write(groups.add, name=taken, by="x")
    assert await store.write(groups.rename, group_id=sales.id, name="sales", by="x")
    with pytest.raises(InvalidRequest):
        await store.write(groups.rename, group_id=support.id, name="Sales", by="x")
    await store.write(groups.change_members, group_id=sales.id, added=["mia", "max"], by="x")
    await store.write(groups.change_members, group_id=sales.id, added=["max", "ben"], removed=["mia", "gus"], by="x")
    found = [Group(sales.id, "sales", 2), Group(support.id, "Straße", 0)]
    assert await store.read(groups.find_page, limit=9) == (found, 2)
    first = await store.read(groups.list_first_members, ids=[sales.id, support.id], most=1)
    assert first == {sales.id: ["ben"], support.id: []}
    for words, having, lacking, names in (
        *(("STRASSE", None, None, ["Straße"]), ("sa l", None, None, ["sales"]), ("sa x", None, None, [])),
        *(("", "ben", None, ["sales"]), ("", None, "ben", ["Straße"]), ("", "mia", None, [])),
    ):
        page, count = await store.read(groups.find_page, words=words, having=having, lacking=lacking, limit=9)
        assert ([group.name for group in page], count) == (names, len(names))
    assert await store.read(groups.find_page, limit=1, offset=1) == (found[1:], 2)
