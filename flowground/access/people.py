"""What admins do with people and groups. Every function asks anew whether the caller still is one.

Each raises NotSignedIn once the caller is signed out, and NotAllowed when they may not. What they change is audited.
"""

from collections.abc import Callable, Collection
from functools import partial

from flowground.access import Access
from flowground.caller import Caller, Role
from flowground.errors import InvalidRequest, NotAllowed
from flowground.sign_in.passwords import clean_name
from flowground.store.people import groups, members, password_links, sign_ins
from flowground.store.people.groups import Group
from flowground.store.people.members import Member
from flowground.store.people.password_links import PasswordLink
from flowground.store.people.sign_ins import BrowserSignIn


async def list_members(access: Access, caller: Caller) -> list[Member]:
    """Everyone, by name; authors may look too, to choose with whom they share."""
    await _require_author(access, caller)
    return await access.sign_in.roster.list_members()


async def list_groups(access: Access, caller: Caller) -> list[Group]:
    """By name, with members; authors may look too."""
    await _require_author(access, caller)
    return await access.store.read(groups.list_groups)


async def invite(
    access: Access,
    caller: Caller,
    name: str,
    *,
    display_name: str = "",
    role: Role = "member",
    email: str | None = None,
) -> tuple[PasswordLink, str]:
    """Makes a member without a password, and the secret of the one-time link that sets it; shown once.

    For a member who never set one, a new link: the earlier is over. Raises InvalidRequest for a name that is taken.
    """
    by = await _require_admin(access, caller)
    known = await access.sign_in.roster.find(name)
    if known is None:
        await access.sign_in.roster.add(name, display_name=display_name, role=role, email=email, by=by)
    elif known.has_password or known.source == "config":
        raise InvalidRequest(f"There is already a member {known.name}.")
    elif known.role != role:
        await set_role(access, caller, name, role)
    return await access.sign_in.links.create("invitation", name, by=by)


async def reset_password(access: Access, caller: Caller, name: str) -> tuple[PasswordLink, str]:
    """The secret of a one-time link that sets a new password. What was before goes on until it is used.

    Raises InvalidRequest when there is no such active member.
    """
    return await access.sign_in.links.create("reset", name, by=await _require_admin(access, caller))


async def list_links(access: Access, caller: Caller) -> list[PasswordLink]:
    """Invitations and resets that are still good, newest first."""
    await _require_admin(access, caller)
    return await access.store.read(password_links.list_links)


async def revoke_link(access: Access, caller: Caller, link_id: str) -> bool:
    """False when it was not good any more."""
    by = await _require_admin(access, caller)
    return await access.store.write(password_links.revoke, link_id=link_id, by=by)


async def set_role(access: Access, caller: Caller, name: str, role: Role) -> None:
    """Acts at the member's next action. Raises InvalidRequest; NotAllowed for the last admin and for members of
    config.yaml, whose role stands there."""
    await _change_member(access, caller, name, partial(members.set_role, role=role), hint="Their role stands there.")


async def set_active(access: Access, caller: Caller, name: str, *, is_active: bool) -> None:
    """Deactivated: signed out everywhere, tokens stopped, links over; all of it is theirs again when activated,
    but they sign in anew. Raises like `set_role`."""
    await _change_member(access, caller, name, partial(members.set_active, is_active=is_active))


async def remove(access: Access, caller: Caller, name: str) -> None:
    """With sign-ins, tokens, conversations and every right. Raises like `set_role`."""
    await _change_member(access, caller, name, members.remove)


async def list_sign_ins(access: Access, caller: Caller, name: str) -> list[BrowserSignIn]:
    """Where a member is signed in, newest first."""
    await _require_admin(access, caller)
    return await access.store.read(sign_ins.list_sign_ins, member=clean_name(name))


async def sign_out_everywhere(access: Access, caller: Caller, name: str) -> int:
    """How many sign-ins that ended."""
    by = await _require_admin(access, caller)
    return await access.store.write(sign_ins.revoke_all, member=clean_name(name), by=by)


async def add_group(access: Access, caller: Caller, name: str) -> Group:
    """Raises InvalidRequest when the name is empty, too long or taken."""
    by = await _require_admin(access, caller)
    return await access.store.write(groups.add, name=name, by=by)


async def rename_group(access: Access, caller: Caller, group_id: str, name: str) -> None:
    """Raises InvalidRequest like `add_group`."""
    by = await _require_admin(access, caller)
    _require_group(await access.store.write(groups.rename, group_id=group_id, name=name, by=by))


async def remove_group(access: Access, caller: Caller, group_id: str) -> None:
    """Its people lose what only the group let them open, at their next action."""
    by = await _require_admin(access, caller)
    _require_group(await access.store.write(groups.remove, group_id=group_id, by=by))


async def set_group_members(access: Access, caller: Caller, group_id: str, names: Collection[str]) -> None:
    """Who is in the group from now on. Raises InvalidRequest for people who are not there."""
    by = await _require_admin(access, caller)
    known = {member.name for member in await access.sign_in.roster.list_members()}
    known.update(*(group.members for group in await access.store.read(groups.list_groups) if group.id == group_id))
    if unknown := sorted(set(names) - known):
        raise InvalidRequest(f"There is no member {unknown[0]}.")
    _require_group(await access.store.write(groups.set_members, group_id=group_id, members=set(names), by=by))


async def _require_admin(access: Access, caller: Caller) -> str:
    """The key of the caller, who is an admin now."""
    caller = await access.recheck(caller)
    if caller.kind != "member" or caller.role != "admin":
        raise NotAllowed("Only admins may do this.")
    return caller.key


async def _require_author(access: Access, caller: Caller) -> None:
    caller = await access.recheck(caller)
    if caller.kind not in ("member", "local") or not caller.sees_inside:
        raise NotAllowed("Only admins and authors may do this.")


async def _change_member(
    access: Access, caller: Caller, name: str, change: Callable[..., bool], *, hint: str | None = None
) -> None:
    """For who is not of config.yaml: `hint` says what to do there. Raises InvalidRequest where nobody is called so."""
    by = await _require_admin(access, caller)
    roster = access.sign_in.roster
    name = roster.require_stored(name, hint=hint)
    if not await access.store.write(change, name=name, by=by, keep_admin=not roster.has_configured_admin):
        raise InvalidRequest(f"There is no member {name}.")


def _require_group(is_there: bool) -> None:
    if not is_there:
        raise InvalidRequest("This group is not there any more.")
