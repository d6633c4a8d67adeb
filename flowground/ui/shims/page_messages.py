"""What Streamlit 1.67 takes from a browser and sends to it, cut down to what our pages need.

Messages: a page's socket is open before anybody signed in. Over it Streamlit would send the script's path on this
computer and the names of files that git has not committed, empty every visitor's caches, and install files into the
app's folder; it would also log and keep values of any length. Files: Streamlit's index.html, scripts, styles and
colours. Here index.html gets one base for all pages, and a few sentences address people who use an app instead of those
who write one. tests/test_shims.py fails where a file is not what it was.
"""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamlit import config, file_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession

SMALLEST = 64_000
"""Most bytes of a page's message from somebody who is not signed in: names, passwords, codes. A byte of protobuf can
become a hundred bytes of memory."""

ASKED = frozenset({"rerun_script", "stop_script", "app_heartbeat"})
"""The message types that pages need."""

_HASH = re.compile(r"[0-9a-f]{32}\Z")
"""Streamlit's ids of fragments, pages' scripts and messages."""
_WIDGET = re.compile(r"\$\$(?:STREAMLIT_INTERNAL_KEY_\$\$)?ID-.{1,600}\Z", re.DOTALL)
LONGEST_QUERY = 16_000
"""Most characters of a query; a link with overrides has 6,000. web/edge.py serves no page with more."""
_LONGEST_ADDRESS = 20_000
_LONGEST_NAME = 200
"""Most characters of a page's name, a language, a time zone, a colour scheme."""
_MOST_WIDGETS = 2_000
_UNUSED = frozenset({"file_uploader_state_value", "chat_input_value"})
"""Values of widgets that no page of ours has: a list of files takes fifty times its bytes in memory."""
_MOST_HASHES = 10_000
"""Most cached messages that a browser may name; Streamlit's frontend names those of the last runs."""

_SOCKETS = "streamlit.web.server.starlette.starlette_websocket"
_UNREADABLE = "Error deserializing back message"
"""What Streamlit 1.67 logs there for a message that cannot be parsed."""

_handle = AppSession.handle_backmsg
_begin = AppSession._create_new_session_message

FOLDER = Path(file_util.get_static_dir())
_TEXTS = frozenset({".js", ".css", ".svg"})
"""Endings of files that compression makes much smaller; fonts and pictures stay as large."""
ENDINGS = _TEXTS | {".woff2", ".png", ".gif"}
"""Endings of all files that are served."""

SIDEBAR_KEY = "stSidebarCollapsed-"
"""Begin of the storage key for whether the sidebar is closed."""

_AWAY = "The server does not answer. It may be starting again; this page goes on by itself as soon as it does."
REPLACED: Mapping[str, str] = {
    "{message:`Streamlit server is not responding. Are you connected to the internet?`}": f"{{message:`{_AWAY}`}}",
    "{message:`Is Streamlit still running? If you accidentally stopped Streamlit, just restart it in your terminal:`,"
    "codeBlock:`streamlit run yourscript.py`}": f"{{message:`{_AWAY}`}}",
    "f(`Press Enter to ${e}`)": "0",
    "showError(`Connection error`,": "showError(`No connection`,",
    "showError(`Page not found`,": "showError(`There is no such page`,",
    "`You have requested page /${e}, but no corresponding file was found in the app's pages/ directory`": (
        "`Nothing stands at /${e}, or it is not open to you`"
    ),
    "`The page that you have requested does not seem to exist`": "`Nothing stands at this address`",
    # A page may have several paginations: none of them is a landmark of the page.
    'role:`navigation`,"aria-label":`Pagination`': 'role:`group`,"aria-label":`Pages`',
    "{message:`${t}. Running the app's main page.`}": "{message:`${t}. You see the first page instead.`}",
}
"""Texts that a script has once, with what is sent instead."""

