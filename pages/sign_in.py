"""The sign-in page, at every address for who is not signed in."""

import streamlit as st

from flowground.ui.page.bridge import was_member
from flowground.ui.shell import navigation
from flowground.ui.sign_in.sign_in import render_sign_in

# After a sign-out the page still has a sidebar, which is empty.
st.html('<style>[data-testid="stSidebar"], [data-testid="stExpandSidebarButton"] { display: none; }</style>')
with st.container(horizontal_alignment="center"), st.container(width=400):
    st.space("medium")
    if was_member():
        st.info("You were signed out.", icon=":material/logout:")
    render_sign_in()
    navigation.render_links()
