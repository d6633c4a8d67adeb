"""People found by a word and read a few at a time, and those who may open a flow counted; on both databases."""

from pathlib import Path

import pytest

from flowground.access import application_tokens, member_lists
from flowground.errors import NotAllowed
from flowground.runtime import Runtime
from flowground.store import Store
from flowground.store.people import groups, members, tokens
from flowground.store.people.member_lists import Opening, count_openers, find_members, list_openers
from tests.organization import organization, sign_in

pytestmark = pytest.mark.anyio


async def add_many(store: Store, count: int) -> None:
    for number in range(count):
        await store.write(members.add, name=f"m{number:03}", display_name=f"Mia {number:03}", role="member", by="tests")


async def test_a_page_of_people_is_found_by_words_of_names_and_addresses(acme: Runtime) -> None:
    await add_many(acme.store, 30)
    olga = await sign_in(acme, "olga")
    found = await member_lists.find_people(acme.access, olga, "mia 02", limit=4)
    assert ([one.id for one in found.shown], found.count) == (["m002", "m020", "m021", "m022"], 11)
    rest = await member_lists.find_people(acme.access, olga, "mia 02", limit=4, offset=8)
    assert [one.id for one in rest.shown] == ["m027", "m028", "m029"]
    assert [one.id for one in (await member_lists.find_people(acme.access, olga, "BOB@example")).shown] == ["bob"]
    nobody = await member_lists.find_people(acme.access, olga, "100%")
    assert (nobody.shown, nobody.count) == ((), 0)
    plain = await member_lists.find_people(acme.access, olga, "example.com", is_member_only=True)
    assert [one.id for one in plain.shown] == ["bob", "zoe"]
    assert [one.id for one in await member_lists.list_people(acme.access, olga, ["bob", "nobody"])] == ["bob"]


async def test_members_may_not_look(acme: Runtime) -> None:
    bob = await sign_in(acme, "bob")
    with pytest.raises(NotAllowed):
        await member_lists.find_people(acme.access, bob)
    with pytest.raises(NotAllowed):
        await member_lists.list_people(acme.access, bob, ["olga"])


async def test_who_is_in_a_group_and_who_is_not_is_found_by_words(tmp_path: Path) -> None:
    names = {"carl": {"first_name": "Mia"}, "cleo": {}}
    async with organization(tmp_path, config={"credentials": {"usernames": names}}) as acme:
        await add_many(acme.store, 12)
        group = await acme.store.write(groups.add, name="Sales", by="tests")
        within = ["carl", "m000", "m001", "m011", "bob"]
        await acme.store.write(groups.change_members, group_id=group.id, added=within, by="tests")
        ada = await sign_in(acme, "augusta")
        for words, offset, shown, count in (
            ("", 0, ["bob", "carl"], 5),
            ("", 4, ["m011"], 5),
            ("mia", 0, ["carl", "m000"], 4),
            ("MIA 0", 1, ["m001", "m011"], 3),
            ("bob@example", 0, ["bob"], 1),
            ("cleo", 0, [], 0),
        ):
            page = await member_lists.find_group_members(acme.access, ada, group.id, words, limit=2, offset=offset)
            assert page == (shown, count), words
        others = await member_lists.find_people(acme.access, ada, "mia", not_in=group.id, limit=2)
        assert ([one.id for one in others.shown], others.count) == (["m002", "m003"], 9)
        others = await member_lists.find_people(acme.access, ada, "c", not_in=group.id, limit=2)
        assert others.shown[0].id == "cleo"


async def test_who_may_open_is_counted_in_the_database(store: Store) -> None:
    await add_many(store, 6)
    await store.write(members.add, name="ada", display_name="Ada", role="author", by="tests")
    await store.write(members.set_active, member="m005", is_active=False, by="tests")
    group = await store.write(groups.add, name="Sales", by="tests")
    await store.write(groups.change_members, group_id=group.id, added=["m001", "m002", "m005"], by="tests")
    for opening, names in (
        (Opening(False), ["ada"]),
        (Opening(True), ["ada", "m000", "m001", "m002", "m003", "m004"]),
        (Opening(False, frozenset({"m000", "m005"})), ["ada", "m000"]),
        (Opening(False, frozenset({"m001"}), frozenset({group.id})), ["ada", "m001", "m002"]),
    ):
        assert await store.read(count_openers, opening=opening) == len(names)
        assert [one.id for one in await store.read(list_openers, opening=opening, limit=9)] == names
    assert [(one.name, one.size) for one in await store.read(groups.list_by_ids, ids=[group.id, "x"])] == [("Sales", 3)]
    assert [one.id for one in await store.read(find_members, limit=2, offset=1)] == ["m000", "m001"]


async def test_tokens_of_all_are_found_page_by_page_by_admins_only(acme: Runtime) -> None:
    for number in range(5):
        owner = "bob" if number % 2 else None
        await acme.store.write(
            tokens.create, name=f"token {number}", owner=owner, flows=None, expires_at=None, by="tests"
        )
    ada, olga = await sign_in(acme, "augusta"), await sign_in(acme, "olga")
    found, count = await application_tokens.find_page(acme.access, ada, limit=2, offset=4)
    assert ([token.name for token in found], count) == (["token 0"], 5)
    found, count = await application_tokens.find_page(acme.access, ada, "organization", limit=9)
    assert ([token.name for token in found], count) == (["token 4", "token 2", "token 0"], 3)
    found, _ = await application_tokens.find_page(acme.access, ada, "bob token", limit=9)
    assert [token.name for token in found] == ["token 3", "token 1"]
    await application_tokens.revoke(acme.access, ada, found[0].id)
    assert (await application_tokens.find_page(acme.access, ada, "bob", limit=9))[1] == 1
    assert await application_tokens.find_page(acme.access, olga, limit=9) == ([], 0)
