"""Whom a flow is shared with by name: people found by a word and shown as chips, groups, and how many that makes.

Nothing here grows with the organization: of many people only those are drawn who were chosen or found.
"""

import streamlit as st

from flowground.access import member_lists
from flowground.access.member_lists import FoundPeople
from flowground.caller import Caller
from flowground.sign_in.roster import find_name
from flowground.store.flows.publications import Sharing
from flowground.store.people.members import Member
from flowground.ui.page import bridge, words
from flowground.ui.page.names import name_person
from flowground.wiring import WiredFlow

_OFFERED = 100
"""So many people are offered in the field itself; of more, one searches."""
_FOUND = 6
_CHIPS = 200
_SHOWN = 20
_SEARCHED_CHARS = 100


def draw_names(caller: Caller, wired: WiredFlow, draft: Sharing) -> tuple[frozenset[str], frozenset[str]]:
    """The people and groups that are chosen, by id."""
    return _draw_people(caller, wired, draft), _draw_groups(caller, wired, draft)


def _draw_people(caller: Caller, wired: WiredFlow, draft: Sharing) -> frozenset[str]:
    """Authors and admins need not be named; who was named before stays until taken out."""
    key = f"sharing:people:{wired.id}"
    chosen = [str(one) for one in st.session_state.get(key, sorted(draft.members))]
    offered = bridge.ask(member_lists.find_people, caller, is_member_only=True, limit=_OFFERED)
    is_searched = offered.count > _OFFERED
    if is_searched:
        _draw_search(caller, wired, key, chosen)
    if len(chosen) > _CHIPS:
        st.caption(f"{len(chosen):,} people are chosen. A group is easier to keep than so many names.")
        return frozenset(chosen)
    known = {member.id: member for member in bridge.ask(member_lists.list_people, caller, chosen)}
    if not is_searched:
        known |= {member.id: member for member in offered.shown}
    names = {member.id: name_person(member) for member in known.values()}
    options = sorted({*names, *chosen}, key=lambda one: find_name(names, one))
    if key not in st.session_state:
        st.session_state[key] = [one for one in options if one in draft.members]
    picked = st.multiselect(
        "People",
        options,
        format_func=lambda one: find_name(names, one),
        key=key,
        placeholder="Nobody is chosen yet" if is_searched else "Choose people",
    )
    return frozenset(picked)


def _draw_search(caller: Caller, wired: WiredFlow, key: str, chosen: list[str]) -> None:
    """A field for a name; who is found is one press away from the chosen ones."""
    searched = st.text_input(
        "Find people",
        key=f"sharing:find:{wired.id}",
        type="search",
        icon=":material/search:",
        placeholder="A name or an address",
        max_chars=_SEARCHED_CHARS,
        live=True,
    )
    searched = (searched or "")[:_SEARCHED_CHARS].strip()
    if not searched:
        return
    found = bridge.ask(member_lists.find_people, caller, searched, is_member_only=True, limit=_FOUND)
    if not found.count:
        st.caption("Nobody by that name. Authors and admins need not be chosen: they open every flow.")
    with st.container(horizontal=True, gap="xsmall", key="sharing:found"):
        for member in found.shown:
            st.button(
                words.escape(name_person(member)),
                icon=":material/check:" if member.id in chosen else ":material/add:",
                disabled=member.id in chosen,
                key=f"sharing:add:{member.id}",
                on_click=_add,
                args=(key, [*chosen, member.id]),
            )
    if found.count > len(found.shown):
        st.caption(f"and {found.count - len(found.shown):,} more: write more of the name")


def _add(key: str, chosen: list[str]) -> None:
    st.session_state[key] = chosen


def _draw_groups(caller: Caller, wired: WiredFlow, draft: Sharing) -> frozenset[str]:
    groups = {group.id: group for group in bridge.ask(member_lists.list_group_sizes, caller)}
    if not groups:
        return frozenset()
    chosen = st.multiselect(
        "Groups",
        list(groups),
        default=[key for key in groups if key in draft.groups],
        format_func=lambda key: f"{groups[key].name} ({groups[key].size:,})",
        key=f"sharing:groups:{wired.id}",
        placeholder="Choose groups",
    )
    return frozenset(chosen)


def draw_openers(draft: Sharing) -> None:
    """How many people can open it like this; opened, the first of them."""
    found = bridge.ask(member_lists.find_who_may_open, draft, limit=_SHOWN)
    who = "Anybody" if draft.audience == "public" else words.count(found.count, "person", "people")
    label = f"{who} can open it, once saved"
    with st.expander(label, key="sharing:resolved", icon=":material/visibility:", on_change="rerun") as opened:
        if opened.open:
            _draw_found(found, draft)


def _draw_found(found: FoundPeople, draft: Sharing) -> None:
    for member in found.shown:
        st.markdown(f"{words.escape(name_person(member))} :small[:gray[{_write_reason(member, draft)}]]")
    if found.count > len(found.shown):
        st.caption(f"and {found.count - len(found.shown):,} more")


def _write_reason(member: Member, draft: Sharing) -> str:
    if member.role != "member":
        return f"{member.role}, always"
    if draft.audience != "people":
        return "everyone"
    return "chosen" if member.id in draft.members else "in a chosen group"
