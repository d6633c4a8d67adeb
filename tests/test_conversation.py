"""A conversation over its socket, as a page has it: opened, asked, stopped, asked anew, with options, rated; on both
databases."""

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import conversations
from tests.asking import ASKING
from tests.chat_socket import LASTING, ChatSocket, Told, join_texts, read_text
from tests.chats import OpenChat, open_chats
from tests.running import chat_flow
from tests.servers import PUBLIC, AppServer, House
from tests.store_databases import DATABASES

FLOWS = {name: chat_flow(f"scripted:{name}", name.title()) for name in ("echo", "slow", "fail")}
FLOWS["unkept"] = FLOWS["echo"].replace("type: ChatInput\n", "type: ChatInput\n    should_store_message: false\n")
FLOWS["spared"] = chat_flow("mine:busy")
FLOWS["forgets"] = FLOWS["spared"].replace("type: ChatOutput", "type: ChatOutput\n    should_store_message: false")
FLOWS["letters"] = ASKING
PROVIDERS = {"mine": {"type": "scripted", "fallback": ["spare:echo"]}, "spare": {"type": "scripted"}}
HOUSE = House(
    config={"sharing": {"allow_public": True}, "providers": PROVIDERS, "limits": {"page_runs_per_minute": 0}},
    flows=FLOWS,
    shared=dict.fromkeys(("echo", "spared", "letters"), PUBLIC),
)
GONE = ("refused", "This message is not part of the conversation any more.", "Reload the page.")
NAMED, UNNAMED = "mine is down; spare:echo answered.", "The usual model is down; another one answered."
NOTHING_KEPT = "This flow keeps no messages: a reload clears them."
NOT_RATED = {"text": "This answer cannot be rated.", "hint": None, "seconds": None}
FRENCH = {"Language": {"input_value": "French"}}
ONLY_WHAT_IT_ASKS = "The shareable playground takes no overrides but what it asks for."
OPENED = "the flow's author opened `Language.input_value`, `Prompt.length`, `Model.temperature`, `Prompt.tone`."


@pytest.fixture(scope="module", params=DATABASES)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app as the file's `HOUSE` says, on both databases."""
    wanted: House = request.module.HOUSE
    with wanted.open_on(request.param, tmp_path_factory.mktemp("house")) as server:
        yield server


@pytest.fixture
def opened(house: AppServer) -> Iterator[OpenChat]:
    with open_chats(house) as opened:
        yield opened


@pytest.fixture
def chat(opened: OpenChat) -> ChatSocket:
    return opened("echo")


def send(chat: ChatSocket, kind: str, message: str, **more: Any) -> Told:
    """What comes of it."""
    name = str(uuid4())
    chat.send(kind, id=name, session=chat.session, message=message, **more)
    started = chat.read_until("started", "refused")
    assert started["id"] == name
    if started["type"] == "started":
        chat.read_until("ended")
    return started


def choose(chat: ChatSocket, message: str) -> Told:
    chat.send("choose", session=chat.session, message=message)
    return chat.read_until("conversation", "refused")


def ask(chat: ChatSocket, text: str) -> str:
    """The question's id."""
    chat.ask(text)
    return chat.read_question()


def list_texts(told: Told) -> list[str]:
    return [message["text"] for message in told["messages"]]


def refuse(told: Told) -> tuple[str, str, str | None]:
    return told["type"], told["text"], told["hint"]


def test_a_message_is_answered_and_stands_there_when_the_page_comes_back(opened: OpenChat, chat: ChatSocket) -> None:
    empty = chat.told[-1]
    assert (empty["messages"], empty["has_earlier"], empty["running"], empty["off"]) == ([], False, None, None)
    name = chat.say("Hello there")
    started = chat.read()
    assert (started["type"], started["id"], started["question"]["text"]) == ("started", name, "Hello there")
    ended = chat.read_until("ended")
    (answer,) = ended["messages"]
    assert (ended["run"], answer["state"], answer["facts"]["steps"]) == (started["run"], "complete", 3)
    assert join_texts(chat.told) == {started["answers"][0]["id"]: "You said: Hello there"}
    found = opened("echo", session=chat.session).told[-1]["messages"]
    assert [(one["role"], one["text"], one["run"]) for one in found] == [
        ("user", "Hello there", started["run"]),
        ("assistant", "You said: Hello there", started["run"]),
    ]


def test_another_tab_sees_the_answer_grow_and_either_stops_it(opened: OpenChat) -> None:
    one = opened("slow")
    two = opened("slow", session=one.session)
    one.say(LASTING)
    started = two.read_until("started")
    assert ("id" in started, started["question"]["text"]) == (False, LASTING)
    assert two.read_until("text")["at"] == 0
    two.send("stop", run=started["run"])
    for page in (one, two):
        assert [message["state"] for message in page.read_until("ended")["messages"]] == ["stopped"]
    assert join_texts(one.told) == join_texts(two.told)


