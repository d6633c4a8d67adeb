"""The form for the first account, an admin, which ends local mode."""

import streamlit as st

from flowground.app import runtime
from flowground.ui.page.bridge import find_caller
from flowground.ui.shell import opening
from flowground.ui.sign_in.sign_in import render_first_account

caller = find_caller()
opening.require_allowed(caller is None or caller.kind == "local")

nothing_was_sent = runtime.get().settings.local_mode == "off"  # nobody could chat before

with st.container(horizontal_alignment="center"), st.container(width=440):
    st.space("small")
    st.title("Create the first account", anchor=False)
    keeps = " and stay signed in here" if nothing_was_sent else ", stay signed in here, and keep what you said so far"
    st.write(
        f"You become this server's admin{keeps}. From then on everybody signs in, and other computers may be served."
    )
    render_first_account(go_to="/")
