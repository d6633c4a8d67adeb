"""What `flowground/ui/shims` rests on inside Streamlit, uvicorn and websockets is still there; each failure
names the file
to look at. Importing Flowground does nothing to them."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from inspect import signature, unwrap
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
import uvicorn
from streamlit import error_util
from streamlit.commands import execution_control, logo, page_config
from streamlit.components.v2.component_manager import BidiComponentManager
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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

from bench.watch import Watch
from flowground.ui.shims import page_messages
from flowground.ui.shims.streamlit_process import KeptPages
from flowground.ui.shims.uvicorn_server import BoundedFrames, BoundedHttp
from flowground.web.first_load import ELEMENTS
from tests.servers import ROOT, AppServer, clean_environment

Insides = Mapping[str, Callable[[], object]]
"""`FILE: what is so` -> whether it is."""
SCRIPTS = [file.read_text("utf-8") for file in page_messages.find_files().values() if file.suffix == ".js"]
INDEX = (page_messages.FOLDER / "index.html").read_text("utf-8")


KEPT = {"_user_info", "_client_state", "_scriptrunner", "_session_state"}


def require(insides: Insides, expected: str, made_for: Mapping[str, str]) -> None:
    """Fails where this one is not so. `made_for`: packages, and the versions in which it was."""
    file, _, what = expected.partition(": ")
    try:
        holds = insides[expected]()
    except AttributeError as error:
        holds, what = False, f"{what} ({error})"
    here = " with ".join(f"{package} {version(package)}" for package in made_for)
    assert holds, (
        f"Not so in {here}: {what}. flowground/ui/shims/{file} rests on it and was made for "
        f"{' and '.join(made_for.values())}; see how it is done now."
    )


def names_in(function: Any) -> set[str]:
    """What a function, and those made in it, name: globals and attributes."""

    def walk(code: CodeType) -> Iterator[str]:
        yield from code.co_names
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                yield from walk(constant)

    return set(walk(unwrap(function).__code__))


def takes(function: Callable[..., Any], *names: str) -> bool:
    return list(signature(function).parameters) == list(names)


def count(text: str) -> int:
    return sum(script.count(text) for script in SCRIPTS)


def overridden(ours: type, theirs: type) -> set[str]:
    """Methods of ours that theirs does not have: nobody would call them."""
    methods = {name for name, value in vars(ours).items() if callable(value) and not name.startswith("__")}
    return methods - theirs.__dict__.keys()


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
    "page_scripts.py: request_rerun takes a state": lambda: takes(AppSession.request_rerun, "self", "client_state"),
    "page_scripts.py: the runtime lists the open pages": lambda: (
        "_session_mgr" in names_in(Runtime.__init__) and callable(SessionManager.list_active_sessions)
    ),
    "page_scripts.py: a run has a thread": lambda: "_script_thread" in names_in(ScriptRunner.__init__),
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
    "streamlit_process.py: image_to_url finds the address of a page's icon and logo": lambda: (
        "image_to_url" in names_in(page_config._get_favicon_string) & names_in(logo._process_logo_image)
    ),
    "streamlit_process.py: discover_and_register_components reads what packages bring": lambda: (
        "discover_and_register_components" in names_in(Runtime.__init__)
        and "scan_component_manifests" in names_in(BidiComponentManager.discover_and_register_components)
    ),
    "page_files.py: index.html names its scripts and styles relative to the page": lambda: (
        len(re.findall(r'(?:src|href)="\./static/', INDEX)) > 50 and 'src="/' not in INDEX
    ),
    "page_files.py: its files have these endings": lambda: (
        {file.suffix for file in (page_messages.FOLDER / "static").rglob("*") if file.is_file()}
        == page_messages.ENDINGS
    ),
    "page_files.py: its first script is a module, its only place is `root`": lambda: (
        INDEX.count('<script type="module"') == 1 and INDEX.count('<div id="root">') == 1
    ),
    "page_files.py: the frontend reads where its server is, and both looks": lambda: all(
        count(f"get {name}()") for name in ("BACKEND_BASE_URL", "LIGHT_THEME", "DARK_THEME")
    ),
    "page_files.py: it opens its socket at once when it is told these two (web/head.js)": lambda: (
        count("let{allowedOrigins:t,useExternalAuthToken:n}=e") == 1 and count("this.args.enableBypass===!0") == 1
    ),
    "page_files.py: it listens to those origins alone": lambda: count("this.allowedOrigins.some(t=>un(t,e.origin))"),
    "page_files.py: each kind of element has one script of its name (web/first_load.py)": lambda: all(
        len(list((page_messages.FOLDER / "static" / "js").glob(f"{name}.*.js"))) == 1 for name in ELEMENTS
    ),
    "page_files.py: it asks the server for": lambda: count("`_stcore/health`") and count("`_stcore/host-config`"),
    "page_files.py: it asks matchMedia whether pages are dark, and listens to it (web/head.js)": lambda: (
        count("window.matchMedia(`(prefers-color-scheme: dark)`).matches?`dark`:`light`")
        and count("let e=window.matchMedia(`(prefers-color-scheme: dark)`);return e.addEventListener(`change`,p)")
    ),
    "page_files.py: it keeps whether the sidebar is closed": lambda: count(f"`{page_messages.SIDEBAR_KEY}${{e}}`"),
}
OWN = {"_wait", "_stop_waiting", "_leave_queue", "_start_timer", "_stop_timer", "_end_idle", "cut"}
UVICORN: Insides = {
    "uvicorn_server.py: BoundedHttp is called": lambda: overridden(BoundedHttp, HttpToolsProtocol) <= OWN,
    "uvicorn_server.py: a connection has its loop, transport and last request": lambda: (
        {"loop", "transport", "cycle"} <= names_in(HttpToolsProtocol.__init__)
        and "response_complete" in names_in(RequestResponseCycle.__init__)
    ),
    "uvicorn_server.py: BoundedFrames is called": lambda: overridden(BoundedFrames, WebSocketsSansIOProtocol) == set(),
    "uvicorn_server.py: a socket has its connection, transport, frames and state": lambda: (
        {"conn", "transport", "frames", "queue", "close_sent", "close_timer", "handshake_initiated"}
        <= names_in(WebSocketsSansIOProtocol.__init__)
        and callable(WebSocketsSansIOProtocol.handle_parser_exception)
    ),
    "uvicorn_server.py: websockets bounds a message by max_message_size": lambda: (
        ServerProtocol(max_size=1).max_message_size == 1 and ServerProtocol().handshake_exc is None
    ),
    "uvicorn_server.py: the server handles signals by its method handle_exit": lambda: (
        {"handle_exit", "signal"} <= names_in(uvicorn.Server.capture_signals)
    ),
    "uvicorn_server.py: it has listeners": lambda: {"servers", "server_state"} <= names_in(uvicorn.Server.shutdown),
}


@pytest.mark.parametrize("expected", STREAMLIT)
def test_the_inside_of_streamlit_is_what_we_think(expected: str) -> None:
    require(STREAMLIT, expected, {"streamlit": "1.67"})


@pytest.mark.parametrize("expected", UVICORN)
def test_the_inside_of_uvicorn_is_what_we_think(expected: str) -> None:
    require(UVICORN, expected, {"uvicorn": "0.54", "websockets": "17"})


@pytest.mark.parametrize("text", page_messages.REPLACED)
def test_what_is_replaced_stands_there_once(text: str) -> None:
    assert count(text) == 1, f"Not in the scripts of Streamlit {version('streamlit')}: see page_files.py"


def test_index_has_one_base_and_none_of_streamlits_words() -> None:
    index = page_messages.write_index(head="<title>Acme</title>")
    assert index.index("<title>Acme") < index.index('<script type="module" crossorigin src="/static/js/index.')
    shown = index[index.index("<!DOCTYPE") :]
    assert '"./' not in shown
    assert shown.count("<noscript>This page needs JavaScript.</noscript>") == 1
    for word in (">Streamlit<", "Streamlit app", "SourceSans", "_stcore"):
        assert word not in shown


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_that_nobody_uses_sleeps(tmp_path: Path) -> None:
    """uvicorn wakes ten times a second, Streamlit's own looks at its config files took thirty more."""
    with AppServer(tmp_path, flows=["echo"]) as server:
        watch = Watch(server.pid)
        assert any(watch.wakes(seconds=2) <= 15 for _ in range(5))