def test_blanks_and_what_is_too_long_are_not_sent_and_change_nothing(chat: ChatSocket) -> None:
    first = ask(chat, "One")
    for text, says in ((" \n\t ", "nothing to send."), ("x" * 200_010, "200,010 characters; 200,000 is the limit.")):
        refused = chat.refuse(text)["text"]
        assert refused.endswith(says)
        assert send(chat, "edit", first, text=text)["text"] == refused
    shown = chat.show(chat.session)
    assert list_texts(shown) == ["One", "You said: One"]
    assert "versions" not in shown["messages"][0]
    assert chat.ask("y" * 200_000) == f"You said: {'y' * 200_000}"


def test_of_a_flow_that_keeps_nothing_the_socket_does_and_what_is_asked_again_is_added(opened: OpenChat) -> None:
    chat = opened("unkept")
    assert chat.told[-1]["note"] == NOTHING_KEPT
    first = ask(chat, "One")
    assert list_texts(chat.show(chat.session)) == ["One", "You said: One"]
    assert "versions" not in send(chat, "again", first)["question"]
    assert "versions" not in send(chat, "edit", first, text="Two")["question"]
    assert list_texts(chat.show(chat.session))[::2] == ["One", "One", "Two"]
    assert choose(chat, first)["type"] == "refused"
    assert opened("unkept", session=chat.session).told[-1]["messages"] == []


def test_who_sees_the_inside_is_told_what_became_of_each_step(opened: OpenChat, chat: ChatSocket) -> None:
    """On every socket that shows the conversation."""
    beside = opened("echo", session=chat.session)
    chat.ask("Hello")
    beside.read_until("ended")
    names = {"ChatInput": "Chat Input", "Model": "Language Model", "ChatOutput": "Chat Output"}
    for told in (chat.told, beside.told):
        steps = [frame for frame in told if frame["type"] == "step"]
        assert steps[-1]["name"] == "Chat Output"
        states: dict[str, str] = {}
        for frame in steps:
            states |= frame["states"]
        assert states == dict.fromkeys(names, "done")
    beside.send("steps", session=chat.session, message=chat.show(chat.session)["messages"][-1]["id"])
    assert {step["id"]: step["name"] for step in beside.read_until("steps")["steps"]} == names


def test_a_visitor_talks_where_the_flow_is_public_and_sees_no_inside(opened: OpenChat) -> None:
    chat = opened("echo", "a guest")
    assert chat.ask("Hello") == "You said: Hello"
    assert "step" not in {frame["type"] for frame in chat.told}
    assert "facts" not in str(chat.told)
    chat.refuse("Hello", tweaks={"Model": {"temperature": 1}})
    for who, count in (("a guest", 2), ("a guest of their own", 0)):
        assert len(opened("echo", who, session=chat.session).told[-1]["messages"]) == count


@pytest.mark.parametrize(("who", "line"), [("olga", NAMED), ("bob", UNNAMED), ("a guest", UNNAMED)])
def test_a_line_below_the_answer_says_that_another_model_gave_it(opened: OpenChat, who: str, line: str) -> None:
    chat = opened("spared", who)
    answer = chat.answer("hi")
    assert (answer["text"], answer["notes"]) == ("You said: hi", [line])
    assert chat.show(chat.session)["messages"][-1]["notes"] == [line]
    if who == "olga":
        assert opened("forgets").answer("hi")["notes"] == [line]


def test_asked_again_it_is_another_version_of_the_same_text_with_steps_of_its_own(chat: ChatSocket) -> None:
    first = ask(chat, "Hello")
    shown = chat.show(chat.session)["messages"]
    assert "versions" not in shown[0]
    again = send(chat, "again", shown[-1]["id"])["question"]
    assert again["versions"] == [[first, again["id"]]]
    third = send(chat, "again", again["id"])["question"]
    question, answer = chat.show(chat.session)["messages"]
    assert (question["id"], question["versions"]) == (third["id"], [[first, again["id"], third["id"]]])
    for message in (shown[-1]["id"], answer["id"]):  # also where it waits
        chat.send("steps", session=chat.session, message=message)
        assert len(chat.read_until("steps")["steps"]) == 3


