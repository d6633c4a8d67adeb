"""Members as admins manage them: search, invite, rename, deactivate, remove; changes are audited.

Every function with a caller checks their present role: it raises NotSignedIn, and NotAllowed without the right.
"""

from collections.abc import Callable, Collection
from typing import Unpack

from flowground.access import Access, AskedPage
from flowground.core.caller import Caller, Role
from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.store import publications
from flowground.store.people import members, sign_ins
from flowground.store.people.members import Member, MemberFilter
from flowground.store.people.sign_ins import BrowserSignIn, PasswordLink
from flowground.store.publications import Sharing
from flowground.store.runs.conversations import list_owners


async def invite(
    access: Access, caller: Caller, name: str, *, display_name: str = "", role: Role | None = None
) -> tuple[PasswordLink, str]:
    """Creates a member without a password, and a one-time link that sets it; returns the link and its secret.

    A member who never set a password gets a new link, which ends the earlier one, and keeps their role without `role`;
    a new member without `role` is a member. Raises InvalidRequest for a name that is taken.
    """
    by = await require_admin(access, caller)
    known = await access.sign_in.roster.find_named(name)
    if known is None:
        known = await access.sign_in.roster.add(name, display_name=display_name, role=role or "member", by=by)
    elif known.has_password or known.source == "config":
        raise InvalidRequest(f"There is already a member {known.name}.")
    elif role is not None and known.role != role:
        await set_role(access, caller, known.id, role)
    return await access.sign_in.links.create("invitation", known.id, by=by)


async def invite_to_flow(
    access: Access, caller: Caller, address: str, name: str, *, display_name: str = ""
) -> tuple[PasswordLink, str]:
    """As `invite`; also adds the member to the flow's audience, where the audience names people.

    Raises FlowNotFound and NotAllowed where the caller may not publish the flow; then nobody is invited.
    """
    await require_admin(access, caller)
    caller, wired = await access.open_to_publish(caller, address)
    link, secret = await invite(access, caller, name, display_name=display_name)
    by = str(caller.owner)
    await access.store.write(publications.add_person, flow_id=wired.id, member=link.member, by=by)
    return link, secret


async def rename(access: Access, caller: Caller, member: str, name: str) -> None:
    """Changes the name that a member signs in with; sign-ins stay. The old name is free and carries no rights.

    Raises InvalidRequest for a name that is invalid or taken, NotAllowed for members of config.yaml.
    """
    await access.sign_in.roster.rename(member, name, by=await require_admin(access, caller))


async def show_as(access: Access, caller: Caller, member: str, display_name: str) -> None:
    """Changes the name that colleagues see. Raises like `rename`."""
    await access.sign_in.roster.show_as(member, display_name, by=await require_admin(access, caller))


async def reset_password(access: Access, caller: Caller, member: str) -> tuple[PasswordLink, str]:
    """A one-time link that sets a new password, and its secret. The old password works until the link is used.

    Raises InvalidRequest when there is no such active member.
    """
    return await access.sign_in.links.create("reset", member, by=await require_admin(access, caller))


async def list_links(access: Access, caller: Caller, *, ids: Collection[str] | None = None) -> list[PasswordLink]:
    """Invitations and resets that are still valid, newest first; with `ids`, those of these members."""
    await require_admin(access, caller)
    return await access.store.read(sign_ins.list_links, members=ids)


async def revoke_link(access: Access, caller: Caller, link_id: str) -> bool:
    """Revokes a link. False when it was not valid any more."""
    by = await require_admin(access, caller)
    return await access.store.write(sign_ins.revoke_link, link_id=link_id, by=by)


async def set_role(access: Access, caller: Caller, member: str, role: Role) -> None:
    """Changes a member's role, from their next action on. Raises InvalidRequest for an unknown member; NotAllowed for
    the last admin and for members of config.yaml, which has their role."""
    await _change_member(access, caller, member, members.set_role, role=role)


async def set_active(access: Access, caller: Caller, member: str, *, is_active: bool) -> None:
    """Activates or deactivates a member. Deactivation signs them out, stops their tokens and ends their links; once
    activated again they have all but the sign-ins back. Raises like `set_role`."""
    await _change_member(access, caller, member, members.set_active, is_active=is_active)


async def remove(access: Access, caller: Caller, member: str) -> None:
    """Removes a member with sign-ins, tokens, conversations and every right. Raises like `set_role`.

    They can do nothing any more when this returns; conversations, and their name in older records, are deleted later.
    """
    owners = list_owners(member)
    await _change_member(access, caller, member, members.remove)
    await access.end_turns(owners, None, None)
    access.note_removal()


async def find_sign_ins(
    access: Access, caller: Caller, member: str, **page: Unpack[AskedPage]
) -> tuple[list[BrowserSignIn], int]:
    """As `account.find_sign_ins`, for any member."""
    await require_admin(access, caller)
    return await access.store.read(sign_ins.find_page, member=member, **page)


async def sign_out_everywhere(access: Access, caller: Caller, member: str) -> int:
    """Ends all sign-ins of a member; returns how many those were."""
    by = await require_admin(access, caller)
    return await access.store.write(sign_ins.revoke_all, member=member, by=by)


async def require_admin(access: Access, caller: Caller) -> str:
    """The admin's id in the audit trail. Raises NotSignedIn, and NotAllowed for callers who are no admin now."""
    caller = await access.recheck(caller)
    if caller.kind != "member" or caller.role != "admin":
        raise NotAllowed("Only admins may do this.")
    return str(caller.owner)


async def require_author(access: Access, caller: Caller) -> None:
    """Raises NotSignedIn, and NotAllowed for callers who are neither admin nor author."""
    caller = await access.recheck(caller)
    if caller.kind not in ("member", "local") or not caller.sees_inside:
        raise NotAllowed("Only admins and authors may do this.")


async def _change_member(
    access: Access, caller: Caller, member: str, job: Callable[..., bool], **options: object
) -> None:
    """Applies a change to a member whom config.yaml does not name. Raises NotAllowed, InvalidRequest."""
    by = await require_admin(access, caller)
    await access.sign_in.roster.change(member, job, by=by, keep_admin=True, **options)


async def find_people(
    access: Access,
    caller: Caller,
    *,
    is_member_only: bool = False,
    not_in: str | None = None,
    **page: Unpack[AskedPage],
) -> tuple[list[Member], int]:
    """A page of people, by name, and how many all pages have. Words are searched in names and addresses; further
    filters are as in `MemberFilter`."""
    await require_author(access, caller)
    wanted = MemberFilter(page.get("words", ""), is_member_only, not_in)
    return await access.store.read(members.find_page, wanted=wanted, limit=page["limit"], offset=page.get("offset", 0))


async def find_group_members(
    access: Access, caller: Caller, group_id: str, **page: Unpack[AskedPage]
) -> tuple[list[str], int]:
    """A page of the ids of a group's members, also of those who left config.yaml; and how many all pages have. For
    admins; words are searched in names and addresses."""
    await require_admin(access, caller)
    return await access.store.read(members.find_group_members, group_id=group_id, **page)


async def list_people(access: Access, caller: Caller, ids: Collection[str]) -> list[Member]:
    """The members with these ids; unknown ids are left out. For authors too."""
    await require_author(access, caller)
    return await access.store.read(members.list_by_ids, ids=ids) if ids else []


async def find_who_may_open(access: Access, sharing: Sharing, *, limit: int) -> tuple[list[Member], int]:
    """Some of the members who could open a flow that is shared like this, and how many there are."""
    return await access.store.read(members.find_openers, sharing=sharing, limit=limit)
