"""Answers that did not come, or not to their end: what a page is told of them, at once and when it is opened again.

Connections that are cut in the middle of an answer: nothing is missing, and no letter comes twice.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowground.app.retention import RetentionTask
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Sees
from flowground.core.errors import ComponentFailed, ProviderBusy, ProviderError, StoppedByAdmin
from flowground.providers.scripted import Scripted
from flowground.runs.files import FileOffer
from flowground.settings import RetentionSettings
from flowground.settings.limits import PublicSettings
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from flowground.ui.conversation.messages import write_failure
from flowground.ui.page import parts
from tests.app_page import open_script, read
from tests.chat_socket import TalkHere, Told, join_texts
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.running import chat_flow
from tests.servers import write_folder
from tests.switched import SAYS, switch_off, switch_on

READS = """
chat: {accepts: ["*/*"]}
components:
  In: {type: ChatInput}
  File: {type: File, files: "${In.files}"}
  Out: {type: ChatOutput, input_value: "${In} ${File}"}
"""
CHOICE = 'api: {overridable: [{field: Model.model, choices: ["scripted:echo", "other:echo"]}]}\n'
FLOWS = {
    "breaks": flow_text("scripted:breaks", "Breaks"),
    "busy": flow_text("scripted:busy", "Busy"),
    "talk": flow_text("scripted:echo", "Talk"),
    "mute": flow_text("mute:echo", "Mute"),
    "halves": flow_text("halves:echo", "Halves"),
    "empty": 'name: Empty\ncomponents:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: " "}\n',
    "fetching": flow_text("scripted:fetching", "Fetching"),
    "reads": READS,
    "own": READS.replace('files: "${In.files}"', "path: plan.pdf"),
    "choice": chat_flow("scripted:echo", "Choice") + CHOICE,
    "silent": chat_flow("scripted:silent", "Silent"),
}
CONFIG = {
    "default_model": "scripted",
    "providers": {name: {"type": "scripted"} for name in ("mute", "halves", "other")},
    "limits": {"runs_at_once": 1},
}
OFF = f"This flow is switched off. {SAYS}"
MODEL_OFF = f"The model of this flow is switched off. {SAYS}"
OTHER = {"Model": {"model": "other:echo"}}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Runtime]:
    with runtime_of(write_folder(tmp_path, config=CONFIG, flows=FLOWS)) as running:
        running.models._opened["mute"] = Scripted(pieces=("",))
        running.models._opened["halves"] = Scripted(pieces=("hi \ud83d", "\ude00 \ud83d"))
        yield running


def wait(app: Runtime, deed: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run_coroutine_threadsafe(deed, app.loop).result(60)


def show(app: Runtime, flow: str, session: str = "", **more: Any) -> TalkHere:
    page = TalkHere(app, flow, **more)
    page.show(session)
    return page


def answer_twice(app: Runtime, flow: str, said: str) -> Iterator[Told]:
    """The answer as it is told at once, and as it stands there when the conversation is opened again."""
    page = show(app, flow)
    yield page.answer(said)
    yield TalkHere(app, flow).show(page.session)["messages"][-1]


def test_what_was_said_before_the_connection_broke_stays_with_the_error_below_it(app: Runtime) -> None:
    for answer in answer_twice(app, "breaks", "one two three"):
        assert (answer["state"], answer["text"]) == ("failed", "You said: one ")
        reason = "The connection to the scripted model broke. This happened in the component `Model`."
        assert (answer["error"]["text"], answer["facts"]["steps"]) == (reason, 2)


def test_a_visitor_reads_the_same_advice_at_once_and_later(app: Runtime) -> None:
    failures = (ProviderBusy("The model is busy.", status=429, retry_after=1), ProviderError("The model is busy."))
    told = [write_failure(ComponentFailed("Model", failure), sees_inside=False) for failure in failures]
    assert [error["hint"].partition(";")[0] for error in told] == ["Try again in 1 s", "Try again in a moment"]
    page = show(app, "busy", is_public=True)
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
        sent = wait(app, app.files.receive(give([b"%PDF-1.7 no more"]), offer))
        page = show(app, flow, caller=replace(LOCAL_OWNER, sees=sees))
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


def test_the_fetch_of_a_model_is_told_while_it_goes_on(app: Runtime) -> None:
    page = show(app, "fetching")
    assert page.answer("Hello")["text"] == "You said: Hello"
    told = [frame for frame in page.told if frame["type"] == "progress"]
    assert told
    assert told[-1]["received"] == told[-1]["total"] == 1_000


def store(app: Runtime, session: str, *texts: str) -> None:
    """Questions and answers in turn."""
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(LOCAL_OWNER.owner), "session_id": session}
    for number, text in enumerate(texts):
        role: Any = ("user", "assistant")[number % 2]
        message = StoredMessage(f"{session}{number}", role, text, "complete", datetime.now(UTC), run_id=f"r{number}")
        wait(app, app.store.write(turns.begin_turn, **place, message=message))


def test_a_question_that_nobody_answers_can_be_asked_again(app: Runtime) -> None:
    store(app, "cut", "first", "yes", "second")
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


def test_a_chat_of_a_thousand_messages_opens_with_its_newest(app: Runtime) -> None:
    store(app, "many", *map(str, range(120)))
    page = TalkHere(app, "talk")
    shown = page.show("many")
    for first, last in ((70, 120), (20, 70), (0, 20)):
        texts = [said["text"] for said in shown["messages"]]
        assert (texts, shown["has_earlier"]) == ([str(number) for number in range(first, last)], first > 0)
        before = shown["messages"][0]["id"]
        page.send("earlier", session="many", before=before if first else "of-nobody")
        shown = page.read_until("messages")
    assert (shown["messages"], shown["has_earlier"]) == ([], False)


@pytest.mark.parametrize("days", [0, 1])
def test_messages_whose_contents_were_forgotten_stand_without_steps(app: Runtime, days: int) -> None:
    page = show(app, "talk")
    page.ask("What was said")
    later, keeps = time.time() + 2 * 86_400, RetentionSettings(run_contents_days=days)
    gone = wait(app, RetentionTask(app.store, keeps, PublicSettings(), now=lambda: later, rest=0).forget())
    assert gone.get("messages' traces and requests", 0) == 2 * days
    question, answer = TalkHere(app, "talk").show(page.session)["messages"]
    assert (question["text"], answer["text"]) == ("What was said", "You said: What was said")
    assert answer["facts"]["steps"] == 4 * (1 - days)
    page.send("steps", session=page.session, message=answer["id"])
    assert len(page.read_until("steps")["steps"]) == 4 * (1 - days)


def test_what_is_switched_off_is_told_at_once_and_takes_no_message(app: Runtime) -> None:
    page, home = show(app, "talk"), open_script()
    assert page.ask("Hi") == "You said: Hi"
    assert OFF not in read(home)
    wait(app, switch_off(app, "flow", "talk"))
    assert page.read_until("off")["text"] == OFF
    assert page.refuse("My message")["text"] == OFF
    shown = TalkHere(app, "talk").show(page.session)
    assert (shown["off"], len(shown["messages"])) == (OFF, 2)
    home.run()
    assert [OFF in block.proto.body for block in home.get("html")].count(True) == 1
    assert "Talk" in [link.proto.label for link in home.get("page_link")]
    assert [info.value for info in open_script("api_access", flow="talk").info] == [OFF]
    wait(app, switch_on(app, "flow", "talk"))
    assert page.read_until("off")["text"] is None
    assert page.ask("again") == "You said: again"


def test_a_model_that_is_off_is_told_unless_an_override_asks_another(app: Runtime) -> None:
    page = TalkHere(app, "choice")
    wait(app, switch_off(app, "provider", "scripted"))
    assert page.show()["off"] == MODEL_OFF
    page.send("tweaks", tweaks=OTHER)
    assert page.read_until("off")["text"] is None
    assert page.ask("Hi", tweaks=OTHER) == "You said: Hi"
    page.send("tweaks", tweaks={})
    assert page.read_until("off")["text"] == MODEL_OFF
    wired = app.catalogue.list_flows()["choice"]
    assert [parts.find_sentence(LOCAL_OWNER, wired, tweaks) for tweaks in (OTHER, {})] == ["", MODEL_OFF]


def test_an_answer_that_an_admin_stopped_says_so_when_it_is_opened_again(app: Runtime) -> None:
    page = show(app, "silent")
    page.say("Hi")
    run = page.read_until("started")["run"]
    app.loop.call_soon_threadsafe(app.running.end_early, run, StoppedByAdmin())
    (answer,) = page.read_until("ended")["messages"]
    for told in (answer, TalkHere(app, "silent").show(page.session)["messages"][-1]):
        assert (told["state"], told["error"]["text"]) == ("stopped", "An administrator stopped this answer.")


def test_a_message_that_waits_for_its_place_says_so_in_every_tab_and_goes_on_or_is_stopped(app: Runtime) -> None:
    """One run at once: the first one holds the place."""
    first, page = show(app, "silent"), show(app, "silent")
    tab = show(app, "silent", page.session)
    first.say("I hold the place")
    first.read_until("started")
    name = page.say("I wait")
    assert page.read() == {"type": "waiting", "id": name, "text": "I wait"}
    assert tab.read() == {"type": "waiting", "id": None, "text": "I wait"}
    late = show(app, "silent", page.session)
    assert late.read() == {"type": "waiting", "id": None, "text": "I wait"}
    tab.send("stop")
    for told, named in ((page, name), (tab, None), (late, None)):
        refused = told.read()
        assert (refused["type"], refused["id"]) == ("refused", named)
        assert refused["text"] == "Stopped while it waited; nothing was sent."
    again = page.say("I wait again")
    assert page.read_until("waiting")["id"] == again
    first.send("stop")
    assert page.read_until("started")["id"] == again
    assert [message["state"] for message in page.stop()["messages"]] == ["stopped"]


PIECES = [f"{'🦜é x'[number % 4]}{number} " for number in range(120)]
TWO = """\
name: Two
components:
  ChatInput: {type: ChatInput}
  One: {type: LanguageModel, model: "quick:echo", input_value: "${ChatInput}"}
  Two: {type: LanguageModel, model: "slow:echo", input_value: "${ChatInput}"}
  First: {type: ChatOutput, input_value: "${One}"}
  Second: {type: ChatOutput, input_value: "${Two}"}
