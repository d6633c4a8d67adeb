"""The organization's groups: made, found, filled, renamed, removed."""

from collections.abc import Sequence

import streamlit as st

from flowground.access import groups
from flowground.caller import Caller
from flowground.sign_in.roster import find_name
from flowground.store.people.groups import NAME_CHARS, Group
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.page.names import read_names
from flowground.ui.page.paging import PAGE, ListPage, draw_pages, draw_search, find_in_pages
from flowground.ui.people import draw_deed, draw_menu, memberships, open_row

_NAMED = 8


def draw_groups(caller: Caller) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with (
            st.form("groups:new", border=False, clear_on_submit=True, width="content"),
            st.container(horizontal=True, vertical_alignment="bottom"),
        ):
            name = st.text_input("New group", placeholder="Sales", max_chars=NAME_CHARS, key="groups:name", width=260)
            is_sent = st.form_submit_button("Create group", icon=":material/group_add:")
        st.space("stretch")
        searched = draw_search("groups", "Search groups")
    if is_sent:
        with failure.draw_refusals():
            bridge.ask(groups.add, caller, name)
    page, number = find_in_pages(
        "groups",
        searched,
        lambda offset: ListPage(*bridge.ask(groups.find_groups, caller, searched, limit=PAGE, offset=offset)),
    )
    ids = [group.id for group in page.shown]
    first = bridge.ask(groups.list_first_members, caller, ids, most=_NAMED)
    names = read_names({member for members in first.values() for member in members})
    for group in page.shown:
        _draw_row(group, [find_name(names, member) for member in first[group.id]])
    if not page.count:
        says = "A group lets you share flows with several people by one name."
        st.caption("No group by that name." if searched else says)
    draw_pages("groups", searched, page.count, number)


def _draw_row(group: Group, named: Sequence[str]) -> None:
    more = group.size - len(named)
    shown = ", ".join((*named, f"and {more:,} more") if more > 0 else named) or "Nobody yet"
    with open_row(f"groups:row:{group.id}", f"**{words.escape(group.name)}**", words.escape(shown)):
        is_edited = st.button("Edit", type="tertiary", key=f"groups:edit:{group.id}")
        chosen = draw_menu(["Remove"], key=f"groups:more:{group.id}")
    if is_edited:
        memberships.begin(f"group:{group.id}")
        _edit(group)
    elif chosen == "Remove":
        _remove(group)


@st.dialog("Group", on_dismiss="rerun")  # the page's list names who is in it now
def _edit(group: Group) -> None:
    with (
        st.form(f"groups:rename:{group.id}", border=False),
        st.container(horizontal=True, vertical_alignment="bottom", wrap=False),
    ):
        name = st.text_input("Name", group.name, max_chars=NAME_CHARS)
        is_sent = st.form_submit_button("Rename")
    if is_sent:
        bridge.change(groups.rename, require_visitor(), group.id, name)
    memberships.draw_members(group)


@st.dialog("Remove the group?")
def _remove(group: Group) -> None:
    st.write(f"Flows shared with **{words.escape(group.name)}** close for everyone who had access through it alone.")
    draw_deed("Remove", groups.remove, group.id, key=f"groups:remove:{group.id}")
