"""What a conversation is told while its flow or its model is switched off, and after an admin ended an answer."""

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowground.errors import StoppedByAdmin
from flowground.runtime import Runtime
from tests.chat_socket import TalkHere
from tests.in_process import runtime_of
from tests.running import chat_flow
from tests.servers import write_folder

SAYS = "Back at three."
TOLD = f"This flow is switched off. {SAYS}"
MODEL = f"The model of this flow is switched off. {SAYS}"
CHOICE = 'api: {overridable: [{field: Model.model, choices: ["scripted:echo", "other:echo"]}]}\n'
FLOWS = {
    "talk": chat_flow("scripted:echo", "Talk"),
    "choice": chat_flow("scripted:echo", "Choice") + CHOICE,
    "silent": chat_flow("scripted:silent", "Silent"),
}
CONFIG = {"default_model": "scripted", "providers": {"other": {"type": "scripted"}}, "limits": {"runs_at_once": 1}}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Runtime]:
    with runtime_of(write_folder(tmp_path, config=CONFIG, flows=FLOWS)) as running:
        yield running


def wait(app: Runtime, deed: Coroutine[Any, Any, object]) -> None:
    asyncio.run_coroutine_threadsafe(deed, app.loop).result(60)


def test_what_is_switched_off_is_told_at_once_and_takes_no_message(app: Runtime) -> None:
    page = TalkHere(app, "talk")
    page.show()
    assert page.ask("Hi") == "You said: Hi"
    wait(app, app.switches.switch_off("flow", "talk", says=SAYS, by="cli"))
    assert page.read_until("off")["text"] == TOLD
    name = page.say("My message")
    refused = page.read_until("refused", "started")
    assert (refused["type"], refused["id"], refused["text"]) == ("refused", name, TOLD)
    shown = TalkHere(app, "talk").show(page.session)
    assert (shown["off"], len(shown["messages"])) == (TOLD, 2)
    wait(app, app.switches.switch_on("flow", "talk", by="cli"))
    assert page.read_until("off")["text"] is None
    assert page.ask("again") == "You said: again"


def test_a_model_that_is_off_is_told_unless_an_override_asks_another(app: Runtime) -> None:
    page = TalkHere(app, "choice")
    wait(app, app.switches.switch_off("provider", "scripted", says=SAYS, by="cli"))
    assert page.show()["off"] == MODEL
    other = {"Model": {"model": "other:echo"}}
    page.send("tweaks", tweaks=other)
    assert page.read_until("off")["text"] is None
    assert page.ask("Hi", tweaks=other) == "You said: Hi"
    page.send("tweaks", tweaks={})
    assert page.read_until("off")["text"] == MODEL


def test_an_answer_that_an_admin_stopped_says_so_when_it_is_opened_again(app: Runtime) -> None:
    page = TalkHere(app, "silent")
    page.show()
    page.say("Hi")
    run = page.read_until("started")["run"]
    app.loop.call_soon_threadsafe(app.running.end_early, run, StoppedByAdmin())
    (answer,) = page.read_until("ended")["messages"]
    for told in (answer, TalkHere(app, "silent").show(page.session)["messages"][-1]):
        assert (told["state"], told["error"]["text"]) == ("stopped", "An administrator stopped this answer.")


def test_a_message_that_waits_for_its_place_says_so_in_every_tab_and_goes_on_or_is_stopped(app: Runtime) -> None:
    """One run at once: the first one holds the place."""
    first, page, tab = (TalkHere(app, "silent") for _ in range(3))
    first.show()
    first.say("I hold the place")
    first.read_until("started")
    page.show()
    tab.show(page.session)
    name = page.say("I wait")
    assert page.read() == {"type": "waiting", "id": name, "text": "I wait"}
    assert tab.read() == {"type": "waiting", "id": None, "text": "I wait"}
    late = TalkHere(app, "silent")
    late.show(page.session)
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
    page.send("stop")
    assert [message["state"] for message in page.read_until("ended")["messages"]] == ["stopped"]
