"""Answers that did not come, or not to their end: what the page says of them, at once and when it is opened again."""

import asyncio
import hashlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from streamlit.testing.v1 import AppTest

from flowground.caller import LOCAL_OWNER
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.sources import HubFile
from flowground.providers.builtin.weights import Weights
from flowground.runtime import Runtime
from flowground.store import Store
from flowground.store.runs import progress, turns
from flowground.store.runs.progress import TextsSoFar
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.app_page import only, open_script, press, say
from tests.chat_answers import delta
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.servers import write_folder
from tests.tiny import TINY
from tests.wire import chunked, whole, wire

EMPTY = 'name: Empty\ncomponents:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: " "}\n'
FLOWS = {
    "breaks": flow_text("scripted:breaks", "Breaks"),
    "busy": flow_text("scripted:busy", "Busy"),
    "talk": flow_text("scripted:echo", "Talk"),
    "mute": flow_text("mute:one", "Mute"),
    "halves": flow_text("halves:one", "Halves"),
    "empty": EMPTY,
    "small": flow_text("local", "Small"),
}


@contextmanager
def models(*answers: bytes) -> Iterator[list[str]]:
    """Addresses of model servers that give these answers, from a thread of their own."""
    loop, stop = asyncio.new_event_loop(), threading.Event()
    urls: list[str] = []
    ready = threading.Event()

    async def serve() -> None:
        async with wire([answers[0]]) as one, wire([answers[1]]) as two:
            urls.extend((one.url, two.url))
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield urls
    finally:
        stop.set()
        thread.join(10)
        loop.close()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Runtime]:
    nothing = chunked(delta(""), delta(finish="stop"), b"data: [DONE]\n\n")
    halves = chunked(delta("hi \ud83d"), delta("\ude00 \ud83d"), delta(finish="stop"), b"data: [DONE]\n\n")
    with models(nothing, halves) as (mute, cut):
        providers = {
            name: {"type": "openai", "base_url": f"{url}/v1", "api_key": "k"}
            for name, url in (("mute", mute), ("halves", cut))
        }
        config = write_folder(tmp_path, config={"default_model": "scripted", "providers": providers}, flows=FLOWS)
        with runtime_of(config) as running:
            yield running


def open_chat(flow: str, session: str = "") -> AppTest:
    return open_script("playground", flow=flow, **({"session": session} if session else {}))


def say_in_session(at: AppTest, text: str) -> str:
    """The session in which it was said."""
    return "".join(say(at, text).query_params["session"])


def read_last_bubble(at: AppTest) -> list[str]:
    """The last bubble, from top to bottom."""
    bubble = at.chat_message[-1]
    return [
        str(getattr(element, "label", "") or getattr(element, "value", ""))
        for element in bubble
        if element.type in ("markdown", "error", "button")
    ]


def list_retries(at: AppTest) -> list[str]:
    return [button.label for button in at.button if str(button.key).startswith("retry:")]


@pytest.mark.usefixtures("app")
def test_what_was_said_before_the_connection_broke_stays_with_the_error_below_it() -> None:
    at = open_chat("breaks")
    session = say_in_session(at, "one two three")
    for page in (at, open_chat("breaks", session)):
        text, error, *below = read_last_bubble(page)
        assert text == "You said: one"
        assert "The connection to the scripted model broke" in error
        assert below == [":small[:gray[Copy as code]]", "Try again"]
        assert [steps.label for steps in page.expander] == [":small[2 steps]"]


@pytest.mark.usefixtures("app")
def test_a_busy_model_says_when_to_come_again() -> None:
    at = open_chat("busy")
    say_in_session(at, "Hello")
    assert only(at.error).value.endswith("\n\nTry again in 1 s.")


def test_a_visitor_reads_the_same_advice_at_once_and_later() -> None:
    def draw(wait: int | None) -> None:
        from flowground.ui.chat import answers  # noqa: PLC0415 - AppTest runs this text alone

        answers.draw_failed_answer("The model is busy.", sees_inside=False, wait=wait)

    said = [only(AppTest.from_function(draw, args=(wait,)).run().error).value for wait in (1, None)]
    assert [text.partition("\n\n")[2].replace("\\", "") for text in said] == [
        "Try again in 1 s; if it stays so, tell its author.",
        "Try again in a moment; if it stays so, tell its author.",
    ]


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("flow", "sentence"), [("mute", "The model answered with nothing."), ("empty", "The answer is empty.")]
)
def test_an_empty_answer_is_a_sentence(flow: str, sentence: str) -> None:
    at = open_chat(flow)
    session = say_in_session(at, "Hello")
    for page in (at, open_chat(flow, session)):
        assert read_last_bubble(page)[0] == f":gray[{sentence}]"
        assert list_retries(page) == (["Try again"] if flow == "mute" else [])


