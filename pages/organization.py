"""People and groups, for admins."""

import streamlit as st

from flowground import runtime
from flowground.ui.page import words
from flowground.ui.page.caller import require_visitor
from flowground.ui.people import groups, people
from flowground.ui.shell import access_requests, opening

caller = require_visitor()
opening.require_allowed(caller.kind == "member" and caller.role == "admin")
st.set_page_config(page_title="Organization")
st.header(words.escape(runtime.get().settings.organization.name), anchor=False)
asking = access_requests.list_waiting(caller)
if asking:
    st.subheader("Access requests", anchor=False)
    access_requests.draw_requests(caller, asking, place="organization")
people_tab, groups_tab = st.tabs(["People", "Groups"], key="organization:tab", on_change="rerun")
if people_tab.open:
    with people_tab:
        people.draw_people(caller)
if groups_tab.open:
    with groups_tab:
        groups.draw_groups(caller)
