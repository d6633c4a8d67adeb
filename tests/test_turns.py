"""One message and its reply: stored before it is told, kept when it is stopped, marked when it fails."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from flowground.app import authorize
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import ComponentFailed, FlowNotFound, InvalidRequest, NotSignedIn, RunStopped, TweaksRefused
from flowground.core.events import Event, Token, TurnFinished, TurnStarted
from flowground.store import publications
from flowground.store.people import members
from flowground.store.publications import Sharing
from flowground.store.runs.records import StoredMessage
from tests.people import PASSWORD, make_cookie
from tests.run_rows import eventually
from tests.running import chat_flow, running, start_turn, take_turn
from tests.stored import list_messages, list_runs

FLOWS = {
    "echo": chat_flow("scripted:echo"),
    "long": chat_flow("scripted:long"),
    "fail": chat_flow("scripted:fail"),
    "two": """
components:
  ChatInput: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}"}
  First: {type: ChatOutput, input_value: "${Model}"}
  Second: {type: ChatOutput, input_value: "Again: ${Model}"}
""",
    "breaks": chat_flow("scripted:breaks"),
    "memory": """
components:
  ChatInput: {type: ChatInput}
  Memory: {type: MessageHistory}
  ChatOutput: {type: ChatOutput, input_value: "${Memory}"}
