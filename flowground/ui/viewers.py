"""Which open pages show which conversation, so that a second tab follows the first."""

from dataclasses import dataclass, field
from typing import NamedTuple

import streamlit as st

from flowground.ui import script


class Place(NamedTuple):
    """One conversation: a session of one caller with one flow."""

    owner: str
    flow_id: str
    session_id: str


@dataclass(slots=True)
class Viewers:
    """Each open page by Streamlit's id for it. Changed by script threads, read on the loop."""

    _places: dict[str, Place] = field(default_factory=dict)

    def show(self, page: str, place: Place) -> None:
        if page:
            self._places[page] = place

    def leave(self, page: str) -> None:
        self._places.pop(page, None)

    def tell(self, place: Place, *, besides: str = "") -> None:
        """Redraws every page that shows the conversation. Call it on the server's loop."""
        for page, shown in list(self._places.items()):
            if shown == place and page != besides and not script.redraw(page):
                self.leave(page)


@st.cache_resource(show_spinner=False)
def viewers() -> Viewers:
    """The process's one list."""
    return Viewers()
