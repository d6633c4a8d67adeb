"""The dialog by which a conversation becomes a file."""

from collections.abc import Mapping
from urllib.parse import urlencode

import streamlit as st

from flowground.ui.page.caller import read_shared_flow

_ADDRESS = "/export/chat"
"""The route in flowground/web/sent_files.py."""
_FORMATS: Mapping[str, tuple[str, str]] = {
    "markdown": ("Markdown", "To read, print, or paste into a document."),
    "json": ("JSON", "For programs: each message with its time and state."),
}


def open_export(flow_id: str, session_id: str, noun: str = "chat") -> None:
    """Closed, the page is drawn anew: the other menu's dialog would else be taken for this one, which is closed."""
    draw = st.dialog(f"Export this {noun}", icon=":material/download:", on_dismiss="rerun")(_draw_formats)
    draw(flow_id, session_id)


def _draw_formats(flow_id: str, session_id: str) -> None:
    st.write("The file has what was said until now: questions and answers, with their times.")
    for how, (label, says) in _FORMATS.items():
        asked = {"flow": flow_id, "session": session_id, "as": how}
        if read_shared_flow() is not None:
            asked["at"] = "public"
        address = f"{_ADDRESS}?{urlencode(asked, errors='replace')}"
        st.link_button(f"Export as {label}", address, icon=":material/download:", width="stretch", key=f"export:{how}")
        st.caption(says)
