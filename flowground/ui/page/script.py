"""What Streamlit keeps to itself about a page's script. Only this and protocol.py touch its inside; it is pinned.

Streamlit ends a running script by the same exception in three cases: *Stop* was pressed, the browser left (closed,
refreshed), a click began a newer run. Only the first means the person wants no more of the answer. And it has no way to
tell a page that something changed elsewhere; its own file watcher reruns pages by the call used here.
"""

import time
from typing import Any

from streamlit.delta_generator import DeltaGenerator
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME

_SETTLE = 0.05
"""Seconds after which a leaving browser, or a newer run, has been entered: one step of the loop does it."""


class ThisRun:
    """The script run that makes this object."""

    def __init__(self) -> None:
        context = get_script_run_ctx(suppress_warning=True)
        self.session = context.session_id if context else ""
        self._runner = _runner(self.session)

    def stop_was_pressed(self) -> bool:
        """Asked once this run was ended: was it by *Stop*?"""
        if self._runner is None:
            return False
        time.sleep(_SETTLE)
        return _runner(self.session) is self._runner


def is_open(session: str) -> bool:
    """Whether the page is still there: open, or away for a moment."""
    return _page(session) is not None


def redraw(session: str) -> bool:
    """Runs a page's script again, as a click would. Call it on the server's loop. False when the page is gone."""
    page = _page(session)
    if page is None:
        return False
    state = ClientState()
    state.CopyFrom(page._client_state)
    if running := _running(page):  # until its end only the run knows the page's address
        state.query_string = running.query_string
        state.page_script_hash = running.page_script_hash
    page.request_rerun(state)
    return True


def _runner(session: str) -> Any:
    page = _page(session)
    return page and page._scriptrunner


def _running(page: Any) -> Any:
    """What Streamlit 1.67 keeps of the run that the page is in."""
    thread = page._scriptrunner and page._scriptrunner._script_thread
    return getattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, None)


def _page(session: str) -> Any:
    # `type` and not `isinstance`: AppTest's stand-in says it is one.
    served = session and exists() and type(get_instance()) is Runtime
    return get_instance().get_app_session(session) if served else None


def draw_growing(slot: DeltaGenerator, text: str) -> None:
    """Markdown whose end is still to come: open emphasis, code and links are closed on the page, as
    `st.write_stream` does, which cannot draw a text that changes before its end."""
    slot._markdown(text, unterminated_parsing=True)
