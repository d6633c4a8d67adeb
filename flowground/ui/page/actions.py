"""What buttons do: they act before the page is drawn again, and dialogs open when it is, after a menu has closed."""

from collections.abc import Callable
from typing import Literal

import streamlit as st

_SCHEDULED = "dialog:scheduled"


def draw_action(
    label: str,
    act: Callable[..., None],
    *args: object,
    key: str,
    icon: str | None = None,
    kind: Literal["primary", "secondary", "tertiary"] = "tertiary",
) -> None:
    """A button that does `act(*args)`; `icon` is the name of a Material symbol."""
    shown = icon and f":material/{icon}:"
    st.button(label, type=kind, icon=shown, key=key, on_click=act, args=args)


def mark_gone(entry: str) -> str:
    """A menu's entry as it is shown: what takes something away for good is red, and set apart."""
    return f":red[{entry}]" if entry in ("Delete", "Remove") else entry


def draw_last_question(label: str, *, key: str, icon: str | None = None) -> bool:
    """The buttons at the end of a dialog that takes something away for good; whether it was said yes to."""
    with st.container(horizontal=True, key="last-question"):
        is_wanted = st.button(label, type="primary", icon=icon, key=key)
        if st.button("Cancel", key="last-question:no"):
            st.rerun()
    return is_wanted


def schedule_dialog(flow_id: str, open_dialog: Callable[[], None]) -> None:
    """For a button on the page of this flow."""
    st.session_state[_SCHEDULED] = (flow_id, open_dialog)


def open_scheduled(flow_id: str) -> None:
    """Opens what was asked for on this flow's page, once."""
    scheduled_for, open_dialog = st.session_state.pop(_SCHEDULED, (None, None))
    if scheduled_for == flow_id:
        open_dialog()
