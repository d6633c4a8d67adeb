"""One's own account, for members."""

import streamlit as st

from flowground.ui.page import words
from flowground.ui.page.caller import find_display_name, require_visitor
from flowground.ui.people import account
from flowground.ui.shell import opening

caller = require_visitor()
opening.require_allowed(caller.kind == "member")
st.set_page_config(page_title="Account")
st.header(words.escape(find_display_name(caller.name)), anchor=False)
st.markdown(f":gray[{words.escape(caller.name)} · {caller.role.capitalize()}]")
st.subheader("Password", anchor=False)
account.draw_password(caller)
st.subheader("Where you are signed in", anchor=False)
account.draw_sign_ins(caller)
st.subheader("Application tokens", anchor=False)
account.draw_tokens(caller)
st.subheader("Your data", anchor=False)
account.draw_data()