@pytest.mark.usefixtures("app")
def test_half_letters_kill_no_page() -> None:
    at = open_chat("halves")
    session = say_in_session(at, "Hello")
    for page in (at, open_chat("halves", session)):
        assert read_last_bubble(page)[0] == "hi 😀 \ufffd"


def test_the_announced_model_is_announced_no_more_once_it_answered(app: Runtime, tmp_path: Path) -> None:
    data = b"{}"
    with models(whole(data), whole(data)) as (hub, _):
        source = HubFile(f"{hub}/tiny.gguf")
        weights = Weights("Tiny", "CC0", "tiny.gguf", len(data), hashlib.sha256(data).hexdigest(), (source,))
        app.models._opened["local"] = Local("local", LocalSettings(), tmp_path / "tiny", weights=weights, program=TINY)
        at = open_chat("small")
        assert [said for said in captions(at) if "The first message fetches" in said]
        say_in_session(at, "Hello")
        assert "tiny: Hello" in read_last_bubble(at)[0]
        assert [said for said in captions(at) if "built-in model" in said] == []


def captions(at: AppTest) -> list[str]:
    return [caption.value for caption in at.caption]


def store(app: Runtime, session: str, *messages: StoredMessage) -> None:
    place: dict[str, Any] = {"flow_id": "talk", "owner": LOCAL_OWNER.key, "session_id": session}

    async def write() -> None:
        for message in messages:
            await app.store.write(turns.begin_turn, **place, message=message)

    asyncio.run_coroutine_threadsafe(write(), app.loop).result(20)


def message(role: Literal["user", "assistant"], text: str) -> StoredMessage:
    run = str(uuid.uuid4())
    return StoredMessage(str(uuid.uuid4()), role, text, "complete", datetime.now(UTC), run_id=run)


def test_a_question_that_nobody_answers_can_be_asked_again(app: Runtime) -> None:
    store(app, "cut", message("user", "first"), message("assistant", "yes"), message("user", "second"))
    at = open_chat("talk", "cut")
    assert read_last_bubble(at)[0] == ":gray[This was interrupted before an answer was kept.]"
    assert list_retries(at) == ["Try again"]
    press(at, "retry:")
    assert "You said: second" in [markdown.value for markdown in at.markdown]
    assert list_retries(at) == []
    for page in (at, open_chat("talk", "cut")):
        assert [bubble.name for bubble in page.chat_message] == ["user", "assistant"] * 3
        assert [markdown.value for markdown in page.markdown if "interrupted" in markdown.value] == [
            ":gray[This was interrupted before an answer was kept.]"
        ]


def test_what_another_process_writes_is_shown_as_far_as_it_is(app: Runtime) -> None:
    """Its lock says that it lives; nobody may ask again meanwhile."""
    other = Store.open(app.settings.database)
    other.process.take()
    place: dict[str, Any] = {"flow_id": "talk", "owner": LOCAL_OWNER.key, "session_id": "elsewhere"}
    at = datetime.now(UTC)
    run = RunRecord("r", "talk", "v", LOCAL_OWNER.key, "elsewhere", "running", at, 0, holder=other.process.id)
    question = StoredMessage("q", "user", "Anybody?", "complete", at, "r")

    async def write() -> None:
        await other.write(turns.begin_turn, **place, message=question, run=run)
        await other.write(progress.keep_texts, texts=[TextsSoFar("r", **place, answers={"a": "So far so good"})])

    asyncio.run(write())
    page = open_script("playground", flow="talk", session="elsewhere")
    texts = [element.value for element in page.markdown]
    assert "So far so good" in texts
    assert any("Another server is writing this answer" in text for text in texts)
    assert [button.label for button in page.button if button.label == "Try again"] == []
    other.close()
    page.run()
    texts = [element.value for element in page.markdown]
    assert any("Interrupted: the server stopped while it wrote this." in text for text in texts)
    assert [button.label for button in page.button if button.label == "Try again"] == ["Try again"]


def test_long_messages_open_a_few_at_a_time(app: Runtime) -> None:
    long = "`" * 199_990
    store(app, "long", *(message("assistant" if n % 2 else "user", f"{n} {long}") for n in range(12)))
    at = open_chat("talk", "long")
    assert [bubble.name for bubble in at.chat_message] == ["user", "assistant"]
    assert only(at.text).value.startswith("10 ")
    press(at, "earlier:talk:long")
    assert len(at.chat_message) == 12
