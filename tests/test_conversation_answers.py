"""Answers that did not come, or not to their end: what a page is told of them, at once and when it is opened again."""

import asyncio
import hashlib
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from flowground.caller import LOCAL_OWNER, Sees
from flowground.conversation.written import write_failure
from flowground.errors import ComponentFailed, ProviderBusy, ProviderError
from flowground.files import FileOffer
from flowground.forgetting import Forgetting
from flowground.providers.builtin.local import Local, LocalSettings
from flowground.providers.builtin.sources import HubFile
from flowground.providers.builtin.weights import Weights
from flowground.runtime import Runtime
from flowground.settings import PublicSettings, RetentionSettings
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.chat_answers import delta
from tests.chat_socket import TalkHere, Told
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.servers import write_folder
from tests.tiny import TINY
from tests.wire import chunked, whole, wire

EMPTY = 'name: Empty\ncomponents:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: " "}\n'
READS = """
chat: {accepts: ["*/*"]}
components:
  In: {type: ChatInput}
  File: {type: File, files: "${In.files}"}
  Out: {type: ChatOutput, input_value: "${In} ${File}"}
"""
FLOWS = {
    "breaks": flow_text("scripted:breaks", "Breaks"),
    "busy": flow_text("scripted:busy", "Busy"),
    "talk": flow_text("scripted:echo", "Talk"),
    "mute": flow_text("mute:one", "Mute"),
    "halves": flow_text("halves:one", "Halves"),
    "empty": EMPTY,
    "small": flow_text("local", "Small"),
    "reads": READS,
    "own": READS.replace('files: "${In.files}"', "path: plan.pdf"),
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
    assert ready.wait(60)
    try:
        yield urls
    finally:
        stop.set()
        thread.join(60)
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


def answer_twice(app: Runtime, flow: str, said: str) -> Iterator[Told]:
    """The answer as it is told at once, and as it stands there when the conversation is opened again."""
    page = TalkHere(app, flow)
    page.show()
    yield page.answer(said)
    yield TalkHere(app, flow).show(page.session)["messages"][-1]


def test_what_was_said_before_the_connection_broke_stays_with_the_error_below_it(app: Runtime) -> None:
    for answer in answer_twice(app, "breaks", "one two three"):
        assert (answer["state"], answer["text"]) == ("failed", "You said: one ")
        reason = "The connection to the scripted model broke. This happened in the component `Model`."
        assert answer["error"]["text"] == reason
        assert answer["facts"]["steps"] == 2


def test_a_busy_model_says_when_to_come_again(app: Runtime) -> None:
    page = TalkHere(app, "busy")
    page.show()
    error = page.answer("Hello")["error"]
    assert (error["hint"], error["seconds"]) == ("Try again in 1 s.", 1)


def test_a_visitor_reads_the_same_advice_at_once_and_later(app: Runtime) -> None:
    failures = (ProviderBusy("The model is busy.", status=429, retry_after=1), ProviderError("The model is busy."))
    told = [write_failure(ComponentFailed("Model", failure), sees_inside=False) for failure in failures]
    assert [error["text"] for error in told] == ["This flow could not answer just now."] * 2
    assert [error["hint"] for error in told] == [
        "Try again in 1 s; if it stays so, tell its author.",
        "Try again in a moment; if it stays so, tell its author.",
    ]
    page = TalkHere(app, "busy", is_public=True)
    page.show()
    assert page.answer("Hello")["error"] == told[0]
    assert page.show(page.session)["messages"][-1]["error"] == told[1]


def test_who_sent_a_damaged_file_reads_so_at_once_and_later_and_what_is_the_authors_stays_hidden(app: Runtime) -> None:
    async def give(pieces: list[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    told = []
    (app.settings.flows / "plan.pdf").write_bytes(b"%PDF-1.7 no more")
    asked: list[tuple[str, Sees]] = [("reads", "answers"), ("reads", "inside"), ("own", "answers")]
    for flow, sees in asked:
        offer = FileOffer(LOCAL_OWNER.owner, "plan.pdf", flow)
        receiving = app.files.receive(give([b"%PDF-1.7 no more"]), offer)
        sent = asyncio.run_coroutine_threadsafe(receiving, app.loop).result(60)
        page = TalkHere(app, flow, caller=replace(LOCAL_OWNER, sees=sees))
        page.show()
        at_once = page.answer("What is it?", files=[sent.reference.id])["error"]
        later = page.show(page.session)["messages"][-1]["error"]
        assert at_once == later
        told.append(at_once)
    damaged = "plan.pdf is a damaged PDF."
    inside = f"{damaged} This happened in the component `File`."
    assert told[:2] == [{"text": said, "hint": None, "is_final": True} for said in (damaged, inside)]
    assert told[2]["text"] == "This flow could not answer just now."
    assert "is_final" not in told[2]


@pytest.mark.parametrize(("flow", "by_model"), [("mute", True), ("empty", False)])
def test_an_empty_answer_is_told_apart(app: Runtime, flow: str, by_model: bool) -> None:
    """So that the page can say who answered with nothing."""
    for answer in answer_twice(app, flow, "Hello"):
        assert (answer["state"], answer["text"].strip(), answer["by_model"]) == ("complete", "", by_model)


def test_half_letters_kill_no_page(app: Runtime) -> None:
    for answer in answer_twice(app, "halves", "Hello"):
        whole = answer["text"].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        assert whole == "hi 😀 \ufffd"


def test_the_fetch_of_a_model_is_told_while_it_goes_on(app: Runtime, tmp_path: Path) -> None:
    data = b"{}"
    with models(whole(data), whole(data)) as (hub, _):
        source = HubFile(f"{hub}/tiny.gguf")
        weights = Weights("Tiny", "CC0", "tiny.gguf", len(data), hashlib.sha256(data).hexdigest(), (source,))
        app.models._opened["local"] = Local("local", LocalSettings(), tmp_path / "tiny", weights=weights, program=TINY)
        page = TalkHere(app, "small")
        page.show()
        assert "tiny: Hello" in page.answer("Hello")["text"]
        told = [frame for frame in page.told if frame["type"] == "progress"]
        assert told
        assert told[-1]["received"] == told[-1]["total"] == len(data)


def store(app: Runtime, session: str, *messages: StoredMessage) -> None:
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(LOCAL_OWNER.owner), "session_id": session}

    async def write() -> None:
        for message in messages:
            await app.store.write(turns.begin_turn, **place, message=message)

    asyncio.run_coroutine_threadsafe(write(), app.loop).result(60)


def message(role: Literal["user", "assistant"], text: str) -> StoredMessage:
    run = str(uuid.uuid4())
    return StoredMessage(str(uuid.uuid4()), role, text, "complete", datetime.now(UTC), run_id=run)


def test_a_question_that_nobody_answers_can_be_asked_again(app: Runtime) -> None:
    store(app, "cut", message("user", "first"), message("assistant", "yes"), message("user", "second"))
    page = TalkHere(app, "talk")
    cut = page.show("cut")["messages"][-1]
    assert (cut["role"], cut["state"], cut["text"]) == ("assistant", "interrupted", "")
    page.send("again", id="again", session="cut", message=cut["id"])
    assert page.read_until("started")["id"] == "again"
    page.read_until("ended")
    messages = TalkHere(app, "talk").show("cut")["messages"]
    assert [said["role"] for said in messages] == ["user", "assistant"] * 2  # the new version stands in its place
    assert [said["state"] for said in messages].count("interrupted") == 0
    assert messages[-1]["text"] == "You said: second"


def test_long_messages_open_a_few_at_a_time(app: Runtime) -> None:
    long = "`" * 199_990
    store(app, "long", *(message("assistant" if n % 2 else "user", f"{n} {long}") for n in range(12)))
    page = TalkHere(app, "talk")
    shown = page.show("long")
    texts = [said["text"][:3].strip("` ") for said in shown["messages"]]
    assert (texts, shown["has_earlier"]) == (["10", "11"], True)
    while shown["has_earlier"]:
        page.send("earlier", session="long", before=shown["messages"][0]["id"])
        shown = page.read_until("messages")
        texts = [said["text"][:3].strip("` ") for said in shown["messages"]] + texts
    assert texts == [str(number) for number in range(12)]


def test_a_chat_of_a_thousand_messages_opens_with_its_newest(app: Runtime) -> None:
    store(app, "many", *(message("assistant" if n % 2 else "user", str(n)) for n in range(120)))
    page = TalkHere(app, "talk")
    shown = page.show("many")
    assert [said["text"] for said in shown["messages"]] == [str(number) for number in range(70, 120)]
    page.send("earlier", session="many", before=shown["messages"][0]["id"])
    earlier = page.read_until("messages")
    assert [said["text"] for said in earlier["messages"]] == [str(number) for number in range(20, 70)]
    page.send("earlier", session="many", before=earlier["messages"][0]["id"])
    first = page.read_until("messages")
    assert ([said["text"] for said in first["messages"]], first["has_earlier"]) == ([str(n) for n in range(20)], False)
    page.send("earlier", session="many", before="of-nobody")
    nothing = page.read_until("messages")
    assert (nothing["messages"], nothing["has_earlier"]) == ([], False)


@pytest.mark.parametrize("days", [0, 1])
def test_messages_whose_contents_were_forgotten_stand_without_steps(app: Runtime, days: int) -> None:
    page = TalkHere(app, "talk")
    page.show()
    assert page.answer("What was said")["text"] == "You said: What was said"
    later = time.time() + 2 * 86_400
    forgets = Forgetting(
        app.store, RetentionSettings(run_contents_days=days), PublicSettings(), now=lambda: later, rest=0
    )
    gone = asyncio.run_coroutine_threadsafe(forgets.forget(), app.loop).result(60)
    assert gone.get("messages' traces and requests", 0) == 2 * days
    question, answer = TalkHere(app, "talk").show(page.session)["messages"]
    assert (question["text"], answer["text"]) == ("What was said", "You said: What was said")
    assert answer["facts"]["steps"] == 4 * (1 - days)
    page.send("steps", session=page.session, message=answer["id"])
    assert len(page.read_until("steps")["steps"]) == 4 * (1 - days)