PROGRAM = """
import importlib, json, pkgutil, sys
import streamlit.testing.v1, streamlit.watcher.polling_path_watcher, streamlit.web.bootstrap, streamlit_authenticator
import streamlit.web.server.starlette.starlette_app, uvicorn.middleware.proxy_headers
import uvicorn.protocols.http.httptools_impl, uvicorn.protocols.websockets.websockets_sansio_impl

def look():
    found = {}
    for name, module in [*sys.modules.items()]:
        if name.startswith(("streamlit", "uvicorn", "websockets", "starlette")):
            for key, value in [*vars(module).items()]:
                found[f"{name}.{key}"] = value
                found |= {f"{name}.{key}.{inner}": held for inner, held in getattr(value, "__dict__", {}).items()}
    return found

before = look()
import flowground
modules = [one.name for one in pkgutil.walk_packages(flowground.__path__, "flowground.") if "__main__" not in one.name]
for name in modules:
    importlib.import_module(name)
after = look()
print(json.dumps([len(modules), len(before), [name for name, value in before.items() if after.get(name) is not value]]))
"""


def test_importing_every_module_changes_nothing_of_the_libraries() -> None:
    run: dict[str, Any] = {"cwd": ROOT, "env": clean_environment(), "capture_output": True, "timeout": 120}
    done = subprocess.run([sys.executable, "-c", PROGRAM], **run, text=True)
    assert done.returncode == 0, done.stderr
    modules, looked_at, changed = json.loads(done.stdout)
    assert (modules > 100, looked_at > 5_000, changed) == (True, True, [])