def test_an_edited_question_stands_in_the_place_of_the_first_on_every_page(opened: OpenChat, chat: ChatSocket) -> None:
    second, another = opened("echo", session=chat.session), opened("echo")
    first = ask(chat, "One")
    ask(chat, "Two")
    edited = send(chat, "edit", first, text="One!")["question"]
    assert edited["versions"] == [[first], [edited["id"]]]
    assert list_texts(chat.show(chat.session)) == ["One!", "You said: One!"]
    for _ in range(3):
        second.read_until("ended")
    assert next(told for told in reversed(second.told) if told["type"] == "started")["question"] == edited
    for page, other, message, texts in (
        (chat, second, first, ["One", "You said: One", "Two", "You said: Two"]),
        (second, chat, edited["id"], ["One!", "You said: One!"]),
    ):
        assert list_texts(choose(page, message)) == list_texts(other.read_until("conversation")) == texts
    assert another.read_rest() == []


def test_what_is_not_there_is_refused_whatever_it_is(opened: OpenChat, chat: ChatSocket) -> None:
    mine = ask(chat, "Mine")
    shown = send(chat, "edit", mine, text="Shown")["question"]["id"]
    visitor = opened("echo", "a guest")
    others, theirs = ask(opened("echo"), "In another chat"), ask(visitor, "A visitor's")
    for page, messages in ((visitor, (mine, shown)), (chat, (others, theirs, "nothing", mine))):
        for message in messages:
            assert refuse(send(page, "edit", message, text="x")) == refuse(send(page, "again", message)) == GONE
            if page is visitor or message != mine:  # a hidden version of one's own can be chosen
                assert refuse(choose(page, message)) == GONE
    assert list_texts(chat.show(chat.session)) == ["Shown", "You said: Shown"]


def test_while_an_answer_is_written_nothing_is_sent_edited_or_chosen(opened: OpenChat) -> None:
    chat = opened("slow")
    chat.say(LASTING)
    first = chat.read_until("started")["question"]["id"]
    chat.read_until("text")
    chat.stop()
    chat.send("again", id="again", session=chat.session, message=first)
    second = chat.read_until("started")["question"]["id"]
    refused = [send(chat, "again", second), send(chat, "edit", second, text="x"), chat.refuse("Two")]
    assert {(told["type"], told["hint"]) for told in refused} == {("refused", "Stop it first.")}
    assert choose(chat, first)["text"] == "An answer is still being written in this conversation."
    chat.stop()
    assert choose(chat, first)["messages"][-1]["state"] == "stopped"


def test_what_failed_stays_with_the_reason_and_is_asked_again_as_a_version(opened: OpenChat) -> None:
    chat = opened("fail")
    failed = chat.answer("Hello")
    first = chat.read_question()
    assert (failed["state"], bool(failed["error"]["text"])) == ("failed", True)
    again = send(chat, "again", first)["question"]
    assert again["versions"] == [[first, again["id"]]]
    question, answer = choose(chat, first)["messages"]
    assert (question["state"], answer["state"], answer["error"]) == ("complete", "failed", failed["error"])


def test_earlier_messages_are_those_of_the_version_that_is_shown(chat: ChatSocket) -> None:
    first = ask(chat, "first")
    for number in range(3):
        ask(chat, str(number))
    edited = send(chat, "edit", first, text="second")["question"]["id"]
    last = ""
    for number in range(30):
        last = ask(chat, f"n{number}")
    page = chat.show(chat.session)
    assert page["has_earlier"]
    chat.send("earlier", session=chat.session, before=page["messages"][0]["id"])
    earlier = chat.read_until("messages")
    texts = [m["text"] for m in (*earlier["messages"], *page["messages"]) if m["role"] == "user"]
    assert texts == ["second", *(f"n{number}" for number in range(30))]
    assert earlier["messages"][0]["versions"] == [[first], [edited]]
    assert list_texts(choose(chat, first))[::2] == ["first", "0", "1", "2"]
    back = choose(chat, edited)  # with all that followed, back to what was chosen
    assert (back["messages"][0]["id"], back["has_earlier"]) == (edited, False)
    assert last in [message["id"] for message in back["messages"]]


@pytest.fixture(params=[("bob", False), ("bob", True), ("a guest", True)])
def letters(request: pytest.FixtureRequest, opened: OpenChat) -> ChatSocket:
    who, is_public = request.param
    return opened("letters", who, is_public=is_public)


def refuse_tweaks(chat: ChatSocket, tweaks: Any) -> str:
    return str(chat.refuse("Hi", tweaks=tweaks)["text"])


def test_what_was_chosen_goes_with_the_message_and_no_other(letters: ChatSocket) -> None:
    assert letters.ask("Hi", tweaks=FRENCH | {"Prompt": {"tone": "stern"}}) == "You said: French, stern, short: Hi"
    assert letters.ask("Hi") == "You said: German, kind, short: Hi"


