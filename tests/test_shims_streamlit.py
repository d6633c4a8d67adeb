"""What `flowground/shims` rests on inside Streamlit is still there; each failure says which file to look at."""

import sys
from inspect import signature
from pathlib import Path

import pytest
from streamlit import error_util
from streamlit.commands import execution_control
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.runtime import Runtime
from streamlit.runtime.scriptrunner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_run_context import FragmentThreadState, RunLocation, ThreadState
from streamlit.runtime.session_manager import SessionManager, SessionStorage
from streamlit.runtime.state.session_state import SessionState
from streamlit.runtime.websocket_session_manager import WebsocketSessionManager
from streamlit.watcher import polling_path_watcher
from streamlit.web import bootstrap
from streamlit.web.server.starlette import starlette_app, starlette_websocket

from bench.watch import Watch
from flowground.shims import page_messages
from flowground.shims.kept_pages import KeptPages
from tests.insides import Insides, names_in, require, takes
from tests.servers import AppServer

KEPT = {"_user_info", "_client_state", "_scriptrunner", "_session_state"}
STREAMLIT: Insides = {
    "page_messages.py: AppSession.handle_backmsg takes a page's message": lambda: (
        takes(AppSession.handle_backmsg, "self", "msg") and "handle_backmsg" in names_in(Runtime.handle_backmsg)
    ),
    "page_messages.py: AppSession._create_new_session_message tells a script's beginning": lambda: (
        "_create_new_session_message" in names_in(AppSession._handle_scriptrunner_event_on_event_loop)
    ),
    "page_messages.py: that message names the script's path": lambda: (
        "main_script_path" in ForwardMsg().new_session.DESCRIPTOR.fields_by_name
    ),
    "page_messages.py: SessionState._new_widget_state.widget_metadata is what a page drew": lambda: (
        SessionState()._new_widget_state.widget_metadata == {}
    ),
    "page_messages.py: the logger of sockets says in these words what cannot be read": lambda: (
        starlette_websocket._LOGGER.name == page_messages._SOCKETS
        and page_messages._UNREADABLE in Path(str(starlette_websocket.__file__)).read_text("utf-8")
    ),
    f"kept_pages.py and page_scripts.py: AppSession sets {sorted(KEPT)}": lambda: names_in(AppSession.__init__) >= KEPT,
    "kept_pages.py: AppSession.is_resumable is asked before a page is kept": lambda: (
        takes(AppSession.is_resumable, "self")
        and "is_resumable" in names_in(WebsocketSessionManager.disconnect_session)
    ),
    "kept_pages.py: st.App makes a MemorySessionStorage when it starts": lambda: (
        "MemorySessionStorage" in names_in(starlette_app.App._create_runtime)
        and takes(MemorySessionStorage, *signature(KeptPages).parameters)
    ),
    "kept_pages.py: it has no other methods": lambda: (
        {name for name in vars(SessionStorage) if not name.startswith("_")} == {"get", "save", "delete", "list"}
    ),
    "page_scripts.py: AppSession.request_rerun takes a state": lambda: takes(
        AppSession.request_rerun, "self", "client_state"
    ),
    "page_scripts.py: the runtime lists the open pages": lambda: (
        "_session_mgr" in names_in(Runtime.__init__) and callable(SessionManager.list_active_sessions)
    ),
    "page_scripts.py: a run has a thread, to which its context is attached": lambda: (
        "_script_thread" in names_in(ScriptRunner.__init__)
    ),
    "page_scripts.py: ThreadState says which part of a page is drawn, and st.rerun asks it for the place": lambda: (
        {"fragment_id", "run_location"} <= signature(FragmentThreadState).parameters.keys()
        and callable(ThreadState.scoped)
        and {"run_location", "resolve_target"} <= names_in(execution_control._new_fragment_id_queue)
        and {RunLocation.CALLBACK} == execution_control._KEYED_RERUN_ALLOWED_LOCATIONS
    ),
    "streamlit_process.py: error_util._log_uncaught_app_exception logs errors of pages": lambda: (
        takes(error_util._log_uncaught_app_exception, "ex")
        and "_log_uncaught_app_exception" in names_in(error_util.handle_user_script_exception)
    ),
    "streamlit_process.py: PollingPathWatcher._schedule has _check_if_path_changed called": lambda: (
        "_check_if_path_changed" in names_in(polling_path_watcher.PollingPathWatcher._schedule)
        and "_schedule" in names_in(polling_path_watcher.PollingPathWatcher._check_if_path_changed)
        and "watch_file" in names_in(bootstrap._install_config_watchers)
    ),
}


@pytest.mark.parametrize("expected", STREAMLIT)
def test_the_inside_of_streamlit_is_what_we_think(expected: str) -> None:
    require(STREAMLIT, expected, {"streamlit": "1.67"})


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_nobody_uses_sleeps(tmp_path: Path) -> None:
    """uvicorn wakes ten times a second, Streamlit's own looks at its config files took thirty more."""
    with AppServer(tmp_path, flows=["echo"]) as server:
        watch = Watch(server.pid)
        assert any(watch.wakes(seconds=2) <= 15 for _ in range(5))
