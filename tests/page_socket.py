"""A page's websocket without a browser: what a visitor is really sent, byte for byte.

Speaks Streamlit's protocol (protobuf frames on /_stcore/stream), as its frontend does.

Signs a test's browser in as the sign-in page does after the password was right: by a one-time ticket.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import parse_qs

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.PageConfig_pb2 import PageConfig
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection

from flowground.access.sign_in import SignIn
from flowground.settings import Settings
from flowground.store import Store
from flowground.web.cookies import take_cookies
from tests.browser import Browser as Browser
from tests.chat_socket import ChatSocket, Headers, dial, open_chat
from tests.servers import AppServer


@contextmanager
def open_page(
    browser: Browser, *, base: str = "", headers: Headers = None, session: str = ""
) -> Iterator["PageSocket"]:
    """One open page. `headers` as for `chat_socket.dial`.

    `session` is the id of a page whose connection was lost, to come back to it.
    """
    words = ("streamlit", "x", session) if session else ("streamlit", "x")
    with dial(browser, f"{base}/_stcore/stream", headers, *words) as connection, ExitStack() as chats:
        flow = base.removeprefix("/public_flow/") if base.startswith("/public_flow/") else ""

        def open_one(named: str) -> ChatSocket:
            chat = open_chat(browser, flow or named, is_public=bool(flow), headers=headers)
            return chats.enter_context(chat)

        yield PageSocket(connection, open_one)


def say_bytes(size: int, *, name: str = f"$$ID-{'a' * 32}-None") -> BackMsg:
    """A message of a page with one widget's text of so many bytes."""
    message = BackMsg()
    widget = message.rerun_script.widget_states.widgets.add()
    widget.id, widget.string_value = name, "é" * (size // 2)
    return message


class PageSocket:
    """What `open_page` opens."""

    def __init__(self, connection: ClientConnection, dial: Callable[[str], ChatSocket]) -> None:
        self._connection = connection
        self._dial = dial
        self._chats: dict[str, ChatSocket] = {}
        self.session_id = ""
        self.widgets: dict[str, list[str]] = {}
        """Kind of element -> ids of those that the runs so far drew, in their order."""
        self.misses = 0
        """How often it was told that there is no such page."""
        self.layouts: list[str] = []
        """The widths that its pages were told, in their order."""
        self._fragments: dict[str, str] = {}
        self._page_hash = ""
        self._query = ""

    def visit(self, page: str = "", query: str = "") -> bytes:
        """Everything sent for one run of the script, as it came."""
        asked = BackMsg()
        asked.rerun_script.page_name = page
        asked.rerun_script.query_string = self._query = query
        return self.run(asked)

    @property
    def chat(self) -> ChatSocket:
        """The socket of this page's conversation, with the one open that the address names, else a new one."""
        asked = parse_qs(self._query)
        flow = "".join(asked.get("flow", [""]))
        if flow not in self._chats:
            self._chats[flow] = self._dial(flow)
            self._chats[flow].show("".join(asked.get("session", [""])))
        return self._chats[flow]

    def say(self, text: str) -> bytes:
        """A message typed into the composer; everything told until its answer is over, or it is refused."""
        chat, begin = self.chat, len(self.chat.told)
        chat.say(text)
        chat.read_until("ended", "refused")
        return chat.spell(begin)

    def press(self, widget_id: str, *, typed: Mapping[str, str] | None = None) -> bytes:
        """A click on a button, with what stands in text fields by then; a dialog's button runs its dialog only."""
        asked = self._asked(widget_id)
        for field, text in (typed or {}).items():
            filled = asked.rerun_script.widget_states.widgets.add()
            filled.id, filled.string_value = field, text
        pressed = asked.rerun_script.widget_states.widgets.add()
        pressed.id, pressed.trigger_value = widget_id, True
        return self.run(asked)

    def fill(self, field: str, text: str) -> bytes:
        asked = self._asked(field)
        filled = asked.rerun_script.widget_states.widgets.add()
        filled.id, filled.string_value = field, text
        return self.run(asked)

    def choose(self, menu_id: str, entry: str) -> bytes:
        """A click on an entry of a menu."""
        asked = self._asked(menu_id)
        chosen = asked.rerun_script.widget_states.widgets.add()
        chosen.id, chosen.string_trigger_value.data = menu_id, entry
        return self.run(asked)

    def widget(self, kind: str, key: str) -> str:
        """The id of the element drawn last of those whose key has this in it."""
        found = [widget for widget in self.widgets.get(kind, []) if key in widget]
        assert found, f"no {kind} with {key} was drawn"
        return found[-1]

    def _asked(self, widget_id: str = "") -> BackMsg:
        asked = BackMsg()
        asked.rerun_script.query_string = self._query
        asked.rerun_script.page_script_hash = self._page_hash
        asked.rerun_script.fragment_id = self._fragments.get(widget_id, "")
        return asked

    def send(self, message: BackMsg) -> None:
        """Anything a browser could ask for."""
        self._connection.send(message.SerializeToString())

    def send_bytes(self, data: bytes) -> None:
        """Past the protocol: these bytes on the connection."""
        self._connection.socket.sendall(data)

    def begin(self, message: BackMsg) -> None:
        """Its first bytes, which say its length. What is hung up on with bytes still to read may never see why."""
        self.send_bytes(Frame(Opcode.BINARY, message.SerializeToString()).serialize(mask=True)[:1_000])

    def closed(self) -> tuple[int, str]:
        """Code and reason with which the server closes the page."""
        with pytest.raises(ConnectionClosed) as told:
            self.received(within=60)
        assert told.value.rcvd is not None
        return told.value.rcvd.code, told.value.rcvd.reason

    def received(self, *, within: float) -> bytes:
        """What comes in so many seconds."""
        found, end = b"", time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            with suppress(TimeoutError):
                frame = self._connection.recv(timeout=left)
                assert isinstance(frame, bytes)
                found += frame
        return found

    def run(self, asked: BackMsg) -> bytes:
        """Sends it and returns what comes until the script has run to its end."""
        self._connection.send(asked.SerializeToString())
        received = b""
        while True:
            frame = self._connection.recv(timeout=60)
            assert isinstance(frame, bytes)
            received += frame
            message = ForwardMsg()
            message.ParseFromString(frame)
            self._note(message)
            done = message.WhichOneof("type") == "script_finished"
            if done and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                return received

    def _note(self, message: ForwardMsg) -> None:
        if message.WhichOneof("type") == "new_session":
            self.session_id = message.new_session.initialize.session_id
        elif message.WhichOneof("type") == "page_config_changed":
            if (layout := message.page_config_changed.layout) != PageConfig.LAYOUT_UNSET:
                self.layouts.append(PageConfig.Layout.Name(layout))
        elif message.WhichOneof("type") == "page_not_found":
            self.misses += 1
        elif message.WhichOneof("type") == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif message.WhichOneof("type") == "navigation":
            self._page_hash = message.navigation.page_script_hash  # new_session has the router's
        elif message.WhichOneof("type") == "delta" and message.delta.WhichOneof("type") == "new_element":
            kind = message.delta.new_element.WhichOneof("type") or ""
            found = getattr(getattr(message.delta.new_element, kind, None), "id", "")
            if found:
                self.widgets.setdefault(kind, []).append(found)
                self._fragments[found] = message.delta.fragment_id


def ticket_for(server: AppServer, member: str | None, browser: Browser) -> str:
    """A ticket of the running server for this browser; `member` None is the local owner."""

    async def issue() -> str:
        settings = Settings.load(server.config_file)
        store = Store.open(settings.database)
        sign_in = SignIn(settings, store)
        try:
            await sign_in.roster.start()
            headers = [(b"cookie", browser.cookies.encode())]
            sent, _ = take_cookies(headers, settings.cookie.name, is_secure=False)
            return await sign_in.issue_ticket(member, sent.visitor)
        finally:
            sign_in.close()
            store.close()

    return asyncio.run(issue())


def open_browser(server: AppServer, member: str) -> Browser:
    """A browser that has the member's cookie."""
    browser = Browser(server.url)
    answer = browser.post("/session/start", {"ticket": ticket_for(server, member, browser)})
    assert answer.status_code == 200, answer.text
    return browser
