"""Groups of people: authors search and list them; admins create, fill, rename and remove them, and changes are audited.

Every function checks the caller's present role: it raises NotSignedIn, and NotAllowed for callers without the right.
"""

from collections.abc import Collection
from typing import Unpack

from flowground.access import Access, AskedPage
from flowground.access.people import require_admin, require_author
from flowground.core.caller import Caller
from flowground.core.errors import InvalidRequest
from flowground.store.people import groups
from flowground.store.people.groups import Group


async def find_groups(
    access: Access, caller: Caller, *, having: str | None = None, lacking: str | None = None, **page: Unpack[AskedPage]
) -> tuple[list[Group], int]:
    """A page of groups, by name, and how many match; for authors too.

    With `having`, groups that this member is in; with `lacking`, groups that this member is not in.
    """
    await require_author(access, caller)
    return await access.store.read(groups.find_page, having=having, lacking=lacking, **page)


async def list_groups(access: Access, caller: Caller, ids: Collection[str]) -> list[Group]:
    """The groups with these ids that exist; for authors too."""
    await require_author(access, caller)
    return await access.store.read(groups.list_by_ids, ids=ids) if ids else []


async def list_first_members(
    access: Access, caller: Caller, ids: Collection[str], *, most: int
) -> dict[str, list[str]]:
    """Group id -> the ids of up to `most` of its members."""
    await require_admin(access, caller)
    return await access.store.read(groups.list_first_members, ids=ids, most=most)


async def list_names_of(access: Access, caller: Caller, members: Collection[str]) -> dict[str, list[str]]:
    """Member id -> the names of their groups, for those of these members who are in a group."""
    await require_admin(access, caller)
    return await access.store.read(groups.list_names_of, members=members)


async def add(access: Access, caller: Caller, name: str) -> Group:
    """Creates a group. Raises InvalidRequest when the name is empty, too long or taken."""
    by = await require_admin(access, caller)
    return await access.store.write(groups.add, name=name, by=by)


async def rename(access: Access, caller: Caller, group_id: str, name: str) -> None:
    """Renames a group. Raises InvalidRequest as `add`, and where the group no longer exists."""
    by = await require_admin(access, caller)
    _require_group(await access.store.write(groups.rename, group_id=group_id, name=name, by=by))


async def remove(access: Access, caller: Caller, group_id: str) -> None:
    """Removes a group; its members lose flows that only the group gave them, at their next action."""
    by = await require_admin(access, caller)
    _require_group(await access.store.write(groups.remove, group_id=group_id, by=by))


async def change_members(
    access: Access, caller: Caller, group_id: str, *, added: Collection[str] = (), removed: Collection[str] = ()
) -> None:
    """Adds and removes these members; all others stay. Raises InvalidRequest for an added member who does not exist."""
    by = await require_admin(access, caller)
    if unknown := sorted(set(added) - set(await access.sign_in.roster.find_names(added))):
        raise InvalidRequest(f"There is no member {unknown[0]}.")
    change = access.store.write(groups.change_members, group_id=group_id, added=added, removed=removed, by=by)
    _require_group(await change)


def _require_group(is_there: bool) -> None:
    if not is_there:
        raise InvalidRequest("This group no longer exists.")
