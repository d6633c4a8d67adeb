"""Sharing: how owners share a flow, and how members ask for access to one. Changes act at everybody's next action.

Functions of owners raise NotSignedIn, FlowNotFound, and NotAllowed where the caller may not publish the flow. A request
for access reveals nothing before it is answered: unknown and forbidden flows are treated alike.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from flowground.access import Access
from flowground.core.caller import Caller
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed
from flowground.core.words import fold, has_words
from flowground.flows.parse import is_uuid
from flowground.flows.wiring import WiredFlow
from flowground.store import publications
from flowground.store.people import access_requests, groups
from flowground.store.people.access_requests import AccessRequest, LastAsked, SearchedWord
from flowground.store.publications import Publication, Sharing
from flowground.store.runs import usage
from flowground.store.sql import make_storable

SIGNED_OUT = "visitor"
SOMEBODY = "member"
"""A member who is in no group."""
Preview = Literal["opens", "nothing", "sign in"]
"""What a flow's address shows: the flow, the page of an unknown flow ("nothing"), or the sign-in form."""
_MOST_WORDS = 5
_ADDRESS_CHARS = 200


async def publish(access: Access, caller: Caller, address: str, *, is_shared: bool) -> None:
    """Turns the shareable playground on or off; its audience stays."""
    caller, wired = await access.open_to_publish(caller, address)
    await access.store.write(publications.set_shared, flow_id=wired.id, is_shared=is_shared, by=str(caller.owner))


async def read_sharing(access: Access, caller: Caller, address: str) -> Sharing:
    """How the flow is shared now."""
    _, wired = await access.open_to_publish(caller, address)
    return await access.store.read(publications.read_sharing, flow_id=wired.id)


async def share(access: Access, caller: Caller, address: str, sharing: Sharing) -> None:
    """Replaces the sharing of the flow.

    Raises NotAllowed for "public" where config.yaml does not allow it, InvalidRequest for added people
    and groups that do not exist, and for an expiry that has passed.
    """
    caller, wired = await access.open_to_publish(caller, address)
    before = await access.store.read(publications.read_sharing, flow_id=wired.id)
    await _check_sharing(access, sharing, before)
    await access.store.write(publications.change, flow_id=wired.id, sharing=sharing, by=str(caller.owner))


async def find_shared(access: Access, flow_id: str) -> tuple[Publication | None, tuple[int, int]]:
    """The flow's publication, None where it is not shared; and how many people and groups its audience names."""
    found = await access.store.read(publications.find, flow_id=flow_id)
    if found is None or not found.is_in_force:
        return None, (0, 0)
    named = await access.store.read(publications.count_names, flows=[flow_id]) if found.audience == "people" else {}
    return found, named.get(flow_id, (0, 0))


async def count_users(access: Access, caller: Caller, address: str, *, since: datetime) -> int:
    """How many people besides the caller have run the flow since then."""
    caller, wired = await access.open_to_publish(caller, address)
    owner = str(caller.owner)
    return await access.store.read(usage.count_people, flow_id=wired.id, since=since, besides=owner)


async def preview_as(access: Access, caller: Caller, address: str, who: str) -> Preview:
    """What the shareable playground shows to any member (`SOMEBODY`) or to somebody `SIGNED_OUT`."""
    await access.open_to_publish(caller, address)
    member = Caller("member", "", "member")
    viewer = await access.admit_visitor("preview", address) if who == SIGNED_OUT else member
    if viewer is None:
        return "sign in"
    try:
        await access.open_flow(viewer, address)
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


