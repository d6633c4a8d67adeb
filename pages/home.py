"""The gallery: every flow this person may open."""

import streamlit as st

from flowground.app import runtime
from flowground.ui.page import words
from flowground.ui.page.bridge import require_caller
from flowground.ui.shell import access_requests, gallery, new_flow

caller = require_caller()
st.set_page_config(page_title="Flows")
catalogue = runtime.get().catalogue
with st.container(horizontal=True, vertical_alignment="center", key="home:head"):
    st.title(words.escape(runtime.get().settings.organization.name), anchor=False, width="stretch")
    if catalogue.list_flows() or catalogue.list_problems():
        new_flow.render_button(caller)
access_requests.render_section(caller, place="home")
gallery.render_gallery()
