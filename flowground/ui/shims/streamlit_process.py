"""What is changed in Streamlit 1.67 for the whole process, and what it keeps to itself about a page's script.

Streamlit keeps the last 128 pages that lost their connection, whoever had them, and frees one only when another is
lost; who names a page's id gets that page, unless `server.trustedUserHeaders` (.streamlit/config.toml) names the header
by which the edge says whose page it is. Here pages are kept for a bounded time, and fewer of visitors. Streamlit also
has no way to redraw another page, or the part around a fragment that a timer runs: both use its internals.
"""

import asyncio
import threading
from base64 import b64encode
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit import error_util
from streamlit.commands import logo, page_config
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.elements.lib.image_utils import image_to_url
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime import Runtime, exists, get_instance, memory_session_storage
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import StopException as StopException  # what `st.stop` raises
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_run_context import RunLocation, ThreadState
from streamlit.runtime.scriptrunner_utils.script_run_context_attr import SCRIPT_RUN_CONTEXT_ATTR_NAME
from streamlit.runtime.session_manager import SessionInfo, SessionStorage
from streamlit.watcher.polling_path_watcher import PollingPathWatcher

from flowground.ui.shims import page_messages

OWNER = "page"
"""Key of a page's user info that has the header's value: `KIND-DIGEST`, None for somebody who is not signed in."""

_MOST_KEPT = 128
_MOST_VISITORS = 32
"""Kept pages of visitors, so that strangers cannot push out members'. Each page holds three descriptors."""
_Pages = list[SessionInfo]  # inside the class `list` is Streamlit's method

_is_resumable = AppSession.is_resumable

_CONFIG_LOOK_SECONDS = 10.0
"""Seconds between two looks of Streamlit at its config files. By default two threads look five times a second, which is
four fifths of what wakes an idle process."""


def patch_streamlit(*, logged_elsewhere: type[BaseException]) -> None:
    """Patches Streamlit in the process that serves: call it once, before st.App is made.

    `logged_elsewhere`: errors of pages of which Streamlit logs no traceback, because they are logged once elsewhere.
    """
    page_messages.bound_messages()
    memory_session_storage.MemorySessionStorage = KeptPages  # type: ignore[assignment, misc]  # a class in its place
    AppSession.is_resumable = _has_owner  # type: ignore[assignment, method-assign]  # ours calls theirs
    PollingPathWatcher._schedule = _look_later  # type: ignore[assignment, method-assign]  # ours in its place
    # No package brings components of ours: looking through all that are installed takes a tenth of the start.
    BidiComponentManager.discover_and_register_components = lambda _: None  # type: ignore[assignment, method-assign, misc]
    logo.image_to_url = page_config.image_to_url = _find_address  # type: ignore[attr-defined]
    log = error_util._log_uncaught_app_exception

    def log_others(ex: BaseException) -> None:
        if not isinstance(ex, logged_elsewhere):
            log(ex)

    error_util._log_uncaught_app_exception = log_others


def _find_address(image: Any, *options: Any, **more: Any) -> str:
    """The address of a page's icon or logo; of an SVG file a data URL, as in Streamlit, which imports numpy and Pillow
    before it looks."""
    if isinstance(image, str) and image.endswith(".svg") and "xmlns" in (text := Path(image).read_text("utf-8")):
        return f"data:image/svg+xml;base64,{b64encode(text.encode()).decode()}"
    return image_to_url(image, *options, **more)


def _look_later(watcher: PollingPathWatcher) -> None:
    """Schedules the next look in a daemon thread: at its end the process would wait for Streamlit's own thread."""
    timer = threading.Timer(_CONFIG_LOOK_SECONDS, watcher._check_if_path_changed)
    timer.daemon = True
    timer.start()


def is_served() -> bool:
    """True if a server runs in this process. AppTest's mock passes `isinstance`, so `type` is compared."""
    return exists() and type(get_instance()) is Runtime


def find_this_page() -> str:
    """Streamlit's id of the page whose script calls; empty outside of a script."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else ""


def redraw_others(session: str) -> None:
    """Reruns the script of every open page except `session`, as a click there would. Call it on the server's loop."""
    for info in get_instance()._session_mgr.list_active_sessions() if is_served() else ():
        if info.session.id != session:
            _redraw(info.session)


def _redraw(page: AppSession) -> None:
    state = ClientState()
    state.CopyFrom(page._client_state)
    # Until a run ends, the page's current address is known only to that run.
    thread = page._scriptrunner and page._scriptrunner._script_thread
    if running := getattr(thread, SCRIPT_RUN_CONTEXT_ATTR_NAME, None):
        state.query_string = running.query_string
        state.page_script_hash = running.page_script_hash
    page.request_rerun(state)


def redraw_part(key: str) -> None:
    """Called in a fragment that a timer runs: ends that run, and reruns the fragment with this key around it instead.

    `st.rerun` accepts a key only in callbacks, since elsewhere it would end whatever else is being rendered. So nothing
    happens while the whole page runs: the timer calls again.
    """
    context, state = get_script_run_ctx(), ThreadState.get()
    if context and state.fragment_id in (context.fragment_ids_this_run or ()):
        with ThreadState.scoped(run_location=RunLocation.CALLBACK):
            st.rerun(scope=key)


def _has_owner(session: AppSession) -> bool:
    """Streamlit shuts a page down at once, instead of keeping it, when this is False."""
    return bool(session._user_info.get(OWNER)) and _is_resumable(session)


class KeptPages(SessionStorage):
    """Pages whose connection was lost, in place of Streamlit's own storage. Used on the server's loop."""

    def __init__(self, maxsize: int = _MOST_KEPT, ttl_seconds: int = 60) -> None:
        self._most = maxsize
        self._seconds = ttl_seconds
        self._kept: dict[str, tuple[SessionInfo, asyncio.TimerHandle]] = {}

    def get(self, session_id: str) -> SessionInfo | None:
        kept = self._kept.get(session_id)
        return kept[0] if kept else None

    def save(self, session_info: SessionInfo) -> None:
        page = session_info.session.id
        self.delete(page)
        timer = asyncio.get_running_loop().call_later(self._seconds, self._end, page)
        self._kept[page] = (session_info, timer)
        # Pages of people who are not signed in are never kept, so the guests' are all visitors'.
        visitors = [page for page, (info, _) in self._kept.items() if _is_guests(info.session)]
        if len(visitors) > _MOST_VISITORS:
            self._end(visitors[0])
        if len(self._kept) > self._most:
            self._end(next(iter(self._kept)))

    def delete(self, session_id: str) -> None:
        if kept := self._kept.pop(session_id, None):
            kept[1].cancel()

    def list(self) -> _Pages:
        return [info for info, _ in self._kept.values()]

    def _end(self, page: str) -> None:
        if info := self.get(page):
            self.delete(page)
            info.session.shutdown()


def _is_guests(session: AppSession) -> bool:
    """Whether it is the page of a visitor, or of somebody who is not signed in."""
    owner = session._user_info.get(OWNER)
    return owner is None or str(owner).startswith("visitor-")
