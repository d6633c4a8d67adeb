"""The form for the owner code, at every address while `local_mode: link` waits for it."""

import streamlit as st

from flowground.ui.sign_in.sign_in import ask_owner_code, enter_as_owner

with st.container(horizontal_alignment="center"), st.container(width=440):
    st.space("medium")
    st.title("Open the link of the terminal", anchor=False)
    if ask_owner_code(says="Flowground printed it when it started. Or give the owner code that stands beside it:"):
        enter_as_owner()
