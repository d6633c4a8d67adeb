"""What Streamlit 1.67 keeps to itself about a page's script.

Streamlit has no way to tell a page that something changed elsewhere; its own file watcher reruns pages by the call used
here. Nor can a part of a page that the clock draws have the part around it drawn again.
"""

import streamlit as st
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import get_instance
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import StopException as StopException  # what `st.stop` raises
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import RunLocation, ThreadState
from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME

from flowground.shims.streamlit_process import is_served


def find_this_page() -> str:
    """Streamlit's id of the page whose script calls; empty outside of a script."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else ""


def redraw_others(session: str) -> None:
    """Runs the script of every open page but this one again, as a click there would. Call it on the server's loop."""
    for info in get_instance()._session_mgr.list_active_sessions() if is_served() else ():
        if info.session.id != session:
            _redraw(info.session)


def _redraw(page: AppSession) -> None:
    state = ClientState()
    state.CopyFrom(page._client_state)
    # Until its end only the run knows the page's address.
    thread = page._scriptrunner and page._scriptrunner._script_thread
    if running := getattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, None):
        state.query_string = running.query_string
        state.page_script_hash = running.page_script_hash
    page.request_rerun(state)


def redraw_part(key: str) -> None:
    """Called in a part of a page that the clock draws: ends that run, and draws the keyed part around it in its place.

    `st.rerun` takes a key in callbacks only, for elsewhere it would end what else is being drawn. So nothing is done
    while more than this part is: the clock draws it again.
    """
    context, state = get_script_run_ctx(), ThreadState.get()
    if context and state.fragment_id in (context.fragment_ids_this_run or ()):
        with ThreadState.scoped(run_location=RunLocation.CALLBACK):
            st.rerun(scope=key)
