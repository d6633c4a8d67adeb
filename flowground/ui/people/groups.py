"""The organization's groups: create, find, fill, rename, remove; and the groups of one person.

Members of a group, and groups of a person, are searched and paged. Each press adds or removes one membership and
changes nothing else, so that two admins who edit at once do not undo each other's changes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from flowground.access import groups, people
from flowground.access.roster import find_name
from flowground.core.caller import Caller
from flowground.store.people.groups import NAME_CHARS, Group
from flowground.store.people.members import Member
from flowground.ui.page import bridge, words
from flowground.ui.page.bridge import bind_to_caller, require_caller
from flowground.ui.page.names import find_people, name_people, name_person, read_names
from flowground.ui.page.parts import NamedPage, find_in_pages, render_action, render_list, render_pages, render_search
from flowground.ui.people import open_row, render_menu, render_submit

_ROWS = 8
_MOST_OFFERED = 6
_REFUSED = "memberships:refused"

_MOST_NAMED = 8


def render_groups(caller: Caller) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with (
            st.form("groups:new", border=False, clear_on_submit=True, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            name = st.text_input("New group", placeholder="Sales", max_chars=NAME_CHARS, key="groups:name", width=260)
            is_sent = st.form_submit_button("Create group", icon=":material/group_add:")
        st.space("stretch")
        render_search("groups", "Search groups")
    if is_sent:
        with bridge.render_refusals():
            bridge.ask(groups.add, caller, name)

    def render(found: Sequence[Group]) -> None:
        ids = [group.id for group in found]
        first = bridge.ask(groups.list_first_members, caller, ids, most=_MOST_NAMED)
        names = read_names({member for members in first.values() for member in members})
        for group in found:
            _render_row(group, [find_name(names, member) for member in first[group.id]])

    empty = "A group lets you share flows with several people by one name."
    render_list("groups", "", groups.find_groups, caller, render, empty=empty)


def _render_row(group: Group, named: Sequence[str]) -> None:
    more = group.size - len(named)
    shown = ", ".join((*named, f"and {more:,} more") if more > 0 else named) or "Nobody yet"
    with open_row(f"groups:row:{group.id}", f"**{words.escape(group.name)}**", words.escape(shown)):
        is_edited = st.button("Edit", type="tertiary", key=f"groups:edit:{group.id}")
        chosen = render_menu(["Remove"], key=f"groups:more:{group.id}")
    if is_edited:
        _edit(group)
    elif chosen == "Remove":
        _remove(group)


@st.dialog("Group", on_dismiss="rerun")  # the page's list then has the new members
def _edit(group: Group) -> None:
    with (
        st.form(f"groups:rename:{group.id}", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", wrap=False),
    ):
        name = st.text_input("Name", group.name, max_chars=NAME_CHARS)
        is_sent = st.form_submit_button("Rename")
    if is_sent:
        bridge.change(groups.rename, require_caller(), group.id, name)
    render_members(group)


@st.dialog("Remove the group?")
def _remove(group: Group) -> None:
    st.write(f"Flows shared with **{words.escape(group.name)}** close for everyone who had access through it alone.")
    render_submit("Remove", groups.remove, group.id, key=f"groups:remove:{group.id}")


def render_members(group: Group) -> None:
    """The people of a group, and a search for others."""
    caller = require_caller()

    def find_inside(searched: str, offset: int) -> NamedPage:
        ids, count = bridge.ask(people.find_group_members, caller, group.id, words=searched, limit=_ROWS, offset=offset)
        known = name_people(caller, ids)
        return [(key, find_name(known, key)) for key in ids], count

    def find_outside(searched: str) -> NamedPage:
        return find_people(caller, searched, not_in=group.id, limit=_MOST_OFFERED)

    def change(member: str, is_added: bool) -> None:
        _change(caller, group.id, member, is_added)

    says = ("Search people", "In the group", "Nobody yet", "Add people")
    _render_sides(f"group:{group.id}", says, find_inside, find_outside, change)


@st.dialog("Groups", on_dismiss="rerun")
def choose_groups(member: Member) -> None:
    """The groups of a person, and a search for others."""
    caller = require_caller()

    def find(searched: str, offset: int = 0, **which: Any) -> NamedPage:
        found, count = bridge.ask(groups.find_groups, caller, words=searched, offset=offset, **which)
        return [(group.id, group.name) for group in found], count

    def change(group_id: str, is_added: bool) -> None:
        _change(caller, group_id, member.id, is_added)

    st.markdown(f"**{words.escape(name_person(member))}**")
    inside = partial(find, having=member.id, limit=_ROWS)
    outside = partial(find, lacking=member.id, limit=_MOST_OFFERED)
    says = ("Search groups", "In these groups", "None yet", "Add to a group")
    _render_sides(f"person:{member.id}", says, inside, outside, change)


@bind_to_caller
def _change(caller: Caller, group_id: str, member: str, is_added: bool) -> None:
    with bridge.keep_refusals(_REFUSED):
        changed = {"added": [member]} if is_added else {"removed": [member]}
        bridge.ask(groups.change_members, caller, group_id, **changed)


def _render_sides(
    name: str,
    says: tuple[str, str, str, str],
    find_inside: Callable[[str, int], NamedPage],
    find_outside: Callable[[str], NamedPage],
    change: Callable[[str, bool], None],
) -> None:
    """Two lists: present memberships, by the searched text and an offset, and what may be added, by the text; a press
    calls `change(id, is_added)`. It `says` what is searched, the title of the first list and what stands there if it is
    empty, and the title of the second."""
    search, title, empty, other_title = says
    searched = render_search(name, search, width="stretch")
    bridge.render_kept(_REFUSED)
    inside, count, number = find_in_pages(name, searched, partial(find_inside, searched), size=_ROWS)
    outside, found = find_outside(searched)
    if searched and not count and not found:
        st.caption("No results.")
        return
    if found:
        st.markdown(f"**{other_title}**")
        with st.container(horizontal=True, gap="xsmall", key="memberships:outside"):
            for key, label in outside:
                shown, place = words.escape(label), f"memberships:add:{key}"
                render_action(shown, change, key, True, key=place, icon="add", kind="secondary")
        if more := found - len(outside):
            st.caption(f"and {more:,} more: {'write more of the name' if searched else 'search for them'}")
    st.markdown(f"**{title}**" + (f" :gray[{count:,}]" if count else ""))
    if not count:
        st.caption("No results" if searched else empty)
    with st.container(key="memberships:inside", gap=None):
        for key, label in inside:
            with st.container(horizontal=True, vertical_alignment="center", wrap=False, key=f"memberships:{key}"):
                st.markdown(words.escape(label), width="stretch")
                render_action("Remove", change, key, False, key=f"memberships:remove:{key}")
    render_pages(name, searched, count, number, size=_ROWS)
