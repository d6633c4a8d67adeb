"""What is changed in Streamlit 1.67 for the whole process, and whether a server of it runs here."""

from streamlit import error_util
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.watcher import polling_path_watcher

from flowground.shims import kept_pages, page_messages

_LOOK_AT_CONFIG = 10.0
"""Seconds until a change of Streamlit's own config files counts. It looks five times a second, by two threads: four
fifths of what wakes a process that nobody uses."""


def put_in_place(*, logged_elsewhere: type[BaseException]) -> None:
    """For the process that serves, before st.App is made; once. `logged_elsewhere` are errors of pages of which
    Streamlit shall not log a traceback each."""
    page_messages.bound_messages()
    kept_pages.keep_less()
    polling_path_watcher._POLLING_PERIOD_SECS = _LOOK_AT_CONFIG  # type: ignore[misc]
    log = error_util._log_uncaught_app_exception

    def log_others(ex: BaseException) -> None:
        if not isinstance(ex, logged_elsewhere):
            log(ex)

    error_util._log_uncaught_app_exception = log_others


def is_served() -> bool:
    """Whether a server runs in this process. AppTest's stand-in is none: `type`, because it says it is an instance."""
    return exists() and type(get_instance()) is Runtime
