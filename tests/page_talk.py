"""The conversation of a page that AppTest drew: says to the server's door what the page's component would say.

chat = talk(at)
chat.ask("Hello")  # the answer's text
"""

from typing import Any

from streamlit.testing.v1 import AppTest

from flowground.app import runtime
from tests.app_page import read_chat
from tests.chat_socket import TalkHere


class PageTalk(TalkHere):
    """The page's overrides go along with what is said. `opened` is the conversation as it was when this began."""

    def __init__(self, at: AppTest) -> None:
        data = read_chat(at)
        super().__init__(runtime.get(), data["flow"])
        self._tweaks = data["tweaks"]
        self.opened = self.show(data["session"], tweaks=self._tweaks)

    def say(self, text: str, **more: Any) -> str:
        return super().say(text, tweaks=self._tweaks, **more)


def talk(at: AppTest) -> PageTalk:
    """The conversation that this page shows."""
    return PageTalk(at)
