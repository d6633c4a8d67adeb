"""A dialog that something else on the page asks for: it opens with the next run, when a menu has closed."""

from collections.abc import Callable

import streamlit as st

_SCHEDULED = "dialog:scheduled"


def schedule_dialog(flow_id: str, open_dialog: Callable[[], None]) -> None:
    """For a button on the page of this flow."""
    st.session_state[_SCHEDULED] = (flow_id, open_dialog)


def open_scheduled(flow_id: str) -> None:
    """Opens what was asked for on this flow's page, once."""
    scheduled_for, open_dialog = st.session_state.pop(_SCHEDULED, (None, None))
    if scheduled_for == flow_id:
        open_dialog()