"""
PACED = {
    "providers": {
        "quick": {"type": "scripted", "pieces": PIECES, "delay": 0.01},
        "slow": {"type": "scripted", "pieces": PIECES[::-1], "delay": 0.025},
    }
}
LONG = "name: Long\ncomponents:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: '${In}'}\n"


@pytest.fixture
def paced(tmp_path: Path) -> Iterator[Runtime]:
    with runtime_of(write_folder(tmp_path, config=PACED, flows={"two": TWO, "long": LONG})) as running:
        yield running


@contextmanager
def held_back(paced: Runtime, *pages: TalkHere) -> Iterator[None]:
    """These pages take nothing."""
    until = asyncio.run_coroutine_threadsafe(make_event(), paced.loop).result(60)
    for page in pages:
        page.hold_back(until)
    yield
    paced.loop.call_soon_threadsafe(until.set)


async def make_event() -> asyncio.Event:
    return asyncio.Event()


@pytest.mark.parametrize("seed", range(3))
def test_a_page_that_comes_back_goes_on_where_it_was(paced: Runtime, seed: int) -> None:
    """Two answers grow at once; after a few frames, by chance, the connection is lost."""
    chance = random.Random(seed)
    steady = show(paced, "two")
    steady.say("Begin")
    run = steady.read_until("started")["run"]
    told: list[Told] = []
    number, cuts, ended = 0, 0, None
    while ended is None:
        page = TalkHere(paced, "two")
        shown = page.show(steady.session, **({"after": {"run": run, "number": number}} if number else {}))
        if shown["running"] is None:
            ended = page.told[-1]
            break
        for _ in range(chance.randint(1, 4)):
            frame = page.read()
            told.append(frame)
            number = max(number, frame.get("number", 0))
            if frame["type"] == "ended":
                ended = frame
                break
        cuts += 1
        page.leave()
    assert cuts >= 2
    final = steady.read_until("ended")
    ids = [message["id"] for message in final["messages"]]
    whole = join_texts(steady.told)
    assert [whole[key] for key in ids] == ["".join(PIECES), "".join(PIECES[::-1])]
    texts = join_texts(told)  # which asserts that each piece begins where the one before ended
    stored = {message["id"]: message["text"] for message in TalkHere(paced, "two").show(steady.session)["messages"]}
    for key in ids:
        assert stored[key] == whole[key]
        assert whole[key].startswith(texts[key])
        if ended["type"] == "ended":
            assert texts[key] == whole[key]


def test_a_reader_that_takes_nothing_gets_the_rest_in_one_piece(paced: Runtime) -> None:
    """Its frames are not piled up: once it reads again, one frame has all that grew."""
    steady = show(paced, "two")
    lazy = show(paced, "two", steady.session)
    with held_back(paced, lazy):
        steady.ask("Begin " + "x" * 100_000)
    lazy.read_until("ended")
    assert join_texts(lazy.told) == join_texts(steady.told)
    assert len([frame for frame in lazy.told if frame["type"] == "text"]) < 4


def test_a_page_that_was_cut_off_for_reading_nothing_leaves_nothing_behind(tmp_path: Path) -> None:
    config = {"limits": {"request_seconds": 1}}
    with runtime_of(write_folder(tmp_path, config=config, flows={"long": LONG})) as impatient:
        steady, lazy = show(impatient, "long"), TalkHere(impatient, "long")
        steady.ask("Begin " + "x" * 100_000)
        with held_back(impatient, lazy):
            for _ in range(3):  # it has asked for more before it is cut off
                lazy.send("open", session=steady.session)
            lazy.wait_for_cut()
            lazy.leave()
            lazy.wait_for_end()
