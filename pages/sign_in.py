"""What every address shows to a visitor who is not signed in."""

import streamlit as st

from flowground import runtime
from flowground.ui.shell import branding
from flowground.ui.sign_in.sign_in_form import draw_sign_in

with st.container(horizontal_alignment="center"), st.container(width=400):
    st.space("medium")
    draw_sign_in()
    branding.draw_links(runtime.get().settings)
