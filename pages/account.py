"""One's own account, for members."""

import streamlit as st

from flowground.ui.chat.chat_menu import render_own_links
from flowground.ui.page import parts
from flowground.ui.page.bridge import require_caller
from flowground.ui.people import account
from flowground.ui.shell import opening

caller = require_caller()
opening.require_allowed(caller.kind == "member")
st.set_page_config(page_title="Account")
account.render_names(caller)
st.header("Password", anchor=False)
account.render_password(caller)
st.header("Where you are signed in", anchor=False)
account.render_sign_ins(caller)
st.header("Application tokens", anchor=False)
account.render_tokens(caller)
st.header("Files", anchor=False)
account.render_files(caller)
st.header("Shared chats", anchor=False)
render_own_links(caller)
parts.render_left(caller)
st.header("Your data", anchor=False)
account.render_data()
