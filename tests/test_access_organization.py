"""Admins, people and groups: who may, what it does, and that there always is an admin."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from flowground.access import Access, people
from flowground.caller import LOCAL_OWNER, Caller
from flowground.errors import InvalidRequest, NotAllowed, NotSignedIn
from flowground.runtime import Runtime
from tests.organization import PASSWORD, cookie_of, organization, signed_in
from tests.stored import list_entries

pytestmark = pytest.mark.anyio


DEEDS: list[Callable[[Access, Caller], Awaitable[object]]] = [
    lambda access, caller: people.invite(access, caller, "new"),
    lambda access, caller: people.reset_password(access, caller, "mia"),
    lambda access, caller: people.list_links(access, caller),
    lambda access, caller: people.revoke_link(access, caller, "x"),
    lambda access, caller: people.set_role(access, caller, "mia", "admin"),
    lambda access, caller: people.set_active(access, caller, "mia", active=False),
    lambda access, caller: people.remove(access, caller, "mia"),
    lambda access, caller: people.list_sign_ins(access, caller, "mia"),
    lambda access, caller: people.sign_out_everywhere(access, caller, "mia"),
    lambda access, caller: people.add_group(access, caller, "Sales"),
    lambda access, caller: people.rename_group(access, caller, "x", "Sales"),
    lambda access, caller: people.remove_group(access, caller, "x"),
    lambda access, caller: people.set_group_members(access, caller, "x", ["mia"]),
]


@pytest.mark.parametrize("deed", DEEDS)
async def test_only_signed_in_admins_may(acme: Runtime, deed: Callable[[Access, Caller], Awaitable[object]]) -> None:
    forged = Caller("member", "root", "admin", sign_in_id="made up")
    former = await signed_in(acme, "root")
    await acme.sign_in.revoke(str(former.sign_in_id))
    for nobody in (forged, former, LOCAL_OWNER):
        with pytest.raises(NotSignedIn):
            await deed(acme.access, nobody)
    claims = Caller("member", "mia", "admin", sign_in_id=(await signed_in(acme, "mia")).sign_in_id)
    for caller in (
        await signed_in(acme, "olga"),
        claims,
        Caller("token", "1", "admin"),
        Caller("token", "1", "admin"),
    ):
        with pytest.raises(NotAllowed):
            await deed(acme.access, caller)


async def test_an_invitation_sets_the_password_once(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    link, secret = await people.invite(acme.access, root, "Nina", display_name="Nina N", role="author", email="n@x.org")
    assert [found.id for found in await people.list_links(acme.access, root)] == [link.id]
    found, member = await acme.sign_in.links.find(secret, "here")
    assert (found.kind, member.display_name, member.role, member.has_password) == (
        "invitation",
        "Nina N",
        "author",
        False,
    )
    with pytest.raises(InvalidRequest, match="at least 8"):
        await acme.sign_in.links.redeem(secret, "short", "here")
    assert (await acme.sign_in.links.redeem(secret, PASSWORD, "here")).name == "nina"
    assert await acme.sign_in.check_password("nina", PASSWORD, "here") is not None
    with pytest.raises(NotSignedIn, match="not good any more"):
        await acme.sign_in.links.redeem(secret, "another long phrase", "here")
    assert await people.list_links(acme.access, root) == []
    with pytest.raises(InvalidRequest, match="already a member nina"):
        await people.invite(acme.access, root, "nina")
    actions = [entry.action for entry in await acme.store.read(list_entries, limit=20)]
    assert {"member.added", "invitation.created", "invitation.used", "member.password_set"} <= set(actions)


async def test_a_second_invitation_ends_the_first_and_revoking_ends_it(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    _, first = await people.invite(acme.access, root, "max")
    link, second = await people.invite(acme.access, root, "max")
    with pytest.raises(NotSignedIn):
        await acme.sign_in.links.find(first, "here")
    assert (await acme.sign_in.links.find(second, "here"))[0] == link
    assert await people.revoke_link(acme.access, root, link.id)
    assert not await people.revoke_link(acme.access, root, link.id)
    with pytest.raises(NotSignedIn):
        await acme.sign_in.links.find(second, "here")


async def test_a_reset_signs_out_everywhere_when_it_is_used(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    cookie = await cookie_of(acme, "mia")
    _, secret = await people.reset_password(acme.access, root, "mia")
    assert await acme.sign_in.verify_cookie(cookie) is not None
    await acme.sign_in.links.redeem(secret, "another long phrase", "here")
    assert await acme.sign_in.verify_cookie(cookie) is None
    assert await acme.sign_in.check_password("mia", PASSWORD, "here") is None
    assert await acme.sign_in.check_password("mia", "another long phrase", "here") is not None


@pytest.mark.parametrize("ending", ["deactivated", "removed", "password set"])
async def test_what_happens_to_the_member_ends_the_link(acme: Runtime, ending: str) -> None:
    root = await signed_in(acme, "root")
    _, secret = await people.reset_password(acme.access, root, "mia")
    if ending == "deactivated":
        await people.set_active(acme.access, root, "mia", active=False)
        await people.set_active(acme.access, root, "mia", active=True)
    elif ending == "removed":
        await people.remove(acme.access, root, "mia")
        await acme.sign_in.roster.add("mia", by="tests")
    else:
        await acme.sign_in.roster.set_password("mia", "another long phrase", by="tests")
    with pytest.raises(NotSignedIn):
        await acme.sign_in.links.redeem(secret, PASSWORD, "here")


async def test_wrong_links_are_counted_by_address_and_shut_nobody_else_out(acme: Runtime) -> None:
    _, secret = await people.reset_password(acme.access, await signed_in(acme, "root"), "mia")
    for wrong in ("", "x", "a" * 43, "\ud800", secret + "x"):
        with pytest.raises(NotSignedIn, match="not good any more"):
            await acme.sign_in.links.find(wrong, "there")
    with pytest.raises(NotSignedIn, match="Too many wrong links") as raised:
        await acme.sign_in.links.find("y", "there")
    assert raised.value.code == "locked_out"
    for number in range(60):
        with pytest.raises(NotSignedIn, match="not good any more"):
            await acme.sign_in.links.find("y", f"address {number}")
    assert await acme.sign_in.links.find(secret, "here")
    assert await acme.sign_in.tries.find_wait("mia", "there") == 0


async def test_there_always_is_an_admin(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    await people.set_role(acme.access, root, "max", "admin")  # who could not sign in: no password
    for deed in (
        people.set_role(acme.access, root, "root", "author"),
        people.set_active(acme.access, root, "root", active=False),
        people.remove(acme.access, root, "root"),
    ):
        with pytest.raises(NotAllowed, match="nobody could administer"):
            await deed
    await people.set_role(acme.access, root, "mia", "admin")
    await people.set_role(acme.access, root, "root", "member")
    with pytest.raises(NotAllowed):
        await people.set_role(acme.access, root, "root", "admin")


async def test_members_of_config_yaml_keep_the_role_that_stands_there(tmp_path: Path) -> None:
    config = {"credentials": {"usernames": {"zoe": {"roles": ["author"]}}}}
    async with organization(tmp_path, config=config) as acme:
        root = await signed_in(acme, "root")
        for deed in (
            people.set_role(acme.access, root, "zoe", "admin"),
            people.set_active(acme.access, root, "zoe", active=False),
            people.remove(acme.access, root, "zoe"),
        ):
            with pytest.raises(NotAllowed, match=r"by config\.yaml"):
                await deed
        _, secret = await people.reset_password(acme.access, root, "zoe")
        await acme.sign_in.links.redeem(secret, PASSWORD, "here")
        assert await acme.sign_in.check_password("zoe", PASSWORD, "here") is not None


async def test_groups_are_made_named_filled_and_removed(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    sales = await people.add_group(acme.access, root, "  Sales   team ")
    await people.set_group_members(acme.access, root, sales.id, ["mia", "max"])
    for taken in ("sales TEAM", "", "x" * 61, "a\nb\x00"):
        with pytest.raises(InvalidRequest):
            await people.add_group(acme.access, root, taken)
    await people.rename_group(acme.access, root, sales.id, "SALES")
    [found] = await people.list_groups(acme.access, await signed_in(acme, "olga"))
    assert (found.name, found.members) == ("SALES", ("max", "mia"))
    with pytest.raises(InvalidRequest, match="no member eve"):
        await people.set_group_members(acme.access, root, sales.id, ["eve"])
    await people.remove(acme.access, root, "max")
    assert [group.members for group in await people.list_groups(acme.access, root)] == [("mia",)]
    await people.remove_group(acme.access, root, sales.id)
    for deed in (
        people.remove_group(acme.access, root, sales.id),
        people.rename_group(acme.access, root, sales.id, "x"),
    ):
        with pytest.raises(InvalidRequest, match="not there any more"):
            await deed
    with pytest.raises(NotAllowed):
        await people.list_members(acme.access, await signed_in(acme, "mia"))


async def test_an_admin_who_is_deactivated_is_none_who_could_administer(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    await people.set_role(acme.access, root, "olga", "admin")
    await people.set_active(acme.access, root, "olga", active=False)
    for deed in (
        people.set_role(acme.access, root, "root", "member"),
        people.set_active(acme.access, root, "root", active=False),
        people.remove(acme.access, root, "root"),
    ):
        with pytest.raises(NotAllowed, match="nobody could administer"):
            await deed
    await people.set_active(acme.access, root, "olga", active=True)
    await people.remove(acme.access, root, "root")


async def test_who_stands_in_config_yaml_is_not_invited(tmp_path: Path) -> None:
    credentials = {"usernames": {"carl": {"roles": ["member"]}}}
    async with organization(tmp_path, config={"credentials": credentials}) as acme:
        root = await signed_in(acme, "root")
        with pytest.raises(InvalidRequest, match="already a member carl"):
            await people.invite(acme.access, root, "Carl")
        assert await people.list_links(acme.access, root) == []


async def test_inviting_anew_with_another_role_changes_the_role(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    first, _ = await people.invite(acme.access, root, "nina")
    second, secret = await people.invite(acme.access, root, "nina", role="author")
    assert [link.id for link in await people.list_links(acme.access, root)] == [second.id] != [first.id]
    assert (await acme.sign_in.links.redeem(secret, PASSWORD, "here")).role == "author"


async def test_nothing_happens_to_somebody_who_is_not_there(acme: Runtime) -> None:
    root = await signed_in(acme, "root")
    for deed in (
        people.set_role(acme.access, root, "gone", "admin"),
        people.set_active(acme.access, root, "gone", active=False),
        people.remove(acme.access, root, "gone"),
        people.reset_password(acme.access, root, "gone"),
        acme.sign_in.roster.set_password("gone", PASSWORD, by="tests"),
    ):
        with pytest.raises(InvalidRequest, match=r"no (active )?member gone"):
            await deed
    assert await acme.sign_in.roster.find("gone") is None
