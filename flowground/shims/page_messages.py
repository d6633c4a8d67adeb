"""What a browser may ask of Streamlit over a page's socket, and is told by it: less than Streamlit itself allows.

A page's socket is open before anybody signed in. Streamlit 1.67 would, over it, tell the script's path on this computer
and the names of files git has not committed, empty every visitor's caches, and install files into the app's folder. It
would also log and keep whatever stands where its own frontend puts ids, names and addresses of bounded length.

A message is protobuf (BackMsg): a byte of it can become sixteen bytes of memory as a number in a list, or a hundred as
an empty part. So its outline is read before Streamlit parses it, and what it asks afterwards.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.Common_pb2 import StringArray
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession

from flowground.shims.kept_pages import is_guests

SMALLEST = 64_000
"""Bytes of a message from somebody who is not signed in: names, passwords, codes."""

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
        known = _pick_small(state)
    else:
        return
    if len(known) < len(state.widget_states.widgets):
        del state.widget_states.widgets[:]
        state.widget_states.widgets.extend(known)


def _pick_small(state: ClientState) -> list[WidgetState]:
    """Values in their order, as many as fit into `SMALLEST`; a longer one is left out."""
    left, known = SMALLEST, []
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


_RERUN = BackMsg.RERUN_SCRIPT_FIELD_NUMBER
_STATES, _CONTEXT = ClientState.WIDGET_STATES_FIELD_NUMBER, ClientState.CONTEXT_INFO_FIELD_NUMBER
_LISTS = frozenset(
    {
        WidgetState.DOUBLE_ARRAY_VALUE_FIELD_NUMBER,
        WidgetState.INT_ARRAY_VALUE_FIELD_NUMBER,
        WidgetState.ARROW_VALUE_FIELD_NUMBER,
        WidgetState.FILE_UPLOADER_STATE_VALUE_FIELD_NUMBER,
    }
)
"""Fields with lists of numbers, a table or files: of these our pages have sliders at most."""
_WORDS = (WidgetState.STRING_ARRAY_VALUE_FIELD_NUMBER, WidgetState.CHAT_INPUT_VALUE_FIELD_NUMBER)
"""What is chosen of a list, and what is typed into a chat: messages with a field of text."""
_TEXT = StringArray.DATA_FIELD_NUMBER
"""Number of the field of text in StringArray, and of the one in ChatInputValue."""
_MOST_PARTS = 20_000
"""Streamlit's frontend names up to 10,000 messages; 2,000 widgets have three parts each."""
_MOST_LISTED = 2_000
"""Bytes of lists of numbers."""
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_LONGEST_VARINT = 10

Part = tuple[int, int, int]
"""Number of a field, and where its content begins and ends; a number has none."""


class Outline:
    """Of one message of a page, before it is parsed: only this is read, and no further than the bounds.

    Raises ValueError when it is none; afterwards `is_too_much` says whether it unfolds to more than any page of ours
    says, and `widgets` how many widgets' values it brings.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts = 0
        self._listed = 0
        self.widgets = 0
        self._read_message()

    @property
    def is_too_much(self) -> bool:
        return self._parts > _MOST_PARTS or self._listed > _MOST_LISTED

    def _read_message(self) -> None:
        for number, begin, end in self._list_parts(0, len(self._data)):
            if number == _RERUN:
                self._read_state(begin, end)
            else:
                self._listed += end - begin

    def _read_state(self, begin: int, end: int) -> None:
        for number, first, last in self._list_parts(begin, end):
            if number == _STATES:
                for _, start, stop in self._list_parts(first, last):
                    self.widgets += 1
                    self._read_widget(start, stop)
            elif number == _CONTEXT:
                for _ in self._list_parts(first, last):
                    pass

    def _read_widget(self, begin: int, end: int) -> None:
        for number, first, last in self._list_parts(begin, end):
            if number in _LISTS:
                self._listed += last - first
            elif number in _WORDS:
                for inner, start, stop in self._list_parts(first, last):
                    self._listed += 0 if inner == _TEXT else stop - start

    def _list_parts(self, begin: int, end: int) -> Iterator[Part]:
        """A message's parts; ends early once there are too many."""
        at = begin
        while at < end and not self.is_too_much:
            self._parts += 1
            tag, at = self._read_varint(at)
            kind, first, at = tag & 7, at, at
            if kind == _LENGTH:
                size, first = self._read_varint(at)
                at = first + size
            elif kind == _VARINT:
                _, at = self._read_varint(at)
                first = at
            elif kind in (_EIGHT, _FOUR):
                first = at = at + (8 if kind == _EIGHT else 4)
            else:
                raise ValueError("no such kind of field")
            if at > end:
                raise ValueError("a part ends behind its whole")
            yield tag >> 3, first, at

    def _read_varint(self, at: int) -> tuple[int, int]:
        """The number there, and where it ends."""
        value = 0
        for shift in range(0, 7 * _LONGEST_VARINT, 7):
            if at >= len(self._data):
                break
            byte = self._data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, at
        raise ValueError("a number has no end")
