"""What was chosen among a page's options, over its socket: taken with a message, kept with it, refused alike."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import conversations
from tests.asking import ASKING
from tests.chat_socket import ChatSocket, open_chat
from tests.house import PUBLIC, House
from tests.page_socket import Browser
from tests.servers import AppServer
from tests.store_databases import DATABASES
from tests.tickets import open_browser

HOUSE = House(config={"sharing": {"allow_public": True}}, flows={"letters": ASKING}, shared={"letters": PUBLIC})
FRENCH = {"Language": {"input_value": "French"}}
ONLY_WHAT_IT_ASKS = ("The shareable playground takes no overrides but what it asks for.", "Reload the page.")
OPENED = "the flow's author opened `Language.input_value`, `Prompt.length`, `Model.temperature`, `Prompt.tone`."


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


@pytest.fixture(params=["a member's playground", "a member's shareable page", "a guest's shareable page"])
def chat(request: pytest.FixtureRequest, house: AppServer) -> Iterator[ChatSocket]:
    browser = Browser(house.url) if request.param.startswith("a guest") else open_browser(house, "bob")
    with open_chat(browser, "letters", is_public="shareable" in request.param) as opened:
        opened.show()
        yield opened


def refused(chat: ChatSocket, tweaks: Any) -> tuple[str, str]:
    name = chat.say("Hi", tweaks=tweaks)
    told = chat.read_until("refused", "started")
    assert (told["type"], told["id"]) == ("refused", name)
    return told["text"], told["hint"]


def test_what_was_chosen_goes_with_the_message_and_no_other(chat: ChatSocket) -> None:
    assert chat.ask("Hi", tweaks=FRENCH | {"Prompt": {"tone": "stern"}}) == "You said: French, stern, short: Hi"
    assert chat.ask("Hi") == "You said: German, kind, short: Hi"


@pytest.mark.parametrize(
    ("tweaks", "says"),
    [
        (
            {"Language": {"input_value": "Klingon"}},
            '`Language.input_value` is one of "German", "French", "Spanish" here, not "Klingon".',
        ),
        ({"Model": {"temperature": 1.5}}, "`Model.temperature` is at most 1 here, not 1.5."),
        ({"Prompt": {"tone": 5}}, "`Prompt.tone` is text, not 5."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_as_a_tweak_is(chat: ChatSocket, tweaks: Any, says: str) -> None:
    assert refused(chat, tweaks)[0] == says
    assert chat.ask("Hi") == "You said: German, kind, short: Hi"


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Prompt": {"length": "long"}},
        {"Prompt": {"template": "{language}"}},
        {"Prompt": {"language": "French"}},
        {"Prompt": {}},
        {"Model": {"temperature": 0.5, "model": "other:echo"}},
        {"Nobody": {"input_value": "French"}},
        {"ChatInput": {"input_value": "French"}},
    ],
)
def test_the_shareable_page_takes_what_it_asks_and_its_refusal_tells_nothing(house: AppServer, tweaks: Any) -> None:
    for browser in (Browser(house.url), open_browser(house, "bob"), open_browser(house, "olga")):
        with open_chat(browser, "letters", is_public=True) as page:
            page.show()
            assert refused(page, tweaks) == ONLY_WHAT_IT_ASKS
            assert refused(page, tweaks | FRENCH) == ONLY_WHAT_IT_ASKS
            assert page.ask("Hi", tweaks=FRENCH) == "You said: French, kind, short: Hi"


def test_a_member_at_the_playground_is_refused_a_closed_field_as_any_tweak(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "letters") as page:
        page.show()
        for tweaks, field in (
            ({"Model": {"model": "other:echo"}}, "Model.model"),
            ({"Prompt": {"template": "x"}}, "Prompt.template"),
        ):
            assert refused(page, tweaks)[0] == f"`{field}` cannot be set here: {OPENED}"
        assert page.ask("Hi", tweaks={"Prompt": {"length": "long"}}) == "You said: German, kind, long: Hi"


def test_a_question_is_asked_again_and_edited_with_what_is_chosen_then(chat: ChatSocket) -> None:
    chat.ask("Hi", tweaks=FRENCH)
    for kind, more, answer in (
        ("again", {"tweaks": {"Language": {"input_value": "Spanish"}}}, "Spanish, kind, short: Hi"),
        ("edit", {"text": "Ho", "tweaks": FRENCH}, "French, kind, short: Ho"),
        ("again", {}, "German, kind, short: Ho"),
    ):
        question = chat.read_question()
        begin = len(chat.told)
        chat.send(kind, id=kind, session=chat.session, message=question, **more)
        chat.read_until("ended")
        texts = [told["text"] for told in chat.told[begin:] if told["type"] == "text"]
        assert "".join(texts) == f"You said: {answer}"


def test_the_message_keeps_it(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "letters", is_public=True) as page:
        page.show()
        page.ask("Hi", tweaks=FRENCH)
        asked = page.read_question()
    store = Store.open(Settings.load(house.config_file).database)
    try:
        here = {"flow_id": "letters", "owner": "member:bob", "session_id": page.session}
        kept = asyncio.run(store.read(conversations.find_overrides, **here, message_id=asked))
    finally:
        store.close()
    assert kept == FRENCH


def test_a_page_with_older_options_opens_its_conversation_all_the_same(house: AppServer) -> None:
    with open_chat(open_browser(house, "bob"), "letters", is_public=True) as page:
        page.show()
        page.ask("Hi")
        found = page.show(page.session, tweaks={"Prompt": {"length": "long"}} | FRENCH)
        assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
        page.send("tweaks", tweaks={"Prompt": {"length": "long"}})
        assert page.read()["type"] == "note"
