"""What is changed in Streamlit 1.67 for the whole process, and whether a server of it runs here."""

import threading

from streamlit import error_util
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.watcher.polling_path_watcher import PollingPathWatcher

from flowground.shims import kept_pages, page_messages

_LOOK_AT_CONFIG = 10.0
"""Seconds until a change of Streamlit's own config files counts. It looks five times a second, by two threads: four
fifths of what wakes a process that nobody uses."""


def put_in_place(*, logged_elsewhere: type[BaseException]) -> None:
    """For the process that serves, before st.App is made; once. `logged_elsewhere` are errors of pages of which
    Streamlit shall not log a traceback each."""
    page_messages.bound_messages()
    kept_pages.keep_less()
    PollingPathWatcher._schedule = _look_later  # type: ignore[assignment, method-assign]  # ours in its place
    log = error_util._log_uncaught_app_exception

    def log_others(ex: BaseException) -> None:
        if not isinstance(ex, logged_elsewhere):
            log(ex)

    error_util._log_uncaught_app_exception = log_others


def _look_later(watcher: PollingPathWatcher) -> None:
    """By a thread that the process does not wait for when it ends: Streamlit's own would sleep to the end first."""
    timer = threading.Timer(_LOOK_AT_CONFIG, watcher._check_if_path_changed)
    timer.daemon = True
    timer.start()


def is_served() -> bool:
    """Whether a server runs in this process. AppTest's stand-in is none: `type`, because it says it is an instance."""
    return exists() and type(get_instance()) is Runtime
