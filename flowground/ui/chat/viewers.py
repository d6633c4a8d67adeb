"""Which open pages show which conversation, so that a second tab follows the first."""

from dataclasses import dataclass, field
from typing import NamedTuple

import streamlit as st

from flowground.ui.page import script


class ChatPlace(NamedTuple):
    """One conversation: a session of one caller with one flow."""

    owner: str
    flow_id: str
    session_id: str


@dataclass(slots=True)
class Viewers:
    """Each open page by Streamlit's id for it. Changed by script threads, read on the loop.

    Nothing of Streamlit's is held here. Pages that are gone are let go of when the list has doubled.
    """

    _pages: dict[str, ChatPlace] = field(default_factory=dict)
    _most: int = 64

    def show(self, session: str, place: ChatPlace) -> None:
        """The page whose script calls this shows the conversation, until it says otherwise."""
        if not session:
            return
        self._pages[session] = place
        if len(self._pages) > self._most:
            for other in list(self._pages):
                if not script.is_open(other):
                    self._pages.pop(other, None)
            self._most = max(64, 2 * len(self._pages))

    def tell(self, place: ChatPlace, *, besides: str = "") -> None:
        """Redraws every page that shows the conversation. Call it on the server's loop."""
        for session, shown in list(self._pages.items()):
            if shown == place and session != besides and not script.redraw(session):
                self._pages.pop(session, None)


@st.cache_resource(show_spinner=False)
def viewers() -> Viewers:
    """The process's one list."""
    return Viewers()
