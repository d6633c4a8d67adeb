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


def schedule_dialog(flow_id: str, open_dialog: Callable[[], None]) -> None:
    """For a button on the page of this flow."""
    st.session_state[_SCHEDULED] = (flow_id, open_dialog)


def open_scheduled(flow_id: str) -> None:
    """Opens what was asked for on this flow's page, once."""
    scheduled_for, open_dialog = st.session_state.pop(_SCHEDULED, (None, None))
    if scheduled_for == flow_id:
        open_dialog()
