"""Admins, people and groups: who may, what it does, and that there always is an admin. People found by a word."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowground.access import Access, application_tokens, groups, people
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.store import Store, publications
from flowground.store.people import groups as stored_groups
from flowground.store.people import members, removals, tokens
from flowground.store.people.groups import Group
from flowground.store.publications import Sharing
from tests.people import PASSWORD, make_cookie
from tests.run_rows import eventually
from tests.running import organization, sign_in
from tests.stored import list_entries


@pytest.fixture
async def augusta(acme: Runtime) -> Caller:
    """Its admin."""
    return await sign_in(acme, "augusta")


DEEDS: list[Callable[[Access, Caller], Awaitable[object]]] = [
    lambda access, caller: people.invite(access, caller, "new"),
    lambda access, caller: people.invite_to_flow(access, caller, "talk", "new"),
    lambda access, caller: people.reset_password(access, caller, "bob"),
    lambda access, caller: people.list_links(access, caller),
    lambda access, caller: people.revoke_link(access, caller, "x"),
    lambda access, caller: people.set_role(access, caller, "bob", "admin"),
    lambda access, caller: people.set_active(access, caller, "bob", is_active=False),
    lambda access, caller: people.remove(access, caller, "bob"),
    lambda access, caller: people.rename(access, caller, "bob", "robert"),
    lambda access, caller: people.show_as(access, caller, "bob", "Robert"),
    lambda access, caller: people.find_sign_ins(access, caller, "bob", limit=1),
    lambda access, caller: people.sign_out_everywhere(access, caller, "bob"),
    lambda access, caller: groups.add(access, caller, "Sales"),
    lambda access, caller: groups.rename(access, caller, "x", "Sales"),
    lambda access, caller: groups.remove(access, caller, "x"),
    lambda access, caller: groups.change_members(access, caller, "x", added=["bob"]),
    lambda access, caller: groups.list_first_members(access, caller, ["x"], most=1),
    lambda access, caller: groups.list_names_of(access, caller, ["bob"]),
    lambda access, caller: people.find_group_members(access, caller, "x", limit=1),
]


async def test_only_signed_in_admins_may(acme: Runtime) -> None:
    forged = Caller("member", "augusta", "admin", sign_in_id="made up")
    former = await sign_in(acme, "augusta")
    await acme.sign_in.revoke(str(former.sign_in_id))
    claims = Caller("member", "bob", "admin", sign_in_id=(await sign_in(acme, "bob")).sign_in_id)
    others = (await sign_in(acme, "olga"), claims, Caller("token", "1", "admin"))
    for deed in DEEDS:
        for nobody in (forged, former, LOCAL_OWNER):
            with pytest.raises(NotSignedIn):
                await deed(acme.access, nobody)
        for caller in others:
            with pytest.raises(NotAllowed):
                await deed(acme.access, caller)


async def is_over(acme: Runtime, secret: str) -> None:
    """No link is good for anything."""
    for use in (acme.sign_in.links.find(secret, "there"), acme.sign_in.links.redeem(secret, "a good phrase", "here")):
        with pytest.raises(NotSignedIn, match="no longer works"):
            await use


async def test_an_invitation_sets_the_password_once(acme: Runtime, augusta: Caller) -> None:
    link, secret = await people.invite(acme.access, augusta, "Nina", display_name="Nina N", role="author")
    assert [found.id for found in await people.list_links(acme.access, augusta)] == [link.id]
    found, member = await acme.sign_in.links.find(secret, "here")
    shown = (found.kind, member.display_name, member.role, member.has_password)
    assert shown == ("invitation", "Nina N", "author", False)
    with pytest.raises(InvalidRequest, match="at least 8"):
        await acme.sign_in.links.redeem(secret, "short", "here")
    assert (await acme.sign_in.links.redeem(secret, PASSWORD, "here")).name == "nina"
    assert await acme.sign_in.check_password("nina", PASSWORD, "here") is not None
    await is_over(acme, secret)
    assert await people.list_links(acme.access, augusta) == []
    with pytest.raises(InvalidRequest, match="already a member nina"):
        await people.invite(acme.access, augusta, "nina")
    actions = [entry.action for entry in await acme.store.read(list_entries, limit=20)]
    assert {"member.added", "invitation.created", "invitation.used", "member.password_set"} <= set(actions)


async def test_an_invitation_that_is_refused_makes_nobody(acme: Runtime) -> None:
    augusta, access = await sign_in(acme, "augusta"), acme.access
    for shown in ("x" * 101, "two\x00", "a\u202eb"):
        with pytest.raises(InvalidRequest, match="one line of 1 to 100 characters"):
            await people.invite(access, augusta, "nina", display_name=shown)
    with pytest.raises(FlowNotFound):
        await people.invite_to_flow(access, augusta, "gone", "nina")
    with pytest.raises(NotAllowed):
        await people.invite_to_flow(access, await sign_in(acme, "olga"), "talk", "nina")
    assert await acme.sign_in.roster.find_named("nina") is None


@pytest.mark.parametrize("is_shared", [True, False])
async def test_an_invitation_to_a_flow_changes_nothing_else(acme: Runtime, augusta: Caller, *, is_shared: bool) -> None:
    """Also where the date has passed: the link is shown once, so it must not be lost to a refusal."""
    await people.invite(acme.access, augusta, "nina", role="author")
    before = Sharing(is_shared, "people", frozenset({"bob"}), expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    await acme.store.write(publications.change, flow_id="talk", sharing=before, by="tests")
    link, secret = await people.invite_to_flow(acme.access, augusta, "talk", "nina", display_name="Nina")
    _, member = await acme.sign_in.links.find(secret, "here")
    assert (member.id, member.role) == (link.member, "author")  # who was invited as an author stays one
    after = await acme.store.read(publications.read_sharing, flow_id="talk")
    assert after == replace(before, members=frozenset({"bob", link.member}))


async def test_a_second_invitation_ends_the_first_and_revoking_ends_it(acme: Runtime, augusta: Caller) -> None:
    _, first = await people.invite(acme.access, augusta, "zoe")
    link, second = await people.invite(acme.access, augusta, "zoe")
    await is_over(acme, first)
    assert (await acme.sign_in.links.find(second, "here"))[0] == link
    assert await people.revoke_link(acme.access, augusta, link.id)
    assert not await people.revoke_link(acme.access, augusta, link.id)
    await is_over(acme, second)
    link, _ = await people.invite(acme.access, augusta, "nina")
    again, secret = await people.invite(acme.access, augusta, "nina", role="author")  # changes the role
    assert [found.id for found in await people.list_links(acme.access, augusta)] == [again.id] != [link.id]
    assert (await acme.sign_in.links.redeem(secret, PASSWORD, "here")).role == "author"


async def test_a_reset_signs_out_everywhere_when_it_is_used(acme: Runtime, augusta: Caller) -> None:
    cookie = await make_cookie(acme.sign_in, "bob")
    _, secret = await people.reset_password(acme.access, augusta, "bob")
    assert await acme.sign_in.verify_cookie(cookie) is not None
    await acme.sign_in.links.redeem(secret, "another long phrase", "here")
    assert await acme.sign_in.verify_cookie(cookie) is None
    assert await acme.sign_in.check_password("bob", PASSWORD, "here") is None
    assert await acme.sign_in.check_password("bob", "another long phrase", "here") is not None


async def lose(acme: Runtime, augusta: Caller, member: str, what: str) -> None:
    if what == "account":
        await people.remove(acme.access, augusta, member)
    elif what == "role":
        await people.set_role(acme.access, augusta, member, "member")
    elif what == "password":
        await acme.sign_in.roster.set_password(member, "another long phrase", by="tests")
    else:
        await people.set_active(acme.access, augusta, member, is_active=False)


@pytest.mark.parametrize("lost", ["activity", "account", "password"])
async def test_what_happens_to_the_member_ends_the_link(acme: Runtime, augusta: Caller, lost: str) -> None:
    _, secret = await people.reset_password(acme.access, augusta, "bob")
    await lose(acme, augusta, "bob", lost)
    if lost == "activity":
        await people.set_active(acme.access, augusta, "bob", is_active=True)
    elif lost == "account":
        await acme.sign_in.roster.add("bob", by="tests")
    await is_over(acme, secret)


@pytest.mark.parametrize("lost", ["activity", "account", "role"])
async def test_who_is_no_admin_any_more_has_kept_no_way_in(acme: Runtime, augusta: Caller, lost: str) -> None:
    """A link for a colleague would be their account."""
    rhea = await acme.sign_in.roster.add("rhea", role="admin", password=PASSWORD, by="tests")
    admin = await sign_in(acme, rhea.id)
    made = [await people.reset_password(acme.access, admin, "augusta"), await people.invite(acme.access, admin, "nina")]
    for _, secret in made:
        assert await acme.sign_in.links.find(secret, "here")
    await lose(acme, augusta, rhea.id, lost)
    assert await people.list_links(acme.access, augusta) == []
    for _, secret in made:
        await is_over(acme, secret)
    if lost == "activity":
        await people.set_active(acme.access, augusta, rhea.id, is_active=True)
        await is_over(acme, made[0][1])


async def test_wrong_links_are_counted_by_address_and_shut_nobody_else_out(acme: Runtime) -> None:
    _, secret = await people.reset_password(acme.access, await sign_in(acme, "augusta"), "bob")
    for wrong in ("", "x", "a" * 43, "\ud800", secret + "x"):
        with pytest.raises(NotSignedIn, match="no longer works"):
            await acme.sign_in.links.find(wrong, "there")
    with pytest.raises(NotSignedIn, match="Too many wrong links") as raised:
        await acme.sign_in.links.find("y", "there")
    assert raised.value.code == "locked_out"
    for number in range(60):
        with pytest.raises(NotSignedIn, match="no longer works"):
            await acme.sign_in.links.find("y", f"address {number}")
    assert await acme.sign_in.links.find(secret, "here")
    assert await acme.sign_in.attempts.find_wait("bob", "there") == 0


async def stays(acme: Runtime, by: Caller, name: str, says: str) -> None:
    """Neither demoted, nor deactivated, nor removed."""
    for deed in (
        people.set_role(acme.access, by, name, "member"),
        people.set_active(acme.access, by, name, is_active=False),
        people.remove(acme.access, by, name),
    ):
        with pytest.raises(NotAllowed, match=says):
            await deed


async def test_there_always_is_an_admin(acme: Runtime, augusta: Caller) -> None:
    await people.set_role(acme.access, augusta, "zoe", "admin")  # who could not sign in: no password
    await stays(acme, augusta, "augusta", "nobody could administer")
    await people.set_role(acme.access, augusta, "bob", "admin")
    await people.set_role(acme.access, augusta, "augusta", "member")
    with pytest.raises(NotAllowed):
        await people.set_role(acme.access, augusta, "augusta", "admin")


async def test_an_admin_who_is_deactivated_is_none_who_could_administer(acme: Runtime, augusta: Caller) -> None:
    await people.set_role(acme.access, augusta, "olga", "admin")
    await people.set_active(acme.access, augusta, "olga", is_active=False)
    await stays(acme, augusta, "augusta", "nobody could administer")
    await people.set_active(acme.access, augusta, "olga", is_active=True)
    await people.remove(acme.access, augusta, "augusta")


async def test_members_of_config_yaml_keep_the_role_that_stands_there(tmp_path: Path) -> None:
    config = {"credentials": {"usernames": {"carla": {"roles": ["author"]}}}}
    async with organization(tmp_path, config=config) as acme:
        augusta = await sign_in(acme, "augusta")
        await stays(acme, augusta, "carla", r"defined in config\.yaml")
        with pytest.raises(InvalidRequest, match="already a member carla"):
            await people.invite(acme.access, augusta, "Carla")
        assert await people.list_links(acme.access, augusta) == []
        _, secret = await people.reset_password(acme.access, augusta, "carla")
        await acme.sign_in.links.redeem(secret, PASSWORD, "here")
        assert await acme.sign_in.check_password("carla", PASSWORD, "here") is not None


async def test_groups_are_made_named_filled_and_removed(acme: Runtime, augusta: Caller) -> None:
    sales = await groups.add(acme.access, augusta, "  Sales   team ")
    await groups.change_members(acme.access, augusta, sales.id, added=["bob", "zoe"])
    for taken in ("sales TEAM", "", "x" * 61, "a\nb\x00"):
        with pytest.raises(InvalidRequest):
            await groups.add(acme.access, augusta, taken)
    await groups.rename(acme.access, augusta, sales.id, "SALES")
    found, _ = await groups.find_groups(acme.access, await sign_in(acme, "olga"), limit=9)
    assert found == [Group(sales.id, "SALES", 2)]
    with pytest.raises(InvalidRequest, match="no member eve"):
        await groups.change_members(acme.access, augusta, sales.id, added=["nemo", "eve"])
    await people.remove(acme.access, augusta, "zoe")

    async def is_over() -> bool:
        return not await acme.store.read(removals.list_removals)

    await eventually(is_over)  # the process does by itself what is left to do of it
    assert await people.find_group_members(acme.access, augusta, sales.id, limit=9) == (["bob"], 1)
    await groups.remove(acme.access, augusta, sales.id)
    for deed in (
        groups.remove(acme.access, augusta, sales.id),
        groups.rename(acme.access, augusta, sales.id, "x"),
        groups.change_members(acme.access, augusta, sales.id, removed=["bob"]),
    ):
        with pytest.raises(InvalidRequest, match="no longer exists"):
            await deed
    bob = await sign_in(acme, "bob")
    for look in (
        groups.find_groups(acme.access, bob, limit=9),
        groups.list_groups(acme.access, bob, ["x"]),
        people.find_people(acme.access, bob, limit=9),
        people.list_people(acme.access, bob, ["olga"]),
    ):
        with pytest.raises(NotAllowed):
            await look


async def test_nothing_happens_to_somebody_who_is_not_there(acme: Runtime, augusta: Caller) -> None:
    for deed in (
        people.set_role(acme.access, augusta, "gone", "admin"),
        people.set_active(acme.access, augusta, "gone", is_active=False),
        people.remove(acme.access, augusta, "gone"),
        people.reset_password(acme.access, augusta, "gone"),
        acme.sign_in.roster.set_password("gone", PASSWORD, by="tests"),
    ):
        with pytest.raises(InvalidRequest, match=r"no (active )?member gone"):
            await deed
    assert await acme.sign_in.roster.find("gone") is None


async def add_many(store: Store, count: int) -> None:
    for number in range(count):
        await store.write(members.add, name=f"m{number:03}", display_name=f"Mia {number:03}", role="member", by="tests")


async def test_a_page_of_people_is_found_by_words_of_names_and_addresses(acme: Runtime) -> None:
    await add_many(acme.store, 30)
    olga = await sign_in(acme, "olga")
    found, count = await people.find_people(acme.access, olga, words="mia 02", limit=4)
    assert ([one.id for one in found], count) == (["m002", "m020", "m021", "m022"], 11)
    rest, _ = await people.find_people(acme.access, olga, words="mia 02", limit=4, offset=8)
    assert [one.id for one in rest] == ["m027", "m028", "m029"]
    for words in ("BOB@example", "Böb"):
        assert [one.id for one in (await people.find_people(acme.access, olga, words=words, limit=9))[0]] == ["bob"]
    assert await people.find_people(acme.access, olga, words="100%", limit=9) == ([], 0)
    plain, _ = await people.find_people(acme.access, olga, words="example.com", is_member_only=True, limit=9)
    assert [one.id for one in plain] == ["bob", "zoe"]
    assert [one.id for one in await people.list_people(acme.access, olga, ["bob", "nobody"])] == ["bob"]


async def test_who_is_in_a_group_and_who_is_not_is_found_by_words(tmp_path: Path) -> None:
    names = {"carl": {"first_name": "Mia"}, "cleo": {}}
    async with organization(tmp_path, config={"credentials": {"usernames": names}}) as acme:
        await add_many(acme.store, 12)
        group = await acme.store.write(stored_groups.add, name="Sales", by="tests")
        within = ["carl", "m000", "m001", "m011", "bob"]
        await acme.store.write(stored_groups.change_members, group_id=group.id, added=within, by="tests")
        ada = await sign_in(acme, "augusta")
        for words, offset, shown, count in (
            ("", 0, ["bob", "carl"], 5),
            ("", 4, ["m011"], 5),
            ("mia", 0, ["carl", "m000"], 4),
            ("MIA 0", 1, ["m001", "m011"], 3),
            ("bob@example", 0, ["bob"], 1),
            ("cleo", 0, [], 0),
        ):
            page = await people.find_group_members(acme.access, ada, group.id, words=words, limit=2, offset=offset)
            assert page == (shown, count), words
        others, count = await people.find_people(acme.access, ada, words="mia", not_in=group.id, limit=2)
        assert ([one.id for one in others], count) == (["m002", "m003"], 9)
        others, _ = await people.find_people(acme.access, ada, words="cle", not_in=group.id, limit=2)
        assert others[0].id == "cleo"


async def test_who_may_open_is_counted_in_the_database(store: Store) -> None:
    await add_many(store, 6)
    await store.write(members.add, name="ada", display_name="Ada", role="author", by="tests")
    await store.write(members.set_active, member="m005", is_active=False, by="tests")
    group = await store.write(stored_groups.add, name="Sales", by="tests")
    await store.write(stored_groups.change_members, group_id=group.id, added=["m001", "m002", "m005"], by="tests")
    for opening, names in (
        (Sharing(False), ["ada"]),
        (Sharing(True), ["ada", "m000", "m001", "m002", "m003", "m004"]),
        (Sharing(True, "people", frozenset({"m000", "m005"})), ["ada", "m000"]),
        (Sharing(True, "people", frozenset({"m001"}), frozenset({group.id})), ["ada", "m001", "m002"]),
    ):
        found, count = await store.read(members.find_openers, sharing=opening, limit=2)
        assert ([one.id for one in found], count) == (names[:2], len(names))
    (sales,) = await store.read(stored_groups.list_by_ids, ids=[group.id, "x"])
    assert (sales.name, sales.size) == ("Sales", 3)


async def test_tokens_of_all_are_found_page_by_page_by_admins_only(acme: Runtime) -> None:
    for number in range(5):
        owner = "bob" if number % 2 else None
        name = f"token {number}"
        await acme.store.write(tokens.create, name=name, owner=owner, flows=None, expires_at=None, by="tests")
    ada, olga = await sign_in(acme, "augusta"), await sign_in(acme, "olga")
    found, count = await application_tokens.find_page(acme.access, ada, limit=2, offset=4)
    assert ([token.name for token in found], count) == (["token 0"], 5)
    found, count = await application_tokens.find_page(acme.access, ada, words="organization", limit=9)
    assert ([token.name for token in found], count) == (["token 4", "token 2", "token 0"], 3)
    found, _ = await application_tokens.find_page(acme.access, ada, words="bob token", limit=9)
    assert [token.name for token in found] == ["token 3", "token 1"]
    await application_tokens.revoke(acme.access, ada, found[0].id)
    assert (await application_tokens.find_page(acme.access, ada, words="bob", limit=9))[1] == 1
    assert await application_tokens.find_page(acme.access, olga, limit=9) == ([], 0)
