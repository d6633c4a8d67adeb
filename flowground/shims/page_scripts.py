"""What Streamlit 1.67 keeps to itself about a page's script.

Streamlit ends a running script by the same exception in three cases: *Stop* was pressed, the browser left (closed,
refreshed), a click began a newer run. Only the first means the person wants no more of the answer. And it has no way to
tell a page that something changed elsewhere; its own file watcher reruns pages by the call used here.
Nor can a part of a page that the clock draws have the part around it drawn again.
"""

import time
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import get_instance
from streamlit.runtime.scriptrunner import StopException as StopException  # what `st.stop` and the three cases raise
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import RunLocation, ThreadState
from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME

from flowground.shims.streamlit_process import is_served

_SETTLE = 0.05
"""Seconds after which a leaving browser, or a newer run, has been entered: one step of the loop does it."""


def find_this_page() -> str:
    """Streamlit's id of the page whose script calls; empty outside of a script."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else ""


class ThisRun:
    """The script run that makes this object."""

    def __init__(self) -> None:
        self.session = find_this_page()
        self._runner = _find_runner(self.session)

    def stop_was_pressed(self) -> bool:
        """Asked once this run was ended: was it by *Stop*?"""
        if self._runner is None:
            return False
        time.sleep(_SETTLE)
        return _find_runner(self.session) is self._runner


def is_open(session: str) -> bool:
    """Whether the page is still there: open, or away for a moment."""
    return _find_page(session) is not None


def redraw(session: str) -> bool:
    """Runs a page's script again, as a click would. Call it on the server's loop. False when the page is gone."""
    page = _find_page(session)
    if page is None:
        return False
    state = ClientState()
    state.CopyFrom(page._client_state)
    # Until its end only the run knows the page's address.
    thread = page._scriptrunner and page._scriptrunner._script_thread
    if running := getattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, None):
        state.query_string = running.query_string
        state.page_script_hash = running.page_script_hash
    page.request_rerun(state)
    return True


def redraw_others(session: str) -> None:
    """`redraw` for every open page but this one."""
    for info in get_instance()._session_mgr.list_active_sessions() if is_served() else ():
        if info.session.id != session:
            redraw(info.session.id)


def redraw_part(key: str) -> None:
    """Called in a part of a page that the clock draws: ends that run, and draws the keyed part around it in its place.

    `st.rerun` takes a key in callbacks only, for elsewhere it would end what else is being drawn. So nothing is done
    while more than this part is: the clock draws it again.
    """
    context, state = get_script_run_ctx(), ThreadState.get()
    if context and state.fragment_id in (context.fragment_ids_this_run or ()):
        with ThreadState.scoped(run_location=RunLocation.CALLBACK):
            st.rerun(scope=key)


def draw_growing(slot: DeltaGenerator, text: str) -> None:
    """Markdown whose end is still to come: open emphasis, code and links are closed on the page, as
    `st.write_stream` does, which cannot draw a text that changes before its end."""
    slot._markdown(text, unterminated_parsing=True)


def _find_runner(session: str) -> Any:
    page = _find_page(session)
    return page and page._scriptrunner


def _find_page(session: str) -> Any:
    return get_instance().get_app_session(session) if session and is_served() else None