_RELATIVE = re.compile(r'(href|src)="\./')
_LEFT_OUT = (
    re.compile(r'<link\s+rel="preload"\s+href="[^"]*SourceSans[^"]*"[^>]*>'),  # pages have a font of their own
    re.compile(r'<link rel="(?:service-desc|shortcut icon)"[^>]*>'),
    re.compile(r"<title>.*?</title>", re.DOTALL),
)
_WITHOUT_SCRIPTS = re.compile(r"<noscript>.*?</noscript>", re.DOTALL)


def bound_messages() -> None:
    """Patches the sockets of all pages. A second call changes nothing."""
    AppSession.handle_backmsg = _handle_asked  # type: ignore[assignment, method-assign]  # ours calls theirs
    AppSession._create_new_session_message = _begin_without_path  # type: ignore[assignment, method-assign]  # as above
    logging.getLogger(_SOCKETS).addFilter(_drop_traceback)


def _drop_traceback(record: logging.LogRecord) -> bool:
    """Drops the traceback of a message that cannot be parsed: that is its sender's mistake."""
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
    """Drops values of widgets that the page did not render. A page without any may be reconnecting: it keeps all."""
    drawn = session._session_state._new_widget_state.widget_metadata
    known = [widget for widget in state.widget_states.widgets if widget.id in drawn]
    if drawn and len(known) < len(state.widget_states.widgets):
        del state.widget_states.widgets[:]
        state.widget_states.widgets.extend(known)


def _begin_without_path(session: AppSession, *args: Any, **options: Any) -> Any:
    message = _begin(session, *args, **options)
    message.new_session.main_script_path = ""  # the frontend only makes an id of it
    return message


def find_files() -> dict[str, Path]:
    """Scripts, styles, fonts and pictures by their address, `/static/…`."""
    files = (FOLDER / "static").rglob("*")
    return {f"/{file.relative_to(FOLDER).as_posix()}": file for file in files if file.suffix in ENDINGS}


def find_script(name: str) -> str:
    """The address of the script that Streamlit fetches for the first element of a kind, such as `Button`."""
    found = next((FOLDER / "static" / "js").glob(f"{name}.*.js"))
    return f"/{found.relative_to(FOLDER).as_posix()}"


def is_text(file: Path) -> bool:
    return file.suffix in _TEXTS or file.suffix == ".txt"


def read_file(file: Path) -> bytes:
    """The file's bytes as they are sent."""
    data = file.read_bytes()
    if file.suffix == ".js" and file.is_relative_to(FOLDER):
        for before, after in REPLACED.items():
            data = data.replace(before.encode(), after.encode())
    return data


def write_index(*, head: str) -> str:
    """index.html, with its files at `/static/…`, and with `head` before its scripts, which read what that sets."""
    text = (FOLDER / "index.html").read_text("utf-8")
    for part in _LEFT_OUT:
        text = part.sub("", text)
    text = _WITHOUT_SCRIPTS.sub("<noscript>This page needs JavaScript.</noscript>", text)
    text = re.sub(r"\n\s*\n+", "\n", _RELATIVE.sub(r'\1="/', text))
    return text.replace('<script type="module"', f'{head}\n    <script type="module"', 1)


def describe_looks() -> dict[str, Any]:
    """`LIGHT_THEME` and `DARK_THEME` of `window.__streamlit`: the colours before a page's first message.

    Without them a page flashes in Streamlit's own colours, and loads its font of 170 kB in vain.
    """
    colors, font = ("primaryColor", "backgroundColor", "textColor"), str(config.get_option("theme.font"))
    return {
        f"{kind.upper()}_THEME": {"base": base, "bodyFont": font} | {name: read_color(kind, name) for name in colors}
        for base, kind in enumerate(("light", "dark"))
    }


def read_color(kind: str, name: str) -> str:
    """A colour of the theme, `backgroundColor` or `sidebar.backgroundColor`; `kind` is light or dark."""
    return str(config.get_option(f"theme.{kind}.{name}"))


def set_color(kind: str, name: str, color: str) -> None:
    """Sets a colour of the theme for all pages; `name` as for `read_color`."""
    config.set_option(f"theme.{kind}.{name}", color)
