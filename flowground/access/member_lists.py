"""People of the organization, found by a word and read a few at a time: to choose with whom a flow is shared.

Every function that is given a caller asks anew who they are, and raises NotSignedIn, NotAllowed.
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
    found = await access.store.read(member_lists.find_members, wanted=wanted, limit=limit, offset=offset)
    return FoundPeople(tuple(found), await access.store.read(member_lists.count_members, wanted=wanted))


async def find_group_members(
    access: Access, caller: Caller, group_id: str, words: str = "", *, limit: int, offset: int = 0
) -> tuple[list[str], int]:
    """A page of the ids of who is in the group, those that left config.yaml too; and how many all pages have.

    With words, those who have them in a name or their address. For admins.
    """
    await require_admin(access, caller)
    return await access.store.read(
        member_lists.find_group_members, group_id=group_id, words=words, limit=limit, offset=offset
    )


async def list_people(access: Access, caller: Caller, ids: Collection[str]) -> list[Member]:
    """Those of these ids that are somebody's."""
    await require_author(access, caller)
    return await access.store.read(member_lists.list_by_ids, ids=ids) if ids else []


async def find_who_may_open(access: Access, sharing: Sharing, *, limit: int) -> FoundPeople:
    """Everyone of the organization who could open a flow that is shared like this, counted in the database."""
    is_shared = sharing.is_shared and not sharing.is_expired
    opening = Opening(is_shared and sharing.audience != "people")
    if is_shared and not opening.is_open_to_all:
        opening = Opening(False, sharing.members, sharing.groups)
    read = access.store.read
    shown = await read(member_lists.list_openers, opening=opening, limit=limit)
    return FoundPeople(tuple(shown), await read(member_lists.count_openers, opening=opening))
