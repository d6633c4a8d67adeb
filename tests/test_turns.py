"""One message and its reply: stored before it is told, kept when it is stopped, marked when it fails."""

import asyncio
import sqlite3
from contextlib import aclosing
from pathlib import Path

import pytest

from flowground.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.errors import ComponentFailed, InvalidRequest, TweaksRefused
from flowground.events import Event, Token, TurnFinished, TurnStarted
from flowground.runtime import Runtime
from flowground.store.runs.records import StoredMessage
from tests.running import chat_flow, running, take_turn
from tests.stored import list_messages, list_runs

pytestmark = pytest.mark.anyio

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


async def say(runtime: Runtime, flow: str, text: str, *, session: str = "s", stream: bool = False) -> list[Event]:
    wired = await runtime.access.open_flow(LOCAL_OWNER, flow)
    turn = take_turn(runtime, LOCAL_OWNER, wired, RunRequest(input_value=text, session_id=session, stream=stream))
    async with asyncio.timeout(60), aclosing(turn) as events:
        return [event async for event in events]


async def kept(runtime: Runtime, flow: str, *, caller: Caller = LOCAL_OWNER) -> list[StoredMessage]:
    return await runtime.store.read(list_messages, flow_id=flow, owner=str(caller.owner), session_id="s")


async def test_the_message_is_stored_before_the_run_and_the_answer_before_it_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "echo")
        request = RunRequest(input_value="hi", session_id="s")
        async with aclosing(take_turn(runtime, LOCAL_OWNER, wired, request)) as events:
            async for event in events:
                texts = [message.text for message in await kept(runtime, "echo")]
                if isinstance(event, TurnStarted):
                    assert texts == ["hi"]
                if isinstance(event, TurnFinished):
                    assert texts == ["hi", "You said: hi"]


async def test_an_answer_keeps_model_usage_seconds_and_trace(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        await say(runtime, "echo", "hi")
        _, answer = await kept(runtime, "echo")
        assert answer.model == "scripted:echo"
        assert answer.usage is not None
        assert answer.usage.output_tokens > 0
        assert answer.seconds is not None
        assert [step.component_id for step in answer.trace] == ["ChatInput", "Model", "ChatOutput"]


async def test_two_answers_of_a_run_store_its_usage_and_trace_once(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        end = (await say(runtime, "two", "hi"))[-1]
        assert isinstance(end, TurnFinished)
        assert end.usage is not None
        _, first, second = await kept(runtime, "two")
        assert (first.usage, second.usage) == (end.usage, None)
        names = [step.component_id for step in first.trace]
        assert sorted(names) == ["ChatInput", "First", "Model", "Second"]
        assert second.trace == ()
        assert (first.model, second.model) == ("scripted:echo", "scripted:echo")
        (run,) = await runtime.store.read(list_runs, flow_id="two")
        assert run.usage == end.usage


async def test_a_stopped_answer_keeps_what_was_said(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
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


async def test_a_failure_is_stored_as_such_and_left_out_of_the_history(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        with pytest.raises(ComponentFailed):
            await say(runtime, "fail", "hi")
        question, answer = await kept(runtime, "fail")
        assert (question.text, answer.state, answer.text) == ("hi", "failed", "")
        assert answer.error == "Component 'Model' failed: The scripted model fails."


async def test_an_answer_that_broke_keeps_what_was_said_beside_why_it_ended(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        with pytest.raises(ComponentFailed):
            await say(runtime, "breaks", "one two three", stream=True)
        _, answer = await kept(runtime, "breaks")
        assert (answer.state, answer.text) == ("failed", "You said: one ")
        assert answer.error == "Component 'Model' failed: The connection to the scripted model broke."


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


async def test_the_history_has_what_was_said_before_and_never_the_present_message(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
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


async def test_sessions_of_two_callers_with_one_id_never_meet(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        await say(runtime, "echo", "mine")
        stranger = Caller(kind="token", id="t", role="admin")
        assert await kept(runtime, "echo", caller=stranger) == []
