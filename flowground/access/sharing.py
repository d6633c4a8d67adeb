"""With whom its owners share a flow. What they change acts at everybody's next action.

Every function that is given a caller raises NotSignedIn, FlowNotFound, and NotAllowed where they may not publish.
"""

from datetime import datetime
from typing import Literal

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import FlowNotFound, InvalidRequest, NotAllowed
from flowground.store.flows import publications
from flowground.store.flows.publications import Publication, Sharing
from flowground.store.people import groups
from flowground.store.runs import usage

SIGNED_OUT = "visitor"
SOMEBODY = "member"
"""Any member, in no group."""


Seen = Literal["opens", "nothing", "sign in"]
"""What somebody meets at a flow's address: "nothing" is the page of an unknown flow, "sign in" the sign-in form."""


async def publish(access: Access, caller: Caller, address: str, *, is_shared: bool) -> None:
    """Turns the shareable playground on or off; its audience stays."""
    caller, wired = await access.open_to_publish(caller, address)
    await access.store.write(publications.set_shared, flow_id=wired.id, is_shared=is_shared, by=str(caller.owner))


async def read_sharing(access: Access, caller: Caller, address: str) -> Sharing:
    """How the flow is shared now."""
    _, wired = await access.open_to_publish(caller, address)
    return await access.store.read(publications.read_sharing, flow_id=wired.id)


async def share(access: Access, caller: Caller, address: str, sharing: Sharing) -> None:
    """Says anew with whom the flow is shared.

    Raises NotAllowed for "public" where config.yaml does not allow it, InvalidRequest for people and groups that are
    added and not there, and for an expiry that has passed.
    """
    caller, wired = await access.open_to_publish(caller, address)
    before = await access.store.read(publications.read_sharing, flow_id=wired.id)
    await _check_sharing(access, sharing, before)
    await access.store.write(publications.change, flow_id=wired.id, sharing=sharing, by=str(caller.owner))


async def find_shared(access: Access, flow_id: str) -> tuple[Publication | None, tuple[int, int]]:
    """How the flow is shared now, None where it is not; and how many people and groups are named then."""
    found = await access.store.read(publications.find, flow_id=flow_id)
    if found is None or not found.is_in_force:
        return None, (0, 0)
    if found.audience != "people":
        return found, (0, 0)
    named = await access.store.read(publications.count_names, flows=[flow_id])
    return found, named.get(flow_id, (0, 0))


async def count_users(access: Access, caller: Caller, address: str, *, since: datetime) -> int:
    """How many besides the caller have run the flow since then."""
    caller, wired = await access.open_to_publish(caller, address)
    owner = str(caller.owner)
    return await access.store.read(usage.count_people, flow_id=wired.id, since=since, besides=owner)


async def look_as(access: Access, caller: Caller, address: str, who: str) -> Seen:
    """The shareable playground as a member (`SOMEBODY`) or somebody `SIGNED_OUT` meets it: the same questions, asked
    for a stand-in."""
    await access.open_to_publish(caller, address)
    member = Caller("member", "", "member")
    stand_in = await access.admit_visitor("preview", address) if who == SIGNED_OUT else member
    if stand_in is None:
        return "sign in"
    try:
        await access.open_flow(stand_in, address)
    except FlowNotFound:
        return "nothing"
    return "opens"


async def _check_sharing(access: Access, sharing: Sharing, before: Sharing) -> None:
    if sharing.audience == "public" and not access.allow_public:
        raise NotAllowed("Sharing without sign-in is not allowed here.", hint="config.yaml: sharing.allow_public")
    if sharing.is_shared and sharing.is_expired:
        raise InvalidRequest("The expiry date is in the past.")
    added = sharing.members - before.members
    if unknown := sorted(added - set(await access.sign_in.roster.find_names(added))):
        raise InvalidRequest(f"There is no member {unknown[0]}.")
    new = sharing.groups - before.groups
    if len(await access.store.read(groups.list_by_ids, ids=new)) < len(new):
        raise InvalidRequest("One of these groups no longer exists.")
