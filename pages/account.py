"""One's own account, for members."""

import streamlit as st

from flowground import runtime
from flowground.ui.page import bridge, words
from flowground.ui.page.caller import require_visitor
from flowground.ui.people import account
from flowground.ui.shell import opening

caller = require_visitor()
if caller.kind != "member":
    opening.draw_nothing_here()
    st.stop()
st.set_page_config(page_title="Account")
member = bridge.call(runtime.get().sign_in.roster.find(caller.name))
st.header(words.escape(member.display_name if member else caller.name), anchor=False)
st.markdown(f":gray[{words.escape(caller.name)} · {caller.role.capitalize()}]")
st.subheader("Password", anchor=False)
account.draw_password(caller)
st.subheader("Where you are signed in", anchor=False)
account.draw_sign_ins(caller)
st.subheader("Application tokens", anchor=False)
account.draw_tokens(caller)
st.subheader("Your data", anchor=False)
account.draw_data()
