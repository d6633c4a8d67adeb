"""What a browser may ask of Streamlit over a page's socket, and is told by it: less than Streamlit itself allows.

A page's socket is open before anybody signed in. Streamlit 1.67 would, over it, tell the script's path on this computer
and the names of files git has not committed, empty every visitor's caches, and install files into the app's folder. It
would also log and keep whatever stands where its own frontend puts ids, names and addresses of bounded length.
"""

import logging
import re
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

SMALLEST = 64_000
"""Bytes of a page's message from somebody who is not signed in: names, passwords, codes. It is protobuf, of which a
byte can become a hundred bytes of memory."""

ASKED = frozenset({"rerun_script", "stop_script", "app_heartbeat"})
"""What pages need: run, stop, stay."""

_HASH = re.compile(r"[0-9a-f]{32}\Z")
"""What Streamlit names fragments, pages' scripts and messages by."""
_WIDGET = re.compile(r"\$\$(?:STREAMLIT_INTERNAL_KEY_\$\$)?ID-.{1,600}\Z", re.DOTALL)
LONGEST_QUERY = 16_000
"""Characters; a link that carries overrides has 6,000. A page with more is not served (web/edge.py)."""
_LONGEST_ADDRESS = 20_000
_LONGEST_NAME = 200
"""Characters of a page's name, a language, a time zone, a colour scheme."""
_MOST_WIDGETS = 2_000
_UNUSED = frozenset({"file_uploader_state_value", "chat_input_value"})
"""Values of widgets that no page of ours has: a list of files unfolds to fifty times its bytes."""
_MOST_HASHES = 10_000
"""How many messages a browser may say it still has; Streamlit's own frontend names those of the last runs."""

_SOCKETS = "streamlit.web.server.starlette.starlette_websocket"
_UNREADABLE = "Error deserializing back message"
"""What Streamlit 1.67 logs there."""

_handle = AppSession.handle_backmsg
_begin = AppSession._create_new_session_message


def bound_messages() -> None:
    """For every page from now on; a second call changes nothing."""
    AppSession.handle_backmsg = _handle_asked  # type: ignore[assignment, method-assign]  # ours calls theirs
    AppSession._create_new_session_message = _begin_without_path  # type: ignore[assignment, method-assign]  # as above
    logging.getLogger(_SOCKETS).addFilter(_say_in_one_line)


def _say_in_one_line(record: logging.LogRecord) -> bool:
    """A message that cannot be read is its sender's mistake: its traceback tells nothing."""
    if record.msg == _UNREADABLE:
        record.exc_info = None
    return True


def _handle_asked(session: AppSession, message: BackMsg) -> None:
    asked = message.WhichOneof("type")
    if asked not in ASKED:
        return
    if asked == "rerun_script":
        if not _is_from_a_page(message.rerun_script):
            return
        drop_unknown_widgets(session, message.rerun_script)
    _handle(session, message)


def _is_from_a_page(state: ClientState) -> bool:
    """Whether Streamlit's own frontend could have sent this."""
    about = state.context_info
    return (
        all(not name or _HASH.match(name) for name in (state.fragment_id, state.page_script_hash))
        and len(state.query_string) <= LONGEST_QUERY
        and len(about.url) <= _LONGEST_ADDRESS
        and all(
            len(name) <= _LONGEST_NAME for name in (state.page_name, about.timezone, about.locale, about.color_scheme)
        )
        and len(state.widget_states.widgets) <= _MOST_WIDGETS
        and all(
            _WIDGET.match(widget.id) and widget.WhichOneof("value") not in _UNUSED
            for widget in state.widget_states.widgets
        )
        and len(state.cached_message_hashes) <= _MOST_HASHES
        and all(_HASH.match(name) for name in state.cached_message_hashes)
    )


def drop_unknown_widgets(session: AppSession, state: ClientState) -> None:
    """Drops values of widgets that the page did not draw. One that drew none may have come back: it keeps all."""
    drawn = session._session_state._new_widget_state.widget_metadata
    known = [widget for widget in state.widget_states.widgets if widget.id in drawn]
    if drawn and len(known) < len(state.widget_states.widgets):
        del state.widget_states.widgets[:]
        state.widget_states.widgets.extend(known)


def _begin_without_path(session: AppSession, *args: Any, **options: Any) -> Any:
    message = _begin(session, *args, **options)
    message.new_session.main_script_path = ""  # the frontend only makes an id of it
    return message
