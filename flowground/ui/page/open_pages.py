"""Every open page of this process looks again at who it serves."""

from streamlit.runtime import exists, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from flowground import runtime
from flowground.ui.page import script


def recheck() -> None:
    """Reruns all pages but this one: who may not stay meets the sign-in page at once, not at the next click."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None or not exists():
        return
    sessions = [info.session.id for info in get_instance()._session_mgr.list_active_sessions()]
    for session in sessions:
        if session != context.session_id:
            runtime.current().loop.call_soon_threadsafe(script.redraw, session)
