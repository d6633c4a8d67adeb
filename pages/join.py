"""The page of one-time links, `/join?invitation=…` and `/join?reset=…`, for who has one, signed in or not."""

import streamlit as st

from flowground.ui.sign_in.sign_in import render_join

with st.container(horizontal_alignment="center"), st.container(width=400):
    st.space("medium")
    render_join()
