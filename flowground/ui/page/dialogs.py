"""A dialog that something else on the page asks for: it opens with the next run, when a menu has closed."""

from collections.abc import Callable

import streamlit as st

_WANTED = "dialog:wanted"


def want_dialog(flow_id: str, open_dialog: Callable[[], None]) -> None:
    """For a button on the page of this flow."""
    st.session_state[_WANTED] = (flow_id, open_dialog)


def open_wanted(flow_id: str) -> None:
    """Opens what was asked for on this flow's page, once."""
    wanted_for, open_dialog = st.session_state.pop(_WANTED, (None, None))
    if wanted_for == flow_id:
        open_dialog()
