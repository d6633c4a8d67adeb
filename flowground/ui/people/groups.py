"""The organization's groups: made, filled, renamed, removed."""

from collections.abc import Sequence

import streamlit as st

from flowground.access import Access, people
from flowground.caller import Caller
from flowground.store.people.groups import NAME_CHARS, Group
from flowground.store.people.members import Member
from flowground.ui.page import bridge, failure, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.people import draw_deed, draw_menu, open_row
from flowground.ui.publish import sharing


def draw_groups(caller: Caller) -> None:
    members = bridge.ask(people.list_members, caller)
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
        st.caption("A group is a handful of people with whom flows are shared by one name.")
    for group in found:
        _draw_row(group, members)


def _draw_row(group: Group, members: Sequence[Member]) -> None:
    names = {member.name: member.display_name for member in members}
    shown = ", ".join(names.get(name, name) for name in group.members) or "Nobody yet"
    with open_row(f"groups:row:{group.id}", f"**{words.escape(group.name)}**", words.escape(shown)):
        chosen = draw_menu(("Edit", "Remove"), key=f"groups:more:{group.id}")
    if chosen == "Edit":
        _edit(group, members)
    elif chosen == "Remove":
        _remove(group)


@st.dialog("Group", on_dismiss="rerun")  # Streamlit forgets then what was chosen and not saved
def _edit(group: Group, members: Sequence[Member]) -> None:
    by_name = {member.name: member for member in members}
    with st.form(f"groups:edit:{group.id}", border=False):
        name = st.text_input("Name", group.name, max_chars=NAME_CHARS)
        chosen = st.multiselect(
            "People",
            sorted(by_name.keys() | set(group.members)),
            default=list(group.members),
            format_func=lambda key: sharing.name_person(by_name[key]) if key in by_name else key,
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
    st.write(f"Flows shared with **{words.escape(group.name)}** close to who was let in by it alone.")
    draw_deed("Remove", people.remove_group, group.id, key=f"groups:remove:{group.id}")
