"""Which overrides a turn of this visit ran with, so that its call can be told again."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from flowground.events import TurnStarted

_TURNS = "overrides:turns"


def keep(started: TurnStarted | None, overrides: Mapping[str, Any]) -> None:
    """Remembers them for the turn that just began."""
    if started and overrides:
        st.session_state.setdefault(_TURNS, {})[started.run_id] = overrides


def of(run_id: str | None) -> Mapping[str, Any]:
    """Those of a turn; none where it had none, or another visit took it."""
    found: Mapping[str, Any] = st.session_state.get(_TURNS, {}).get(run_id, {})
    return found
