"""The end of local mode: the first account, an admin."""

import streamlit as st

from flowground.ui.sign_in import first_account_form

with st.container(horizontal_alignment="center"), st.container(width=440):
    st.space("small")
    st.header("Create the first account", anchor=False)
    st.write(
        "You become this server's admin, stay signed in here, and keep what you said so far. From then on everybody "
        "signs in, and other computers may be served."
    )
    first_account_form(go_to="/")
