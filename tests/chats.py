"""Chats of a house's people, opened one after the other in a test and closed at its end."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from tests.browser import Browser
from tests.chat_socket import ChatSocket, open_chat
from tests.page_socket import open_browser
from tests.servers import AppServer

OpenChat = Callable[..., ChatSocket]


@contextmanager
def open_chats(server: AppServer) -> Iterator[OpenChat]:
    """Gives `open_one(flow)`: one person has one browser. Guests are at the shareable page."""
    browsers: dict[str, Browser] = {}

    with ExitStack() as stack:

        def open_one(flow: str, who: str = "olga", *, session: str = "", is_public: bool = False) -> ChatSocket:
            """A socket that shows this session, by default a new one. Each `a guest…` is another visitor."""
            is_guest = who.startswith("a guest")
            if who not in browsers:
                browsers[who] = Browser(server.url) if is_guest else open_browser(server, who)
            chat = stack.enter_context(open_chat(browsers[who], flow, is_public=is_public or is_guest))
            chat.show(session)
            return chat

        yield open_one
