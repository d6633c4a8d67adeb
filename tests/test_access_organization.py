"""Admins, people and groups: who may, what it does, and that there always is an admin."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flowground.access.organization import Organization
from flowground.caller import LOCAL_OWNER, Caller
from flowground.errors import InvalidRequest, NotAllowed, NotSignedIn
from flowground.runtime import Runtime
from tests.organization import PASSWORD, cookie_of, organization, signed_in
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with organization(tmp_path) as runtime:
        yield runtime


DEEDS: list[Callable[[Organization, Caller], Awaitable[object]]] = [
    lambda house, caller: house.invite(caller, "new"),
    lambda house, caller: house.reset(caller, "mia"),
    lambda house, caller: house.links(caller),
    lambda house, caller: house.revoke_link(caller, "x"),
    lambda house, caller: house.set_role(caller, "mia", "admin"),
    lambda house, caller: house.set_active(caller, "mia", active=False),
    lambda house, caller: house.remove(caller, "mia"),
    lambda house, caller: house.sign_ins(caller, "mia"),
    lambda house, caller: house.sign_out_everywhere(caller, "mia"),
    lambda house, caller: house.add_group(caller, "Sales"),
    lambda house, caller: house.rename_group(caller, "x", "Sales"),
    lambda house, caller: house.remove_group(caller, "x"),
    lambda house, caller: house.set_group_members(caller, "x", ["mia"]),
]


@pytest.mark.parametrize("deed", DEEDS)
async def test_only_signed_in_admins_may(
    house: Runtime, deed: Callable[[Organization, Caller], Awaitable[object]]
) -> None:
    forged = Caller("member", "root", "admin", sign_in_id="made up")
    former = await signed_in(house, "root")
    await house.sign_in.revoke(str(former.sign_in_id))
    for nobody in (forged, former, LOCAL_OWNER):
        with pytest.raises(NotSignedIn):
            await deed(house.organization, nobody)
    claims = Caller("member", "mia", "admin", sign_in_id=(await signed_in(house, "mia")).sign_in_id)
    for caller in (
        await signed_in(house, "olga"),
        claims,
        Caller("token", "1", "admin"),
        Caller("token", "1", "admin"),
    ):
        with pytest.raises(NotAllowed):
            await deed(house.organization, caller)


async def test_an_invitation_sets_the_password_once(house: Runtime) -> None:
    root = await signed_in(house, "root")
    link, secret = await house.organization.invite(root, "Nina", display_name="Nina N", role="author", email="n@x.org")
    assert [found.id for found in await house.organization.links(root)] == [link.id]
    found, member = await house.sign_in.links.look(secret, "here")
    assert (found.kind, member.display_name, member.role, member.has_password) == (
        "invitation",
        "Nina N",
        "author",
        False,
    )
    with pytest.raises(InvalidRequest, match="at least 8"):
        await house.sign_in.links.redeem(secret, "short", "here")
    assert (await house.sign_in.links.redeem(secret, PASSWORD, "here")).name == "nina"
    assert await house.sign_in.check_password("nina", PASSWORD, "here") is not None
    with pytest.raises(NotSignedIn, match="not good any more"):
        await house.sign_in.links.redeem(secret, "another long phrase", "here")
    assert await house.organization.links(root) == []
    with pytest.raises(InvalidRequest, match="already a member nina"):
        await house.organization.invite(root, "nina")
    actions = [entry.action for entry in await house.store.read(list_entries, limit=20)]
    assert {"member.added", "invitation.created", "invitation.used", "member.password_set"} <= set(actions)


async def test_a_second_invitation_ends_the_first_and_revoking_ends_it(house: Runtime) -> None:
    root = await signed_in(house, "root")
    _, first = await house.organization.invite(root, "max")
    link, second = await house.organization.invite(root, "max")
    with pytest.raises(NotSignedIn):
        await house.sign_in.links.look(first, "here")
    assert (await house.sign_in.links.look(second, "here"))[0] == link
    assert await house.organization.revoke_link(root, link.id)
    assert not await house.organization.revoke_link(root, link.id)
    with pytest.raises(NotSignedIn):
        await house.sign_in.links.look(second, "here")


async def test_a_reset_signs_out_everywhere_when_it_is_used(house: Runtime) -> None:
    root = await signed_in(house, "root")
    cookie = await cookie_of(house, "mia")
    _, secret = await house.organization.reset(root, "mia")
    assert await house.sign_in.verify_cookie(cookie) is not None
    await house.sign_in.links.redeem(secret, "another long phrase", "here")
    assert await house.sign_in.verify_cookie(cookie) is None
    assert await house.sign_in.check_password("mia", PASSWORD, "here") is None
    assert await house.sign_in.check_password("mia", "another long phrase", "here") is not None


@pytest.mark.parametrize("ending", ["deactivated", "removed", "password set"])
async def test_what_happens_to_the_member_ends_the_link(house: Runtime, ending: str) -> None:
    root = await signed_in(house, "root")
    _, secret = await house.organization.reset(root, "mia")
    if ending == "deactivated":
        await house.organization.set_active(root, "mia", active=False)
        await house.organization.set_active(root, "mia", active=True)
    elif ending == "removed":
        await house.organization.remove(root, "mia")
        await house.sign_in.add_member("mia", by="tests")
    else:
        await house.sign_in.set_password("mia", "another long phrase", by="tests")
    with pytest.raises(NotSignedIn):
        await house.sign_in.links.redeem(secret, PASSWORD, "here")


async def test_wrong_links_are_counted_by_address_and_shut_nobody_else_out(house: Runtime) -> None:
    _, secret = await house.organization.reset(await signed_in(house, "root"), "mia")
    for wrong in ("", "x", "a" * 43, "\ud800", secret + "x"):
        with pytest.raises(NotSignedIn, match="not good any more"):
            await house.sign_in.links.look(wrong, "there")
    with pytest.raises(NotSignedIn, match="Too many wrong links") as raised:
        await house.sign_in.links.look("y", "there")
    assert raised.value.code == "locked_out"
    for number in range(60):
        with pytest.raises(NotSignedIn, match="not good any more"):
            await house.sign_in.links.look("y", f"address {number}")
    assert await house.sign_in.links.look(secret, "here")
    assert await house.sign_in.lockout("mia", "there") == 0


async def test_there_always_is_an_admin(house: Runtime) -> None:
    root = await signed_in(house, "root")
    await house.organization.set_role(root, "max", "admin")  # who could not sign in: no password
    for deed in (
        house.organization.set_role(root, "root", "author"),
        house.organization.set_active(root, "root", active=False),
        house.organization.remove(root, "root"),
    ):
        with pytest.raises(NotAllowed, match="nobody could administer"):
            await deed
    await house.organization.set_role(root, "mia", "admin")
    await house.organization.set_role(root, "root", "member")
    with pytest.raises(NotAllowed):
        await house.organization.set_role(root, "root", "admin")


async def test_members_of_config_yaml_keep_the_role_that_stands_there(tmp_path: Path) -> None:
    config = {"credentials": {"usernames": {"zoe": {"roles": ["author"]}}}}
    async with organization(tmp_path, config=config) as house:
        root = await signed_in(house, "root")
        for deed in (
            house.organization.set_role(root, "zoe", "admin"),
            house.organization.set_active(root, "zoe", active=False),
            house.organization.remove(root, "zoe"),
        ):
            with pytest.raises(NotAllowed, match=r"by config\.yaml"):
                await deed
        _, secret = await house.organization.reset(root, "zoe")
        await house.sign_in.links.redeem(secret, PASSWORD, "here")
        assert await house.sign_in.check_password("zoe", PASSWORD, "here") is not None


async def test_groups_are_made_named_filled_and_removed(house: Runtime) -> None:
    root = await signed_in(house, "root")
    sales = await house.organization.add_group(root, "  Sales   team ")
    await house.organization.set_group_members(root, sales.id, ["mia", "max"])
    for taken in ("sales TEAM", "", "x" * 61, "a\nb\x00"):
        with pytest.raises(InvalidRequest):
            await house.organization.add_group(root, taken)
    await house.organization.rename_group(root, sales.id, "SALES")
    [found] = await house.organization.groups(await signed_in(house, "olga"))
    assert (found.name, found.members) == ("SALES", ("max", "mia"))
    with pytest.raises(InvalidRequest, match="no member eve"):
        await house.organization.set_group_members(root, sales.id, ["eve"])
    await house.organization.remove(root, "max")
    assert [group.members for group in await house.organization.groups(root)] == [("mia",)]
    await house.organization.remove_group(root, sales.id)
    for deed in (house.organization.remove_group(root, sales.id), house.organization.rename_group(root, sales.id, "x")):
        with pytest.raises(InvalidRequest, match="not there any more"):
            await deed
    with pytest.raises(NotAllowed):
        await house.organization.members(await signed_in(house, "mia"))


async def test_an_admin_who_is_deactivated_is_none_who_could_administer(house: Runtime) -> None:
    root = await signed_in(house, "root")
    await house.organization.set_role(root, "olga", "admin")
    await house.organization.set_active(root, "olga", active=False)
    for deed in (
        house.organization.set_role(root, "root", "member"),
        house.organization.set_active(root, "root", active=False),
        house.organization.remove(root, "root"),
    ):
        with pytest.raises(NotAllowed, match="nobody could administer"):
            await deed
    await house.organization.set_active(root, "olga", active=True)
    await house.organization.remove(root, "root")


async def test_who_stands_in_config_yaml_is_not_invited(tmp_path: Path) -> None:
    credentials = {"usernames": {"carl": {"roles": ["member"]}}}
    async with organization(tmp_path, config={"credentials": credentials}) as house:
        root = await signed_in(house, "root")
        with pytest.raises(InvalidRequest, match="already a member carl"):
            await house.organization.invite(root, "Carl")
        assert await house.organization.links(root) == []


async def test_inviting_anew_with_another_role_changes_the_role(house: Runtime) -> None:
    root = await signed_in(house, "root")
    first, _ = await house.organization.invite(root, "nina")
    second, secret = await house.organization.invite(root, "nina", role="author")
    assert [link.id for link in await house.organization.links(root)] == [second.id] != [first.id]
    assert (await house.sign_in.links.redeem(secret, PASSWORD, "here")).role == "author"


async def test_nothing_happens_to_somebody_who_is_not_there(house: Runtime) -> None:
    root = await signed_in(house, "root")
    for deed in (
        house.organization.set_role(root, "gone", "admin"),
        house.organization.set_active(root, "gone", active=False),
        house.organization.remove(root, "gone"),
        house.organization.reset(root, "gone"),
        house.sign_in.set_password("gone", PASSWORD, by="tests"),
    ):
        with pytest.raises(InvalidRequest, match=r"no (active )?member gone"):
            await deed
    assert await house.sign_in.member("gone") is None
