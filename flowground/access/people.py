"""People of the organization: found by a word and read a few at a time, and what admins do with them, by their ids.

Every function that is given a caller asks anew who they are, and raises NotSignedIn once they are signed out, and
NotAllowed when they may not. What they change is audited.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from flowground.access import Access
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
    """Makes a member without a password, and the secret of the one-time link that sets it; shown once.

    For a member who never set one, a new link: the earlier is over. Without a `role` somebody new is a member, and
    somebody known keeps theirs. Raises InvalidRequest for a name that is taken.
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
    """As `invite`, and the flow is shared with them, where those are named whom it is shared with.

    Raises FlowNotFound and NotAllowed where the caller may not publish the flow; then nobody was invited.
    """
    await require_admin(access, caller)
    caller, wired = await access.open_to_publish(caller, address)
    link, secret = await invite(access, caller, name, display_name=display_name)
    by = str(caller.owner)
    await access.store.write(publications.add_person, flow_id=wired.id, member=link.member, by=by)
    return link, secret


async def rename(access: Access, caller: Caller, member: str, name: str) -> None:
    """Another name to sign in with; the earlier one is free, and gives whoever gets it nothing. Sign-ins stay.

    Raises InvalidRequest for a name that may not be one or is taken, NotAllowed for members of config.yaml.
    """
    await access.sign_in.roster.rename(member, name, by=await require_admin(access, caller))


async def show_as(access: Access, caller: Caller, member: str, display_name: str) -> None:
    """Another name for colleagues to see. Raises like `rename`."""
    await access.sign_in.roster.show_as(member, display_name, by=await require_admin(access, caller))


async def reset_password(access: Access, caller: Caller, member: str) -> tuple[PasswordLink, str]:
    """The secret of a one-time link that sets a new password. What was before goes on until it is used.

    Raises InvalidRequest when there is no such active member.
    """
    return await access.sign_in.links.create("reset", member, by=await require_admin(access, caller))


async def list_links(access: Access, caller: Caller, *, ids: Collection[str] | None = None) -> list[PasswordLink]:
    """Invitations and resets that are still good, newest first; of these members, where they are given."""
    await require_admin(access, caller)
    return await access.store.read(sign_ins.list_links, members=ids)


async def revoke_link(access: Access, caller: Caller, link_id: str) -> bool:
    """False when it was not good any more."""
    by = await require_admin(access, caller)
    return await access.store.write(sign_ins.revoke_link, link_id=link_id, by=by)


async def set_role(access: Access, caller: Caller, member: str, role: Role) -> None:
    """Acts at the member's next action. Raises InvalidRequest; NotAllowed for the last admin and for members of
    config.yaml, whose role stands there."""
    await _change_member(access, caller, member, partial(members.set_role, role=role))


async def set_active(access: Access, caller: Caller, member: str, *, is_active: bool) -> None:
    """Deactivated: signed out everywhere, tokens stopped, links over; all of it is theirs again when activated,
    but they sign in anew. Raises like `set_role`."""
    await _change_member(access, caller, member, partial(members.set_active, is_active=is_active))


async def remove(access: Access, caller: Caller, member: str) -> None:
    """With sign-ins, tokens, conversations and every right. Raises like `set_role`.

    They can do nothing any more when this returns; what they said, and their name in older records, goes after it.
    """
    owners = await access.store.read(list_owners, member=member)
    await _change_member(access, caller, member, members.remove)
    await access.end_turns(owners, None, None)
    access.note_removal()


async def find_sign_ins(
    access: Access, caller: Caller, member: str, words: str = "", *, limit: int, offset: int = 0
) -> tuple[list[BrowserSignIn], int]:
    """As `account.find_sign_ins`, of this member."""
    await require_admin(access, caller)
    return await access.store.read(sign_ins.find_page, member=member, words=words, limit=limit, offset=offset)


async def sign_out_everywhere(access: Access, caller: Caller, member: str) -> int:
    """How many sign-ins that ended."""
    by = await require_admin(access, caller)
    return await access.store.write(sign_ins.revoke_all, member=member, by=by)


async def require_admin(access: Access, caller: Caller) -> str:
    """The caller, as the audit trail has them, who is an admin now. Raises NotAllowed for who is none."""
    caller = await access.recheck(caller)
    if caller.kind != "member" or caller.role != "admin":
        raise NotAllowed("Only admins may do this.")
    return str(caller.owner)


async def require_author(access: Access, caller: Caller) -> None:
    """Raises NotAllowed for who is neither admin nor author."""
    caller = await access.recheck(caller)
    if caller.kind not in ("member", "local") or not caller.sees_inside:
        raise NotAllowed("Only admins and authors may do this.")


async def _change_member(access: Access, caller: Caller, member: str, change: Callable[..., bool]) -> None:
    """For whom config.yaml does not name. Raises InvalidRequest where nobody else has this id."""
    by = await require_admin(access, caller)
    await access.sign_in.roster.require_stored(member)
    if not await access.store.write(change, member=member, by=by, keep_admin=True):
        raise InvalidRequest(f"There is no member {member}.")


@dataclass(frozen=True, slots=True)
class FoundPeople:
    """Some of `count` people."""

    shown: tuple[Member, ...]
    count: int


async def find_people(
    access: Access,
    caller: Caller,
    words: str = "",
    *,
    is_member_only: bool = False,
    not_in: str | None = None,
    limit: int = 20,
    offset: int = 0,
) -> FoundPeople:
    """By name, those in whose names or address all these words stand; the other two as in `MemberFilter`."""
    await require_author(access, caller)
    wanted = MemberFilter(words, is_member_only, not_in)
    shown, count = await access.store.read(members.find_page, wanted=wanted, limit=limit, offset=offset)
    return FoundPeople(tuple(shown), count)


async def find_group_members(
    access: Access, caller: Caller, group_id: str, words: str = "", *, limit: int, offset: int = 0
) -> tuple[list[str], int]:
    """A page of the ids of who is in the group, those that left config.yaml too; and how many all pages have.

    With words, those who have them in a name or their address. For admins.
    """
    await require_admin(access, caller)
    return await access.store.read(
        members.find_group_members, group_id=group_id, words=words, limit=limit, offset=offset
    )


async def list_people(access: Access, caller: Caller, ids: Collection[str]) -> list[Member]:
    """Those of these ids that are somebody's."""
    await require_author(access, caller)
    return await access.store.read(members.list_by_ids, ids=ids) if ids else []


async def find_who_may_open(access: Access, sharing: Sharing, *, limit: int) -> FoundPeople:
    """Everyone of the organization who could open a flow that is shared like this, counted in the database."""
    shown, count = await access.store.read(members.find_openers, sharing=sharing, limit=limit)
    return FoundPeople(tuple(shown), count)
