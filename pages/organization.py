"""People, groups and what runs now, for admins."""

import streamlit as st

from flowground.ui.page.caller import require_visitor
from flowground.ui.page.paging import PAGE
from flowground.ui.people import groups, people, running_now, tokens_of_all
from flowground.ui.shell import access_requests, opening

caller = require_visitor()
opening.require_allowed(caller.kind == "member" and caller.role == "admin")
st.set_page_config(page_title="Organization")
st.title("Organization", anchor=False)
access_requests.draw_section(caller, place="organization", size=PAGE)
people_tab, groups_tab, tokens_tab, now_tab = st.tabs(
    ["People", "Groups", "Tokens", "Active runs"], key="organization:tab", on_change="rerun"
)
if people_tab.open:
    with people_tab:
        people.draw_people(caller)
if groups_tab.open:
    with groups_tab:
        groups.draw_groups(caller)
if tokens_tab.open:
    with tokens_tab:
        tokens_of_all.draw_all_tokens(caller)
if now_tab.open:
    with now_tab:
        running_now.draw_now(caller)
