"""Everyone of the organization, and what an admin does with one of them."""

from collections.abc import Sequence

import streamlit as st

from flowground.access import people
from flowground.caller import Caller
from flowground.store.people.groups import Group
from flowground.store.people.members import Member
from flowground.store.people.password_links import PasswordLink
from flowground.ui.page import bridge, browser, words
from flowground.ui.people import person

_SHOWN = 100
_SEARCH_FROM = 8


def draw_people(caller: Caller) -> None:
    """The list, and the way to invite somebody."""
    members = bridge.ask(people.list_members, caller)
    groups = bridge.ask(people.list_groups, caller)
    links = {link.member: link for link in bridge.ask(people.list_links, caller)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if st.button("Invite somebody", type="primary", icon=":material/person_add:", key="people:invite"):
            person.invite()
        st.space("stretch")
        searched = ""
        if len(members) >= _SEARCH_FROM:
            searched = st.text_input(
                "Search", placeholder="Search", label_visibility="collapsed", key="people:search", width=220
            )
    found = [member for member in members if _fits(member, searched)]
    for member in found[:_SHOWN]:
        _draw_row(caller, member, groups, links.get(member.name))
    if len(found) > _SHOWN:
        st.caption(f"and {len(found) - _SHOWN} more: search for them")
    if not found:
        st.caption("Nobody of this name.")


def _fits(member: Member, searched: str) -> bool:
    return searched.strip().casefold() in f"{member.name} {member.display_name} {member.email or ''}".casefold()


def _draw_row(caller: Caller, member: Member, groups: Sequence[Group], link: PasswordLink | None) -> None:
    mine = [group.name for group in groups if member.name in group.members]
    with (
        st.container(border=True, key=f"people:row:{member.name}"),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        you = " :gray[(you)]" if caller.name == member.name else ""
        facts = words.line(
            (
                member.name if member.name != member.display_name else "",
                member.role.capitalize(),
                ", ".join(mine),
                _state(member, link),
            )
        )
        shown = words.plain(member.display_name)
        shown = f"**{shown}**" if member.active else f":gray[{shown}]"
        st.markdown(f"{shown}{you}  \n:small[:gray[{words.plain(facts)}]]", width="stretch")
        chosen = st.menu_button(
            "More", _deeds(member, link), key=f"people:more:{member.name}", type="tertiary", width="content"
        )
    if chosen:
        person.DEEDS[chosen](member)


def _state(member: Member, link: PasswordLink | None) -> str:
    if not member.active:
        return "deactivated"
    until = f", link good until {browser.write_day(link.expires_at)}" if link else ""
    if not member.has_password:
        return f"invited{until or ', no good link'}"
    return f"reset{until}" if link else ""


def _deeds(member: Member, link: PasswordLink | None) -> tuple[str, ...]:
    """What may be done with this member; what stands in config.yaml is changed there."""
    stored = member.source == "database"
    return tuple(
        word
        for word, offered in (
            (person.ROLE, stored),
            (person.GROUPS, True),
            (person.LINK, member.active),
            (person.WITHDRAW, link is not None),
            (person.SIGN_INS, True),
            (person.DEACTIVATE, stored and member.active),
            (person.ACTIVATE, stored and not member.active),
            (person.REMOVE, stored),
        )
        if offered
    )
