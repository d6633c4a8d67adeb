"""Groups of people, found by a word and read a few at a time; admins make, fill, rename and remove them.

Every function asks anew who the caller is, and raises NotSignedIn once they are signed out, NotAllowed when they may
not. What they change is audited.
"""

from collections.abc import Collection

from flowground.access import Access
from flowground.access.people import require_admin, require_author
from flowground.core.caller import Caller
from flowground.core.errors import InvalidRequest
from flowground.store.people import groups
from flowground.store.people.groups import Group


async def find_groups(
    access: Access,
    caller: Caller,
    words: str = "",
    *,
    having: str | None = None,
    lacking: str | None = None,
    limit: int,
    offset: int = 0,
) -> tuple[list[Group], int]:
    """A page by name of those in whose name all these words stand, and how many do; authors may look too.

    Of groups that have this member, or lack that one, where an id is given.
    """
    await require_author(access, caller)
    return await access.store.read(
        groups.find_page, words=words, having=having, lacking=lacking, limit=limit, offset=offset
    )


async def list_groups(access: Access, caller: Caller, ids: Collection[str]) -> list[Group]:
    """Those of these ids that are there; authors may look too."""
    await require_author(access, caller)
    return await access.store.read(groups.list_by_ids, ids=ids) if ids else []


async def list_first_members(
    access: Access, caller: Caller, ids: Collection[str], *, most: int
) -> dict[str, list[str]]:
    """Group -> the ids of the first of its members."""
    await require_admin(access, caller)
    return await access.store.read(groups.list_first_members, ids=ids, most=most)


async def list_names_of(access: Access, caller: Caller, members: Collection[str]) -> dict[str, list[str]]:
    """Member -> the names of their groups, of these members who are in one."""
    await require_admin(access, caller)
    return await access.store.read(groups.list_names_of, members=members)


async def add(access: Access, caller: Caller, name: str) -> Group:
    """Raises InvalidRequest when the name is empty, too long or taken."""
    by = await require_admin(access, caller)
    return await access.store.write(groups.add, name=name, by=by)


async def rename(access: Access, caller: Caller, group_id: str, name: str) -> None:
    """Raises InvalidRequest like `add`."""
    by = await require_admin(access, caller)
    _require_group(await access.store.write(groups.rename, group_id=group_id, name=name, by=by))


async def remove(access: Access, caller: Caller, group_id: str) -> None:
    """Its people lose what only the group let them open, at their next action."""
    by = await require_admin(access, caller)
    _require_group(await access.store.write(groups.remove, group_id=group_id, by=by))


async def change_members(
    access: Access, caller: Caller, group_id: str, *, added: Collection[str] = (), removed: Collection[str] = ()
) -> None:
    """Takes these people in and those out; all others stay as they are. Raises InvalidRequest for people who are not
    there and are to be added."""
    by = await require_admin(access, caller)
    if unknown := sorted(set(added) - set(await access.sign_in.roster.find_names(added))):
        raise InvalidRequest(f"There is no member {unknown[0]}.")
    change = access.store.write(groups.change_members, group_id=group_id, added=added, removed=removed, by=by)
    _require_group(await change)


def _require_group(is_there: bool) -> None:
    if not is_there:
        raise InvalidRequest("This group no longer exists.")
