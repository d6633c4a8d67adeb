"""What a browser may ask of Streamlit over a page's socket, and is told by it: less than Streamlit itself allows.

A page's socket is open before anybody signed in. Streamlit 1.67 would, over it, tell the script's path on this computer
and the names of files git has not committed, empty every visitor's caches, and install files into the app's folder. It
would also log and keep whatever stands where its own frontend puts ids, names and addresses of bounded length.
tests/test_protocol.py guards it; the version is pinned.
"""

import logging
import re
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession

from flowground.ui.page.pages_kept import is_guests

ASKED = frozenset({"rerun_script", "stop_script", "app_heartbeat"})
"""What pages need: run, stop, stay."""

_HASH = re.compile(r"[0-9a-f]{32}\Z")
"""What Streamlit names fragments, pages' scripts and messages by."""
_WIDGET = re.compile(r"\$\$(?:STREAMLIT_INTERNAL_KEY_\$\$)?ID-.{1,600}\Z", re.DOTALL)
_LONGEST_QUERY = 16_000
"""Characters; a link that carries overrides has 6,000."""
_LONGEST_ADDRESS = 20_000
_LONGEST_NAME = 200
"""Characters of a page's name, a language, a time zone, a colour scheme."""
_MOST_WIDGETS = 2_000
_OF_A_NEW_PAGE = 64_000
"""Bytes of values that a guest's page keeps before it drew anything: `SMALLEST` of flowground/web/frames.py."""
_MOST_HASHES = 10_000
"""Of messages that the browser still has; Streamlit's own frontend names those of the last runs."""

_SOCKETS = "streamlit.web.server.starlette.starlette_websocket"
_UNREADABLE = "Error deserializing back message"
"""What Streamlit 1.67 logs there."""

_handle = AppSession.handle_backmsg
_begin = AppSession._create_new_session_message


def limit() -> None:
    """For the process that serves; a second call changes nothing."""
    # Streamlit offers no hook here; tests/test_protocol.py holds what is replaced.
    AppSession.handle_backmsg = _handle_asked  # type: ignore[assignment, method-assign]
    AppSession._create_new_session_message = _begin_without_path  # type: ignore[assignment, method-assign]
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
        and len(state.query_string) <= _LONGEST_QUERY
        and len(about.url) <= _LONGEST_ADDRESS
        and all(
            len(name) <= _LONGEST_NAME for name in (state.page_name, about.timezone, about.locale, about.color_scheme)
        )
        and len(state.widget_states.widgets) <= _MOST_WIDGETS
        and all(_WIDGET.match(widget.id) for widget in state.widget_states.widgets)
        and len(state.cached_message_hashes) <= _MOST_HASHES
        and all(_HASH.match(name) for name in state.cached_message_hashes)
    )


def drop_unknown_widgets(session: AppSession, state: ClientState) -> None:
    """Drops values of widgets that the page did not draw. One that drew none may have come back: it keeps all.

    Of somebody who is not a member it then keeps small ones only: a stranger's new pages could hold a message each.
    """
    drawn = session._session_state._new_widget_state.widget_metadata
    if drawn:
        known = [widget for widget in state.widget_states.widgets if widget.id in drawn]
    elif is_guests(session):
        known = _small_ones(state)
    else:
        return
    if len(known) < len(state.widget_states.widgets):
        del state.widget_states.widgets[:]
        state.widget_states.widgets.extend(known)


def _small_ones(state: ClientState) -> list[WidgetState]:
    """Values in their order, as many as fit into `_OF_A_NEW_PAGE`; a longer one is left out."""
    left, known = _OF_A_NEW_PAGE, []
    for widget in state.widget_states.widgets:
        size = widget.ByteSize()
        if size <= left:
            left -= size
            known.append(widget)
    return known


def _begin_without_path(session: AppSession, *args: Any, **options: Any) -> Any:
    message = _begin(session, *args, **options)
    message.new_session.main_script_path = ""  # the frontend only makes an id of it
    return message
