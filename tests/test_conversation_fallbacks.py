"""What a page says of an answer that another model gave since its own was down: a line, also when it is shown anew."""

import pytest

from tests.browser import Browser
from tests.chat_socket import open_chat
from tests.house import PUBLIC, House
from tests.running import chat_flow
from tests.servers import AppServer
from tests.tickets import open_browser

FORGETS = chat_flow("mine:busy").replace("type: ChatOutput", "type: ChatOutput\n    should_store_message: false")
HOUSE = House(
    config={
        "sharing": {"allow_public": True},
        "providers": {"mine": {"type": "scripted", "fallback": ["spare:echo"]}, "spare": {"type": "scripted"}},
    },
    flows={"talk": chat_flow("mine:busy"), "forgets": FORGETS},
    shared={"talk": PUBLIC, "forgets": PUBLIC},
)
NAMED, UNNAMED = "mine is down; spare:echo answered.", "The usual model is down; another one answered."


@pytest.mark.parametrize(("who", "line"), [("olga", NAMED), ("bob", UNNAMED), ("a guest", UNNAMED)])
def test_a_line_below_the_answer_says_that_another_model_gave_it(house: AppServer, who: str, line: str) -> None:
    browser = Browser(house.url) if who == "a guest" else open_browser(house, who)
    with open_chat(browser, "talk", is_public=who == "a guest") as chat:
        chat.show()
        answer = chat.answer("hi")
        assert answer["text"] == "You said: hi"
        assert answer["notes"] == [line]
        assert chat.show(chat.session)["messages"][-1]["notes"] == [line]


def test_it_is_said_of_answers_that_are_not_kept_too(house: AppServer) -> None:
    with open_chat(open_browser(house, "olga"), "forgets") as chat:
        chat.show()
        assert chat.answer("hi")["notes"] == [NAMED]
