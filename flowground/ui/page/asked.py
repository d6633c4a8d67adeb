"""The call behind one message of a chat, for *Copy as code*."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

_WANTED = "api:wanted"


@dataclass(frozen=True, slots=True)
class PastCall:
    """What was said where, with which overrides (as `for_message` gives them)."""

    flow_id: str
    message: str
    session_id: str
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def want(asked: PastCall) -> None:
    """For a button: the page's next run opens the API pane with this call."""
    st.session_state[_WANTED] = asked


def wanted(flow_id: str) -> PastCall | None:
    """The call that was asked for; told once."""
    found: PastCall | None = st.session_state.pop(_WANTED, None)
    return found if found and found.flow_id == flow_id else None
