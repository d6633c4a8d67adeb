"""The gallery: every flow this person may open."""

import streamlit as st

from flowground import runtime
from flowground.ui.page import words
from flowground.ui.page.caller import require_visitor
from flowground.ui.shell import access_requests, gallery

caller = require_visitor()
st.header(words.escape(runtime.get().settings.organization.name), anchor=False)
access_requests.draw_requests(caller, access_requests.list_waiting(caller), place="home")
gallery.draw_gallery(caller)
