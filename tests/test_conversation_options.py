"""What was chosen among a page's options, over its socket: taken with a message, kept with it, refused alike."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import conversations
from tests.asking import ASKING
from tests.chat_socket import ChatSocket, read_text
from tests.chats import OpenChat, open_chats
from tests.house import PUBLIC, House
from tests.servers import AppServer
from tests.store_databases import DATABASES

HOUSE = House(config={"sharing": {"allow_public": True}}, flows={"letters": ASKING}, shared={"letters": PUBLIC})
FRENCH = {"Language": {"input_value": "French"}}
ONLY_WHAT_IT_ASKS = "The shareable playground takes no overrides but what it asks for."
OPENED = "the flow's author opened `Language.input_value`, `Prompt.length`, `Model.temperature`, `Prompt.tone`."


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with HOUSE.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


@pytest.fixture
def opened(house: AppServer) -> Iterator[OpenChat]:
    with open_chats(house) as opened:
        yield opened


@pytest.fixture(params=[("bob", False), ("bob", True), ("a guest", True)])
def chat(request: pytest.FixtureRequest, opened: OpenChat) -> ChatSocket:
    who, is_public = request.param
    return opened("letters", who, is_public=is_public)


def refused(chat: ChatSocket, tweaks: Any) -> str:
    name = chat.say("Hi", tweaks=tweaks)
    told = chat.read_until("refused", "started")
    assert (told["type"], told["id"]) == ("refused", name)
    return str(told["text"])


def test_what_was_chosen_goes_with_the_message_and_no_other(chat: ChatSocket) -> None:
    assert chat.ask("Hi", tweaks=FRENCH | {"Prompt": {"tone": "stern"}}) == "You said: French, stern, short: Hi"
    assert chat.ask("Hi") == "You said: German, kind, short: Hi"


def test_a_value_that_does_not_fit_is_refused_as_a_tweak_is(chat: ChatSocket) -> None:
    for field, value, says in (
        ("Language.input_value", "Klingon", 'is one of "German", "French", "Spanish" here, not "Klingon".'),
        ("Model.temperature", 1.5, "is at most 1 here, not 1.5."),
        ("Prompt.tone", 5, "is text, not 5."),
    ):
        component, _, name = field.partition(".")
        assert refused(chat, {component: {name: value}}) == f"`{field}` {says}"
    assert chat.ask("Hi") == "You said: German, kind, short: Hi"


@pytest.mark.parametrize("who", ["a guest", "bob", "olga"])
def test_the_shareable_page_takes_what_it_asks_and_its_refusal_tells_nothing(opened: OpenChat, who: str) -> None:
    page = opened("letters", who, is_public=True)
    for component, field in (
        ("Prompt", {"length": "long"}),
        ("Prompt", {"template": "{language}"}),
        ("Prompt", {"language": "French"}),
        ("Prompt", {}),
        ("Model", {"temperature": 0.5, "model": "other:echo"}),
        ("Nobody", {"input_value": "French"}),
        ("ChatInput", {"input_value": "French"}),
    ):
        assert refused(page, {component: field}) == ONLY_WHAT_IT_ASKS
        assert refused(page, {component: field} | FRENCH) == ONLY_WHAT_IT_ASKS
    assert page.ask("Hi", tweaks=FRENCH) == "You said: French, kind, short: Hi"


def test_a_member_at_the_playground_is_refused_a_closed_field_as_any_tweak(opened: OpenChat) -> None:
    page = opened("letters", "bob")
    for component, field, value in (("Model", "model", "other:echo"), ("Prompt", "template", "x")):
        assert refused(page, {component: {field: value}}) == f"`{component}.{field}` cannot be set here: {OPENED}"
    assert page.ask("Hi", tweaks={"Prompt": {"length": "long"}}) == "You said: German, kind, long: Hi"


def test_a_question_is_asked_again_and_edited_with_what_is_chosen_then(chat: ChatSocket) -> None:
    chat.ask("Hi", tweaks=FRENCH)
    for kind, more, answer in (
        ("again", {"tweaks": {"Language": {"input_value": "Spanish"}}}, "Spanish, kind, short: Hi"),
        ("edit", {"text": "Ho", "tweaks": FRENCH}, "French, kind, short: Ho"),
        ("again", {}, "German, kind, short: Ho"),
    ):
        begin = len(chat.told)
        chat.send(kind, id=kind, session=chat.session, message=chat.read_question(), **more)
        chat.read_until("ended")
        assert read_text(chat.told[begin:], chat.told[-1]) == f"You said: {answer}"


def test_the_message_keeps_it_and_a_page_with_older_options_opens_its_conversation(
    house: AppServer, opened: OpenChat
) -> None:
    page = opened("letters", "bob", is_public=True)
    page.ask("Hi", tweaks=FRENCH)
    store = Store.open(Settings.load(house.config_file).database)
    try:
        here = {"flow_id": "letters", "owner": "member:bob", "session_id": page.session}
        reading = store.read(conversations.find_overrides, **here, message_id=page.read_question())
        assert asyncio.run(reading) == FRENCH
    finally:
        store.close()
    found = page.show(page.session, tweaks={"Prompt": {"length": "long"}} | FRENCH)
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    page.send("tweaks", tweaks={"Prompt": {"length": "long"}})
    assert page.read()["type"] == "note"
