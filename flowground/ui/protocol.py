"""What any browser may ask of Streamlit, and is told by it, whoever they are: less than Streamlit would have it.

A page's socket is open before anybody signed in. Streamlit 1.67 would, over it, tell the script's path on this computer
and the names of files git has not committed, empty every visitor's caches, and install files into the app's folder.
tests/test_protocol.py guards it; the version is pinned.
"""

from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.app_session import AppSession

ASKED = frozenset({"rerun_script", "stop_script", "app_heartbeat", "file_urls_request"})
"""What pages need: run, stop, stay, and places for files to send."""

_handle = AppSession.handle_backmsg
_begin = AppSession._create_new_session_message


def limit() -> None:
    """For the process that serves; twice is once."""
    # Streamlit offers no hook here; tests/test_protocol.py holds what is replaced.
    AppSession.handle_backmsg = _handle_asked  # type: ignore[assignment, method-assign]
    AppSession._create_new_session_message = _begin_without_path  # type: ignore[assignment, method-assign]


def _handle_asked(session: AppSession, message: BackMsg) -> None:
    if message.WhichOneof("type") in ASKED:
        _handle(session, message)


def _begin_without_path(session: AppSession, *args: Any, **options: Any) -> Any:
    message = _begin(session, *args, **options)
    message.new_session.main_script_path = ""  # the frontend only makes an id of it
    return message
