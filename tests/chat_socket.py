"""A page's conversation without a browser: a raw websocket that says what pages say, and keeps what it is sent."""

import asyncio
import json
import queue
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from weakref import WeakKeyDictionary

import pytest
from starlette.types import Message
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.ui.conversation.socket import ConversationEndpoint, SocketEnds
from tests.browser import Browser

Told = dict[str, Any]
Headers = Mapping[str, str] | None
LASTING = " ".join(["word"] * 400)
"""A message that `scripted:slow` answers for twenty seconds: long enough for what is done meanwhile."""


@contextmanager
def dial(browser: Browser, path: str, headers: Headers, *subprotocols: str) -> Iterator[ClientConnection]:
    """`headers` are added to the handshake, or replace Origin, Cookie and Host ("" leaves one out)."""
    address = urlsplit(browser.url)
    named = {"Host": address.netloc, "Origin": browser.url, "Cookie": browser.cookies} | dict(headers or {})
    host, origin = named.pop("Host"), named.pop("Origin")
    with (
        socket.create_connection((address.hostname, address.port), timeout=60) as dialled,
        connect(
            f"ws://{host}{path}",
            sock=dialled,
            origin=Origin(origin) if origin else None,
            subprotocols=[Subprotocol(word) for word in subprotocols] or None,
            additional_headers={name: value for name, value in named.items() if value},
            max_size=None,
            proxy=None,
            open_timeout=60,
        ) as connection,
    ):
        yield connection


@contextmanager
def open_chat(
    browser: Browser, flow: str, *, is_public: bool = False, headers: Headers = None
) -> Iterator["ChatSocket"]:
    """One socket of the flow's page, which shows no conversation yet. `headers` as for `dial`."""
    place = "&at=public" if is_public else ""
    with dial(browser, f"/chat?flow={flow}{place}", headers) as connection:
        yield ChatSocket(connection)


class Talk(ABC):
    """What a page says and is told, whatever lies between. `session` is the conversation that it shows."""

    def __init__(self) -> None:
        self.session = ""
        self.told: list[Told] = []
        """Everything that was read so far."""

    @abstractmethod
    def send_raw(self, frame: str | bytes) -> None:
        """Also what no page sends."""

    @abstractmethod
    def receive(self, within: float) -> str:
        """The next frame, as it came. Raises TimeoutError."""

    def send(self, kind: str, /, **fields: Any) -> None:
        self.send_raw(json.dumps({"type": kind, **fields}, ensure_ascii=False))

    def read(self, *, within: float = 60) -> Told:
        """The next frame."""
        told: Told = json.loads(self.receive(within))
        self.told.append(told)
        return told

    def read_until(self, *kinds: str, within: float = 60) -> Told:
        """The next frame of one of these types; those before it are in `told`."""
        end = time.monotonic() + within
        while True:
            told = self.read(within=max(0.0, end - time.monotonic()))
            if told["type"] in kinds:
                return told

    def read_rest(self, *, within: float = 0.3) -> list[Told]:
        """What comes until nothing more does for so many seconds."""
        found = []
        with suppress(TimeoutError, ConnectionClosed):
            while True:
                found.append(self.read(within=within))
        return found

    def show(self, session: str = "", **more: Any) -> Told:
        """Opens a conversation, by default a new one; what it is."""
        self.session = session or str(uuid4())
        self.send("open", session=self.session, **more)
        return self.read_until("conversation")

    def say(self, text: str, **more: Any) -> str:
        """Sends a message, and does not wait; the name of it."""
        name = str(uuid4())
        self.send("say", id=name, session=self.session, text=text, **more)
        return name

    def refuse(self, text: str, **more: Any) -> Told:
        """Sends a message that nobody takes; its refusal."""
        name = self.say(text, **more)
        told = self.read_until("refused", "ended")
        assert (told["type"], told.get("id")) == ("refused", name)
        return told

    def stop(self) -> Told:
        """The end of what is being answered."""
        self.send("stop")
        return self.read_until("ended")

    def ask(self, text: str, **more: Any) -> str:
        """Sends a message; the answer's text once it is complete."""
        self.say(text, **more)
        ended = self.read_until("ended", "refused")
        assert ended["type"] == "ended", ended
        return read_text(self.told, ended)

    def answer(self, text: str, **more: Any) -> Told:
        """Sends a message; its answer once that is over, however it ended, with its text."""
        self.say(text, **more)
        ended = self.read_until("ended")
        (message, *_) = ended["messages"]
        told: Told = message | {"text": read_text(self.told, ended)}
        return told

    def read_question(self) -> str:
        """The id of the question that was told last."""
        return next(str(told["question"]["id"]) for told in reversed(self.told) if told["type"] == "started")

    def spell(self, begin: int = 0) -> bytes:
        """What was told from the frame with this number on, as bytes in which one may look for words."""
        joined = "\n".join(join_texts(self.told).values())
        return "\n".join((joined, *(json.dumps(told, ensure_ascii=False) for told in self.told[begin:]))).encode()