def test_a_value_that_does_not_fit_is_refused_as_a_tweak_is(letters: ChatSocket) -> None:
    for field, value, says in (
        ("Language.input_value", "Klingon", 'is one of "German", "French", "Spanish" here, not "Klingon".'),
        ("Model.temperature", 1.5, "is at most 1 here, not 1.5."),
        ("Prompt.tone", 5, "is text, not 5."),
    ):
        component, _, name = field.partition(".")
        assert refuse_tweaks(letters, {component: {name: value}}) == f"`{field}` {says}"
    assert letters.ask("Hi") == "You said: German, kind, short: Hi"


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
        assert refuse_tweaks(page, {component: field}) == ONLY_WHAT_IT_ASKS
        assert refuse_tweaks(page, {component: field} | FRENCH) == ONLY_WHAT_IT_ASKS
    assert page.ask("Hi", tweaks=FRENCH) == "You said: French, kind, short: Hi"


def test_a_member_at_the_playground_is_refused_a_closed_field_as_any_tweak(opened: OpenChat) -> None:
    page = opened("letters", "bob")
    for component, field, value in (("Model", "model", "other:echo"), ("Prompt", "template", "x")):
        assert refuse_tweaks(page, {component: {field: value}}) == f"`{component}.{field}` cannot be set here: {OPENED}"
    assert page.ask("Hi", tweaks={"Prompt": {"length": "long"}}) == "You said: German, kind, long: Hi"


def test_a_question_is_asked_again_and_edited_with_what_is_chosen_then(letters: ChatSocket) -> None:
    letters.ask("Hi", tweaks=FRENCH)
    for kind, more, answer in (
        ("again", {"tweaks": {"Language": {"input_value": "Spanish"}}}, "Spanish, kind, short: Hi"),
        ("edit", {"text": "Ho", "tweaks": FRENCH}, "French, kind, short: Ho"),
        ("again", {}, "German, kind, short: Ho"),
    ):
        begin = len(letters.told)
        letters.send(kind, id=kind, session=letters.session, message=letters.read_question(), **more)
        letters.read_until("ended")
        assert read_text(letters.told[begin:], letters.told[-1]) == f"You said: {answer}"


def test_the_message_keeps_it_and_a_page_with_older_options_opens_the_chat(house: AppServer, opened: OpenChat) -> None:
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


def rate(chat: ChatSocket, message: str, value: Any) -> dict[str, Any]:
    chat.send("rate", session=chat.session, message=message, value=value)
    return chat.read_until("rated")


@pytest.mark.parametrize("who", ["bob", "a guest"])
def test_an_answer_is_rated_and_it_stands_there_when_the_page_comes_back(opened: OpenChat, who: str) -> None:
    chat = opened("echo", who, is_public=True)
    assert chat.told[-1]["ratings"] == {}
    answer = chat.answer("Hello")["id"]
    told = {"type": "rated", "session": chat.session, "message": answer, "value": "bad"}
    assert rate(chat, answer, "bad") == told
    again = opened("echo", who, session=chat.session, is_public=True)
    assert again.told[-1]["ratings"] == {answer: "bad"}
    assert rate(again, answer, None)["value"] is None
    assert chat.show(chat.session)["ratings"] == {}


def test_earlier_messages_come_with_their_ratings(opened: OpenChat) -> None:
    chat = opened("echo", "bob")
    first = chat.answer("first")["id"]
    rate(chat, first, "good")
    for number in range(26):
        chat.ask(str(number))
    shown = chat.show(chat.session)
    assert (shown["has_earlier"], shown["ratings"]) == (True, {})
    chat.send("earlier", session=chat.session, before=shown["messages"][0]["id"])
    assert chat.read_until("messages")["ratings"] == {first: "good"}


def test_somebody_elses_answer_is_refused_as_one_that_never_was(opened: OpenChat) -> None:
    chat = opened("echo", "bob")
    answer = chat.answer("Mine")["id"]
    question = chat.show(chat.session)["messages"][0]["id"]
    other = opened("echo", session=chat.session)
    refused = [rate(other, message, "bad")["error"] for message in (answer, question, "never")]
    refused.append(rate(chat, question, "bad")["error"])
    assert refused == [NOT_RATED] * 4
    assert chat.show(chat.session)["ratings"] == {}
    chat.send("rate", session="another", message=answer, value="bad")
    assert chat.read_until("refused")["text"] == "This page shows another conversation by now."


def test_what_is_not_stored_failed_or_is_still_written_cannot_be_rated_what_was_stopped_can(opened: OpenChat) -> None:
    for flow in ("unkept", "fail"):
        chat = opened(flow)
        assert rate(chat, chat.answer("Hello")["id"], "good")["error"] == NOT_RATED
    chat = opened("slow")
    chat.say(LASTING)
    answer = chat.read_until("started")["answers"][0]["id"]
    chat.read_until("text")
    assert rate(chat, answer, "bad")["error"] == NOT_RATED
    chat.stop()
    assert "error" not in rate(chat, answer, "bad")
