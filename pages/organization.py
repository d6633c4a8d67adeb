"""People, groups and tokens, for admins."""

import streamlit as st

from flowground.ui.page.bridge import require_caller
from flowground.ui.page.parts import PAGE
from flowground.ui.people import account, groups, people
from flowground.ui.shell import access_requests, opening

caller = require_caller()
opening.require_allowed(caller.kind == "member" and caller.role == "admin")
st.set_page_config(page_title="Organization")
st.title("Organization", anchor=False)
access_requests.render_section(caller, place="organization", size=PAGE)
people_tab, groups_tab, tokens_tab = st.tabs(["People", "Groups", "Tokens"], key="organization:tab", on_change="rerun")
if people_tab.open:
    with people_tab:
        people.render_people(caller)
if groups_tab.open:
    with groups_tab:
        groups.render_groups(caller)
if tokens_tab.open:
    with tokens_tab:
        account.render_all_tokens(caller)
