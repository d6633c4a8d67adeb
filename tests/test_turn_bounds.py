"""No answer is without end: in length, in time, in memory; and what was said before a bound is kept."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import ComponentFailed, RunTimeout
from flowground.core.events import ComponentFinished, Event, ModelProgress, Token, TurnFinished
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.running import chat_flow, running, start_turn, watch
from tests.stored import list_messages, list_runs
from tests.test_turns import say

FLOWS = {name: chat_flow(f"scripted:{name}") for name in ("echo", "long", "silent", "fetching")} | {
    "template": """
components:
  ChatInput: {type: ChatInput}
  Twice: {type: Prompt, template: "{said} {said}", said: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Twice}"}
""",
    "two": """
components:
  ChatInput: {type: ChatInput}
  First: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}"}
  Second: {type: LanguageModel, model: "scripted:fail", input_value: "${First}"}
  ChatOutput: {type: ChatOutput, input_value: "${Second}"}
""",
}


def said(session: str = "s", text: str = "x") -> RunRequest:
    return RunRequest(input_value=text, session_id=session, stream=True)


async def answer(runtime: Runtime, flow: str) -> tuple[StoredMessage, RunRecord]:
    """The one answer that is stored, and its run."""
    _, stored = await runtime.store.read(list_messages, flow_id=flow, owner=str(LOCAL_OWNER.owner), session_id="s")
    [run] = await runtime.store.read(list_runs, flow_id=flow)
    return stored, run


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("flow", "text", "begins"),
    [
        ("echo", "one two three four", "You said: one two thr"),
        ("echo", "one two four", "You said: one two fou"),
        ("template", "one two three four", "one two three four on"),
    ],
)
async def test_an_answer_over_the_limit_fails_and_keeps_as_much_as_may_be(
    tmp_path: Path, flow: str, text: str, begins: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowground.runs.runner.LONGEST_ANSWER", 21)
    async with running(tmp_path, FLOWS) as runtime:
        with pytest.raises(ComponentFailed) as failure:
            await say(runtime, flow, text, stream=stream)
        assert failure.value.code == "answer_too_long"
        assert failure.value.hide_inside().message == (
            "The answer is longer than 21 characters, the longest this server takes."
        )
        stored, run = await answer(runtime, flow)
        assert (stored.state, stored.text, run.error_code) == ("failed", begins, "answer_too_long")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_has_a_longest_time(tmp_path: Path, stream: bool) -> None:
    """Also where nobody waits for its end, as at a page."""
    async with running(tmp_path, FLOWS, config={"limits": {"run_seconds": 1.2}}) as runtime:
        with pytest.raises(RunTimeout, match=r"longer than 1\.2 seconds"):
            await say(runtime, "silent", "x", stream=stream)
        stored, run = await answer(runtime, "silent")
        assert (stored.state, stored.text, run.error_code) == ("failed", "", "run_timeout")
        with pytest.raises(RunTimeout):
            await say(runtime, "long", "x", stream=True)
        stored, _ = await answer(runtime, "long")
        assert stored.text.startswith("word1 ")
        turn = await start_turn(runtime, LOCAL_OWNER, "silent", said("page"))
        with pytest.raises(RunTimeout):
            async with asyncio.timeout(60):
                _ = [event async for event in watch(turn)]


async def test_fetching_the_model_is_no_part_of_the_runs_time(tmp_path: Path) -> None:
    """Nor of the model's. Four pieces of progress and three of the answer, half a second before each."""
    config = {"limits": {"run_seconds": 3}, "providers": {"scripted": {"delay": 0.5}}}
    async with running(tmp_path, FLOWS, config=config) as runtime:
        begun = time.perf_counter()
        *told, end = await say(runtime, "fetching", "x", stream=True)
        assert isinstance(end, TurnFinished)
        assert end.seconds < 3 < time.perf_counter() - begun
        assert max(event.seconds for event in told if isinstance(event, ComponentFinished)) <= end.seconds
        assert [event.received for event in told if isinstance(event, ModelProgress)] == [0, 400, 800, 1000]