async def ask(access: Access, caller: Caller, address: str, note: str = "") -> None:
    """Stores a request for access, once, for the owners of a flow at this address, whether or not there is such a flow.

    Raises NotAllowed for callers who are no members, InvalidRequest for too many requests in a short time or waiting.
    """
    caller = await access.require_member(caller, says="Only members can ask for access.")
    wait = await access.sign_in.attempts.count_request(caller.id)
    if wait:
        raise InvalidRequest("You have just asked for access to several flows.", hint="Try again in a few minutes.")
    if len(address) > _ADDRESS_CHARS:
        raise InvalidRequest("No flow has so long an address.")
    if await access.find_open_to(caller, address) is not None:
        return
    asked = {"flow_id": _normalize_address(address), "member": caller.id}
    is_kept = await access.store.write(access_requests.ask, **asked, note=note.strip())
    if is_kept:
        return
    last = await access.store.read(access_requests.find_last, **asked)
    if last is None or last.is_denied:
        raise InvalidRequest("You wait for as many flows as one may.", hint="Ask again once some are answered.")


async def find_last(access: Access, caller: Caller, address: str) -> LastAsked | None:
    """This member's last request for the address, and its outcome.

    Only this address counts: that two addresses lead to one flow is hidden from callers who may not open it.
    """
    caller = await access.recheck(caller)
    if caller.kind != "member":
        return None
    return await access.store.read(access_requests.find_last, flow_id=_normalize_address(address), member=caller.id)


async def find_waiting(
    access: Access, caller: Caller, words: str = "", *, flow_id: str | None = None, limit: int = 25, offset: int = 0
) -> tuple[list[AccessRequest], int]:
    """A page of the requests for flows that the caller may publish (`flow_id`: only for that one), oldest first, and
    how many there are on all pages.

    With `words`, requests that have all of them in the note, the name of the member, or the flow's.
    """
    caller = await access.recheck(caller)
    every = access.catalogue.list_flows()
    asked = every.values() if flow_id is None else filter(None, [every.get(flow_id)])
    mine = [wired for wired in asked if access.may_publish(caller, wired)]
    if not mine:
        return [], 0
    searched = [
        SearchedWord(
            word, _list_addresses(wired for wired in mine if has_words(f"{wired.id} {wired.name}", [fold(word)]))
        )
        for word in words.split()[:_MOST_WORDS]
    ]
    flows = _list_addresses(mine)
    return await access.store.read(access_requests.find_page, flows=flows, words=searched, limit=limit, offset=offset)


def _list_addresses(flows: Iterable[WiredFlow]) -> list[str]:
    """The flows' ids and endpoint names: a request may use either."""
    return [address for wired in flows for address in (wired.id, wired.flow.api.endpoint_name) if address]


def _normalize_address(address: str) -> str:
    """The address as it is stored, in the form by which the catalogue finds flows."""
    return make_storable(address.lower() if is_uuid(address) else address)


async def approve(access: Access, caller: Caller, request_id: str) -> None:
    """Adds the person to the flow's audience. A flow that was not shared, or expired, is then shared with them alone.

    Raises InvalidRequest when the request was decided before, or the caller may not publish the flow.
    """
    caller, request, wired = await _find(access, caller, request_id)
    member = await access.sign_in.roster.find(request.member)
    if member is None or not member.is_active:
        raise InvalidRequest(f"{member.display_name if member else 'The person who asked'} is no longer active.")
    if not await access.store.write(
        access_requests.approve, request_id=request_id, flow_id=wired.id, by=str(caller.owner)
    ):
        raise _decided_error()


async def deny(access: Access, caller: Caller, request_id: str) -> None:
    """Denies the request; the person sees it. Raises like `approve`."""
    caller, *_ = await _find(access, caller, request_id)
    done = await access.store.write(
        access_requests.decide, request_id=request_id, is_approved=False, by=str(caller.owner)
    )
    if done is None:
        raise _decided_error()


async def _find(access: Access, caller: Caller, request_id: str) -> tuple[Caller, AccessRequest, WiredFlow]:
    caller = await access.recheck(caller)
    request = await access.store.read(access_requests.find_open, request_id=request_id)
    wired = access.catalogue.find(request.flow_id) if request else None
    # A caller who may not decide gets the error of a request that does not exist.
    if request is None or wired is None or not access.may_publish(caller, wired):
        raise _decided_error()
    return caller, request, wired


def _decided_error() -> InvalidRequest:
    return InvalidRequest("This request no longer exists.", hint="Somebody else may have decided it already.")
