"""What somebody's home page shows: flows they may open, how those are shared, and their recent chats."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flowground.access import Access
from flowground.core.caller import Caller
from flowground.flows.wiring import WiredFlow
from flowground.store import publications
from flowground.store.publications import Publication
from flowground.store.runs import session_lists
from flowground.store.runs.session_lists import ListedSession

_FLOWS_OF_RECENT = 6
"""Flows, those used last, in which the newest conversations are searched, at least."""
_FOUND_A_FLOW = 5
_MOST_FOUND = 20
"""Conversations that a search returns, of all flows together."""


@dataclass(frozen=True, slots=True)
class OpenFlows:
    """The flows that a caller may open, in the catalogue's order.

    `shared` has the publications of shared flows by id; it is empty for callers who do not see the inside of flows.
    `last_used` maps flow ids to the time of the caller's newest message, the most recent first.
    """

    flows: Sequence[WiredFlow]
    shared: Mapping[str, Publication]
    last_used: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class CardFacts:
    """People on the cards of one page: `names` of owners by member id; `named`, by flow id, how many people and groups
    its audience names."""

    names: Mapping[str, str]
    named: Mapping[str, tuple[int, int]]


async def find_open(access: Access, caller: Caller) -> OpenFlows:
    """The flows that the caller may open; the number of queries does not depend on the number of flows."""
    flows = await access.list_flows(caller)
    shared: Mapping[str, Publication] = {}
    if caller.sees_inside:
        found = await access.store.read(publications.list_publications)
        shared = {item.flow_id: item for item in found if item.is_in_force}
    return OpenFlows(flows, shared, await access.store.read(session_lists.list_last_used, owner=str(caller.owner)))


async def find_facts(access: Access, flows: Collection[WiredFlow], shared: Mapping[str, Publication]) -> CardFacts:
    """The facts about people for the flows of one page; `shared` as in `OpenFlows`."""
    owners = {owner for wired in flows for owner in wired.flow.owners or ()}
    names = await access.sign_in.roster.find_names(owners) if owners else {}
    chosen = [wired.id for wired in flows if wired.id in shared and shared[wired.id].audience == "people"]
    named = await access.store.read(publications.count_names, flows=chosen) if chosen else {}
    return CardFacts(names, named)


async def find_recent(access: Access, caller: Caller, found: OpenFlows, *, limit: int) -> list[ListedSession]:
    """The caller's conversations with flows that they may open: `limit` pinned ones, then `limit` of the newest."""
    is_open = {wired.id for wired in found.flows}
    used = [flow for flow in found.last_used if flow in is_open]
    if not used:
        return []
    owner, last = str(caller.owner), used[: max(limit, _FLOWS_OF_RECENT)]
    pinned = await access.store.read(session_lists.list_pinned, owner=owner, flows=used, limit=limit)
    return pinned + await access.store.read(session_lists.list_recent, owner=owner, flows=last, limit=limit)


async def search_chats(
    access: Access, caller: Caller, *, words: str, without: str = ""
) -> tuple[list[ListedSession], bool]:
    """The caller's newest conversations that contain these words, in flows that they may open but `without`; and
    whether these are all. Flows used last are searched first, each for half of the time that is left."""
    until = time.monotonic() + session_lists.SEARCH_SECONDS
    owner, found, is_whole = str(caller.owner), list[ListedSession](), True
    is_open = {wired.id for wired in await access.list_flows(caller)} - {without}
    for flow in await access.store.read(session_lists.list_last_used, owner=owner):
        if flow not in is_open:
            continue
        if (left := until - time.monotonic()) <= 0:
            is_whole = False
            break
        page = await access.store.read(
            session_lists.search, flow_id=flow, owner=owner, words=words, limit=_FOUND_A_FLOW, seconds=left / 2
        )
        is_whole = is_whole and page.end is None
        found += page.sessions
    found.sort(key=lambda one: one.updated_at, reverse=True)
    return found[:_MOST_FOUND], is_whole and len(found) <= _MOST_FOUND