""",
}


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with running(tmp_path, FLOWS) as runtime:
        yield runtime


async def say(
    runtime: Runtime, flow: str, text: str, *, session: str = "s", stream: bool = False, leave_at: float = 60
) -> list[Event]:
    wired = await runtime.access.open_flow(LOCAL_OWNER, flow)
    turn = take_turn(runtime, LOCAL_OWNER, wired, RunRequest(input_value=text, session_id=session, stream=stream))
    async with asyncio.timeout(leave_at), aclosing(turn) as events:
        return [event async for event in events]


async def kept(runtime: Runtime, flow: str, *, caller: Caller = LOCAL_OWNER) -> list[StoredMessage]:
    return await runtime.store.read(list_messages, flow_id=flow, owner=str(caller.owner), session_id="s")


async def test_the_message_is_stored_before_the_run_and_the_answer_before_it_is_told(runtime: Runtime) -> None:
    wired = await runtime.access.open_flow(LOCAL_OWNER, "echo")
    request = RunRequest(input_value="hi", session_id="s")
    async with aclosing(take_turn(runtime, LOCAL_OWNER, wired, request)) as events:
        async for event in events:
            texts = [message.text for message in await kept(runtime, "echo")]
            if isinstance(event, TurnStarted):
                assert texts == ["hi"]
            if isinstance(event, TurnFinished):
                assert texts == ["hi", "You said: hi"]


async def test_a_stopped_answer_keeps_what_was_said(runtime: Runtime) -> None:
    wired = await runtime.access.open_flow(LOCAL_OWNER, "long")
    request = RunRequest(input_value="hi", session_id="s", stream=True)
    said = ""
    async with aclosing(take_turn(runtime, LOCAL_OWNER, wired, request)) as events:
        async for event in events:
            if isinstance(event, Token):
                said += event.text
                if said.count(" ") == 2:
                    break
    _, answer = await kept(runtime, "long")
    assert (answer.state, answer.text) == ("stopped", said)


@pytest.mark.parametrize(
    ("flow", "text", "error"),
    [
        ("fail", "", "Component 'Model' failed: The scripted model fails."),
        ("breaks", "You said: one ", "Component 'Model' failed: The connection to the scripted model broke."),
    ],
)
async def test_a_failed_answer_keeps_what_was_said_beside_why_it_ended(
    runtime: Runtime, flow: str, text: str, error: str
) -> None:
    with pytest.raises(ComponentFailed):
        await say(runtime, flow, "one two three", stream=True)
    question, answer = await kept(runtime, flow)
    assert (question.text, answer.state, answer.text, answer.error) == ("one two three", "failed", text, error)


async def test_a_failure_that_cannot_be_stored_is_told_as_what_it_was(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"limits": {"store_seconds": 1}}) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "fail")
        turn = take_turn(runtime, LOCAL_OWNER, wired, RunRequest(input_value="hi", session_id="s"))
        async with asyncio.timeout(60), aclosing(turn) as events:
            assert isinstance(await anext(events), TurnStarted)
            lock = sqlite3.connect(tmp_path / "data" / "flowground.db", isolation_level=None)
            lock.execute("BEGIN IMMEDIATE")
            with pytest.raises(ComponentFailed):
                await anext(events)
            lock.close()


async def test_the_history_has_what_was_said_before_and_never_the_present_message(runtime: Runtime) -> None:
    for text in ("one", "two"):
        await say(runtime, "memory", text)
    messages = [message.text for message in await kept(runtime, "memory")]
    assert messages == ["one", "", "two", "User: one\nAI: "]


async def test_nothing_is_stored_of_a_refused_request(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"limits": {"message_chars": 5}}) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "echo")
        refused = (
            (RunRequest(input_value="hi", session_id="s", tweaks={"Nobody": {"x": 1}}), TweaksRefused),
            (RunRequest(input_value="too long", session_id="s"), InvalidRequest),
        )
        for request, error in refused:
            with pytest.raises(error):
                await anext(take_turn(runtime, LOCAL_OWNER, wired, request))
        assert await kept(runtime, "echo") == []


async def test_sessions_of_two_callers_with_one_id_never_meet(runtime: Runtime) -> None:
    await say(runtime, "echo", "mine")
    assert await kept(runtime, "echo", caller=Caller(kind="token", id="t", role="admin")) == []


@pytest.mark.parametrize("who", ["visitor", "member", "removed", "signed out"])
async def test_a_message_in_line_is_not_answered_once_its_sender_lost_the_flow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(authorize, "_RIGHTS_TTL_SECONDS", 0)  # who waited for longer than that is looked at again
    config = {"limits": {"runs_at_once": 1}, "sharing": {"allow_public": True}}
    async with running(tmp_path, FLOWS, config=config) as runtime:
        write = runtime.store.write
        await write(publications.change, flow_id="echo", sharing=Sharing(True, "public"), by="tests")
        await runtime.sign_in.roster.add_first("ada", "Ada", PASSWORD)
        await runtime.sign_in.roster.add("mia", role="member", by="tests")
        caller = await runtime.sign_in.verify_cookie(await make_cookie(runtime.sign_in, "mia"))
        if who == "visitor":
            caller = await runtime.access.admit_visitor("browser", "echo")
        assert caller is not None
        await runtime.admission.acquire()  # the only place

        async def is_in_line() -> bool:
            return waiting.is_waiting and bool(runtime.admission._waiting)

        waiting = await start_turn(runtime, caller, "echo", RunRequest(input_value="hi", session_id="s"))
        await eventually(is_in_line)
        if who == "removed":
            await write(members.remove, member="mia", by="tests")
        elif who == "signed out":
            await runtime.sign_in.revoke(str(caller.sign_in_id))
        else:
            await write(publications.change, flow_id="echo", sharing=Sharing(False), by="tests")
        runtime.admission.release()
        await asyncio.wait([waiting.task])
        assert type(waiting.journal.error) is (FlowNotFound if who in ("visitor", "member") else NotSignedIn)
        assert await runtime.store.read(list_runs, flow_id="echo") == []
        await runtime.admission.acquire()  # it is free again


async def test_an_answer_ends_with_the_sign_in_that_asked_for_it(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        await runtime.sign_in.roster.add_first("ada", "Ada", PASSWORD)
        ada = await runtime.sign_in.verify_cookie(await make_cookie(runtime.sign_in, "ada"))
        assert ada is not None
        turn = await start_turn(runtime, ada, "long", RunRequest(input_value="hi", session_id="s"))
        assert await turn.wait_for_begin() is None
        await runtime.sign_in.revoke(str(ada.sign_in_id))
        await asyncio.wait([turn.task])
        assert type(turn.journal.error) is RunStopped
