"""How people are named on pages: the store has ids, and names are looked up each time a page is rendered."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from flowground.access import people
from flowground.access.roster import find_name
from flowground.app import runtime
from flowground.core.caller import Caller
from flowground.core.errors import FlowgroundError
from flowground.store.people.members import Member
from flowground.ui.page import bridge
from flowground.ui.page.parts import NamedPage


def name_person(member: Member) -> str:
    """ "Grace Hopper (grace)", or the name alone."""
    return member.name if member.display_name == member.name else f"{member.display_name} ({member.name})"


def find_people(caller: Caller, searched: str, **which: Any) -> NamedPage:
    """As the function of flowground/access, by whole names."""
    found, count = bridge.ask(people.find_people, caller, words=searched, **which)
    return [(one.id, name_person(one)) for one in found], count


def name_people(caller: Caller, ids: Collection[str]) -> Mapping[str, str]:
    """The whole names of those with these ids who exist."""
    return {one.id: name_person(one) for one in bridge.ask(people.list_people, caller, ids)}


def read_names(members: Collection[str]) -> Mapping[str, str]:
    """Display names by id, for `find_name`, in one read for a whole list; empty if the roster cannot be read."""
    with suppress(FlowgroundError):
        return bridge.call(runtime.get().sign_in.roster.find_names(members)) if members else {}
    return {}


def find_display_name(member: str) -> str:
    """The name of the member with this id that colleagues see."""
    return find_name(read_names([member]), member)
