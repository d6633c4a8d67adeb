"""The organization and one's own account."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st


@contextmanager
def open_row(key: str) -> Iterator[None]:
    """One entry of a list, in a frame: what is drawn within stands side by side."""
    with (
        st.container(border=True, key=key),
        st.container(horizontal=True, wrap=False, vertical_alignment="center"),
    ):
        yield
