"""Which open pages show which conversation, so that a second tab follows the first."""

from dataclasses import dataclass, field
from typing import NamedTuple

import streamlit as st

from flowground.ui.script import ThisRun, redraw


class Place(NamedTuple):
    """One conversation: a session of one caller with one flow."""

    owner: str
    flow_id: str
    session_id: str


@dataclass(slots=True)
class Viewers:
    """Each open page by Streamlit's id for it. Changed by script threads, read on the loop."""

    _pages: dict[str, tuple[Place, ThisRun]] = field(default_factory=dict)

    def show(self, run: ThisRun, place: Place) -> None:
        """The page whose script calls this shows the conversation, until it says otherwise."""
        if run.session:
            self._pages[run.session] = (place, run)

    def tell(self, place: Place, *, besides: str = "") -> None:
        """Redraws every page that shows the conversation. Call it on the server's loop."""
        for page, (shown, run) in list(self._pages.items()):
            if shown == place and page != besides and not redraw(page, shown=run):
                self._pages.pop(page, None)


@st.cache_resource(show_spinner=False)
def viewers() -> Viewers:
    """The process's one list."""
    return Viewers()
