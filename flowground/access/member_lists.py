"""People of the organization, found by a word and read a few at a time: to choose with whom a flow is shared.

Members of config.yaml are few and in memory; they stand before those of the database. Every function that is given a
caller asks anew who they are, and raises NotSignedIn, NotAllowed.
"""

from collections.abc import Collection
from dataclasses import dataclass

from flowground.access import Access
from flowground.access.people import require_admin, require_author
from flowground.caller import Caller
from flowground.store.flows.publications import Sharing
from flowground.store.people import member_lists
from flowground.store.people.member_lists import MemberFilter, Opening
from flowground.store.people.members import Member
from flowground.words import fold, has_words


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
    configured = await _list_configured(access, wanted)
    first = configured[offset : offset + limit]
    read = access.store.read
    stored = await read(member_lists.count_members, wanted=wanted)
    rest = await read(
        member_lists.find_members,
        wanted=wanted,
        limit=limit - len(first),
        offset=max(0, offset - len(configured)),
    )
    return FoundPeople((*first, *rest), len(configured) + stored)


async def find_group_members(
    access: Access, caller: Caller, group_id: str, words: str = "", *, limit: int, offset: int = 0
) -> tuple[list[str], int]:
    """A page of the ids of who is in the group, those that left config.yaml too; and how many all pages have.

    With words, those who have them in a name or their address. For admins.
    """
    await require_admin(access, caller)
    return await access.store.read(
        member_lists.find_group_members,
        group_id=group_id,
        words=words,
        others=[member.id for member in await _list_configured(access, MemberFilter(words))],
        limit=limit,
        offset=offset,
    )


async def list_people(access: Access, caller: Caller, ids: Collection[str]) -> list[Member]:
    """Those of these ids that are somebody's."""
    await require_author(access, caller)
    configured = [member for member in await access.sign_in.roster.list_configured() if member.id in ids]
    stored = await access.store.read(member_lists.list_by_ids, ids=ids) if ids else []
    return [*configured, *stored]


async def find_who_may_open(access: Access, sharing: Sharing, *, limit: int) -> FoundPeople:
    """Everyone of the organization who could open a flow that is shared like this, counted in the database."""
    is_shared = sharing.is_shared and not sharing.is_expired
    opening = Opening(is_shared and sharing.audience != "people")
    if is_shared and not opening.is_open_to_all:
        opening = Opening(False, sharing.members, sharing.groups)
    read = access.store.read
    configured = [member for member in await access.sign_in.roster.list_configured() if member.is_active]
    named = opening.members
    if configured and opening.groups:
        named |= await read(member_lists.find_grouped, groups=opening.groups, ids=[member.id for member in configured])
    first = [member for member in configured if member.role != "member" or opening.is_open_to_all or member.id in named]
    count = len(first) + await read(member_lists.count_openers, opening=opening)
    rest = await read(member_lists.list_openers, opening=opening, limit=limit) if limit > len(first) else []
    return FoundPeople((*first, *rest)[:limit], count)


async def _list_configured(access: Access, wanted: MemberFilter) -> list[Member]:
    """Those of config.yaml, by name."""
    folded = [fold(word) for word in wanted.words.split()]
    found = [
        member
        for member in await access.sign_in.roster.list_configured()
        if has_words(f"{member.name} {member.display_name} {member.email or ''}", folded)
        and (not wanted.is_member_only or (member.is_active and member.role == "member"))
    ]
    if wanted.not_in is None or not found:
        return found
    ids = [member.id for member in found]
    within = await access.store.read(member_lists.find_grouped, groups=[wanted.not_in], ids=ids)
    return [member for member in found if member.id not in within]
