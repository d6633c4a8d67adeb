"""The organization's groups: made, filled, renamed, removed."""

from collections.abc import Mapping, Sequence

import streamlit as st

from flowground.access import Access, people
from flowground.caller import Caller
from flowground.sign_in.roster import find_name
from flowground.store.people.groups import NAME_CHARS, Group
from flowground.store.people.members import Member
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.page.names import name_person, read_names
from flowground.ui.people import draw_deed, draw_menu, open_row

_NAMED = 8


def draw_groups(caller: Caller) -> None:
    with (
        st.form("groups:new", border=False, clear_on_submit=True),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        name = st.text_input("New group", placeholder="Sales", max_chars=NAME_CHARS, key="groups:name", width=260)
        is_sent = st.form_submit_button("Make it", icon=":material/group_add:")
    if is_sent:
        with failure.draw_refusals():
            bridge.ask(people.add_group, caller, name)
    found = bridge.ask(people.list_groups, caller)
    if not found:
        st.caption("A group lets you share flows with several people by one name.")
    first = {member for group in found for member in group.members[:_NAMED]}
    names = read_names(first)
    for group in found:
        _draw_row(group, names)


def _draw_row(group: Group, names: Mapping[str, str]) -> None:
    named = [find_name(names, member) for member in group.members[:_NAMED]]
    if len(group.members) > _NAMED:
        named.append(f"and {len(group.members) - _NAMED:,} more")
    shown = ", ".join(named) or "Nobody yet"
    with open_row(f"groups:row:{group.id}", f"**{words.escape(group.name)}**", words.escape(shown)):
        chosen = draw_menu(("Edit", "Remove"), key=f"groups:more:{group.id}")
    if chosen == "Edit":
        _edit(group, bridge.ask(people.list_members, require_visitor()))
    elif chosen == "Remove":
        _remove(group)


@st.dialog("Group", on_dismiss="rerun")  # Streamlit forgets then what was chosen and not saved
def _edit(group: Group, members: Sequence[Member]) -> None:
    names = {member.id: name_person(member) for member in members}
    with st.form(f"groups:edit:{group.id}", border=False):
        name = st.text_input("Name", group.name, max_chars=NAME_CHARS)
        chosen = st.multiselect(
            "People",
            sorted(names.keys() | set(group.members), key=lambda key: find_name(names, key)),
            default=list(group.members),
            format_func=lambda key: find_name(names, key),
            placeholder="Choose people",
        )
        is_sent = st.form_submit_button("Save", type="primary")
    if not is_sent:
        return

    async def save(access: Access, caller: Caller) -> None:
        if name != group.name:
            await people.rename_group(access, caller, group.id, name)
        await people.set_group_members(access, caller, group.id, chosen)

    bridge.change(save, require_visitor())


@st.dialog("Remove the group?")
def _remove(group: Group) -> None:
    st.write(f"Flows shared with **{words.escape(group.name)}** close for everyone who had access through it alone.")
    draw_deed("Remove", people.remove_group, group.id, key=f"groups:remove:{group.id}")