class ChatSocket(Talk):
    """What `open_chat` opens."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__()
        self.connection = connection
        self.size = 0
        """Bytes that were read."""

    def send_raw(self, frame: str | bytes) -> None:
        self.connection.send(frame)

    def receive(self, within: float) -> str:
        frame = self.connection.recv(timeout=within)
        assert isinstance(frame, str)
        self.size += len(frame.encode())
        return frame

    def closed(self) -> tuple[int, str]:
        """Code and reason with which the server closes the socket."""
        with pytest.raises(ConnectionClosed) as told:
            self._read_to_end()
        assert told.value.rcvd is not None
        return told.value.rcvd.code, told.value.rcvd.reason

    def _read_to_end(self) -> None:
        while True:
            self.read()


class TalkHere(Talk):
    """A conversation with a runtime of this process, without a server. `caller` is at the playground, or at the
    shareable page."""

    def __init__(self, app: Runtime, flow: str, *, caller: Caller = LOCAL_OWNER, is_public: bool = False) -> None:
        super().__init__()
        self._app = app
        self._taking: asyncio.Event | None = None
        self._was_cut = threading.Event()
        self._told: queue.Queue[str] = queue.Queue()
        self._asked: asyncio.Queue[Message] = asyncio.Queue()
        self._serving = asyncio.run_coroutine_threadsafe(self._serve(caller, flow, is_public=is_public), app.loop)
        _SERVING.setdefault(app, []).append(self._serving)

    def send_raw(self, frame: str | bytes) -> None:
        message = {"type": "websocket.receive", "text": frame}
        self._app.loop.call_soon_threadsafe(self._asked.put_nowait, message)

    def receive(self, within: float) -> str:
        try:
            return self._told.get(timeout=within)
        except queue.Empty:
            raise TimeoutError from None

    def leave(self) -> None:
        """The page is closed."""
        self._app.loop.call_soon_threadsafe(self._asked.put_nowait, {"type": "websocket.disconnect"})

    async def _serve(self, caller: Caller, flow: str, *, is_public: bool) -> None:
        if self._app not in _DOORS:
            _DOORS[self._app] = ConversationEndpoint(self._app)
        door = _DOORS[self._app]
        ends = SocketEnds(self._asked.get, self._send, self._close, self._was_cut.set)
        await door.serve(ends, caller=caller, flow=flow, came_from="this computer", is_public=is_public)

    def hold_back(self, until: asyncio.Event) -> None:
        """What is sent from now on is not taken before then."""
        self._taking = until

    def wait_for_cut(self) -> None:
        """The server gives up on a page that takes nothing."""
        assert self._was_cut.wait(60)

    def wait_for_end(self) -> None:
        """The server has done with the page. Raises TimeoutError."""
        self._serving.result(60)

    async def _send(self, message: Message) -> None:
        if self._taking:
            await self._taking.wait()
        self._told.put(message["text"])

    async def _close(self, code: int, reason: str) -> None:
        """Nobody listens for it: what is told before says as much."""


_DOORS: WeakKeyDictionary[Runtime, ConversationEndpoint] = WeakKeyDictionary()
_SERVING: WeakKeyDictionary[Runtime, list[Future[None]]] = WeakKeyDictionary()
"""Held as long as the runtime: a loop alone holds no task."""


def read_text(told: list[Told], ended: Told) -> str:
    """What the run's first answer says, put together as a page does it: by the offsets that the server gives."""
    (message, *_) = ended["messages"]
    return join_texts(told)[message["id"]] if "text" not in message else message["text"]


def join_texts(told: list[Told]) -> dict[str, str]:
    """The text of each answer; every piece has to begin where the one before ended."""
    texts: dict[str, str] = {}
    for frame in told:
        if frame["type"] == "started":
            texts |= {answer["id"]: "" for answer in frame["answers"] if answer["id"] not in texts}
        if frame["type"] == "text":
            for part in (frame, *frame.get("more", ())):
                before = texts.get(part["answer"], "")
                assert part["at"] == len(before)
                texts[part["answer"]] = before + part["text"]
    return texts