async def test_a_model_inside_an_inner_flow_is_waited_for_too_and_says_so_outside(tmp_path: Path) -> None:
    each = """
components:
  Each: {type: ForEach, data: [one], flow: fetching}
  ChatOutput: {type: ChatOutput, input_value: "${Each}"}
"""
    async with running(tmp_path, FLOWS | {"each": each}) as runtime:
        *told, end = await say(runtime, "each", "x", stream=True)
        assert isinstance(end, TurnFinished)
        assert end.outputs[0].text == "You said: one"
        assert [event.received for event in told if isinstance(event, ModelProgress)] == [0, 400, 800, 1000]
        assert not [event for event in told if isinstance(event, Token)]
        with pytest.raises(ComponentFailed, match="being fetched"):
            await say(runtime, "each", "x", stream=False)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_and_a_stopped_run_have_their_trace(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        with pytest.raises(ComponentFailed):
            await say(runtime, "two", "x", stream=stream)
        stored, _ = await answer(runtime, "two")
        assert [step.component_id for step in stored.trace] == ["ChatInput", "First"]
        with pytest.raises(TimeoutError):
            await say(runtime, "silent", "x", stream=stream, leave_at=1.5)
        stored, _ = await answer(runtime, "silent")
        assert (stored.state, [step.component_id for step in stored.trace]) == ("stopped", ["ChatInput"])


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_could_not_be_stored_is_marked_as_failed(tmp_path: Path, stream: bool) -> None:
    """The database refuses whole runs, and takes failed ones."""
    async with running(tmp_path, FLOWS) as runtime:
        await runtime.store.write(refuse_complete_runs)
        with pytest.raises(Exception, match="no room for it"):
            await say(runtime, "echo", "hi", stream=stream)
        stored, run = await answer(runtime, "echo")
        assert (stored.state, stored.text, run.status) == ("failed", "You said: hi", "failed")
        assert stored.error


def refuse_complete_runs(connection: Any) -> None:
    connection.exec_driver_sql(
        "CREATE TRIGGER refuse BEFORE INSERT ON runs WHEN NEW.status = 'complete' "
        "BEGIN SELECT RAISE(ABORT, 'no room for it'); END"
    )


async def test_a_long_turn_is_kept_in_stretches_for_those_who_come_late_and_waits_for_no_watcher(
    tmp_path: Path,
) -> None:
    pieces = [f"{number} " for number in range(5000)]
    async with running(tmp_path, FLOWS, config={"providers": {"scripted": {"pieces": pieces}}}) as runtime:
        turn = await start_turn(runtime, LOCAL_OWNER, "echo", said())
        async with aclosing(watch(turn)) as idle:
            await anext(idle)
            early = [event async for event in watch(turn)]
            async with asyncio.timeout(60):
                await asyncio.wait([turn.task])
        late = [event async for event in watch(turn)]
        for seen in (early, late):
            assert "".join(event.text for event in seen if isinstance(event, Token)) == "".join(pieces)
            assert isinstance(seen[-1], TurnFinished)
        assert sum(isinstance(event, Token) for event in late) < 50
        stored, _ = await answer(runtime, "echo")
        assert (stored.state, stored.text[-5:]) == ("complete", "4999 ")


async def test_two_answers_at_once_stay_apart_for_every_watcher(tmp_path: Path) -> None:
    flow = """
components:
  ChatInput: {type: ChatInput}
  Left: {type: LanguageModel, model: "scripted:slow", input_value: "left ${ChatInput}"}
  Right: {type: LanguageModel, model: "scripted:slow", input_value: "right ${ChatInput}"}
  Above: {type: ChatOutput, input_value: "${Left}"}
  Below: {type: ChatOutput, input_value: "${Right}"}
"""
    async with running(tmp_path, {"pair": flow}) as runtime:
        turn = await start_turn(runtime, LOCAL_OWNER, "pair", said(text="a b c d e"))
        watchers = []
        for _ in range(3):
            watchers.append(asyncio.ensure_future(texts_of(watch(turn))))
            await asyncio.sleep(0.08)
        await asyncio.wait([turn.task])
        watchers.append(asyncio.ensure_future(texts_of(watch(turn))))
        for texts in await asyncio.gather(*watchers):
            assert texts == {"Above": "You said: left a b c d e", "Below": "You said: right a b c d e"}


async def texts_of(events: AsyncGenerator[Event, None]) -> dict[str, str]:
    texts: dict[str, str] = {}
    async for event in events:
        if isinstance(event, Token):
            texts[event.component_id] = texts.get(event.component_id, "") + event.text
    return texts
