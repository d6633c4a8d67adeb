"""Runs belong to the runtime: who watches may come late, come twice, or leave."""

import asyncio
from pathlib import Path

import pytest

from flowground.app.live_turns import LiveTurn
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.core.errors import ComponentFailed, InvalidRequest, NotSignedIn, RunStopped
from flowground.core.events import Token, TurnFinished
from tests.flow_texts import wired
from tests.people import PASSWORD
from tests.running import chat_flow, running, start_turn, watch
from tests.stored import list_messages

FLOWS = {name: chat_flow(f"scripted:{name}") for name in ("slow", "long", "silent", "fail")}
TWO_MODELS = """\
components:
  First: {type: LanguageModel, model: "scripted:echo", input_value: x}
  Agent: {type: Agent, model: "scripted:fetching", input_value: "${First}"}
  Out: {type: ChatOutput, input_value: "${Agent}"}
"""


async def begin(runtime: Runtime, flow: str, text: str = "one two three") -> LiveTurn:
    return await start_turn(runtime, LOCAL_OWNER, flow, RunRequest(input_value=text, session_id="s", stream=True))


async def text_of(turn: LiveTurn) -> str:
    async with asyncio.timeout(60):
        return "".join([event.text async for event in watch(turn) if isinstance(event, Token)])


async def test_every_component_is_asked_for_its_models(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        with pytest.raises(ComponentFailed, match="being fetched"):
            runtime.require_ready(LOCAL_OWNER, wired(TWO_MODELS))


async def test_a_flow_file_over_the_limit_is_told(tmp_path: Path) -> None:
    large = {"large": FLOWS["slow"] + "#" * 1_048_576}
    async with running(tmp_path, FLOWS | large) as runtime:
        assert sorted(runtime.catalogue.list_flows()) == ["fail", "long", "silent", "slow"]
        assert list(runtime.catalogue.list_problems()) == ["large.yaml"]


async def test_all_watchers_see_the_whole_answer_whenever_they_come(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        turn = await begin(runtime, "slow")
        early = asyncio.ensure_future(text_of(turn))
        async for event in watch(turn):
            if isinstance(event, Token):
                break  # who leaves stops nothing
        found = runtime.find_page_turn(LOCAL_OWNER, "slow", "s")
        assert found is turn
        late = await text_of(turn)
        assert late == await early == await text_of(turn) == "You said: one two three"
        await asyncio.sleep(0)
        assert runtime.find_page_turn(LOCAL_OWNER, "slow", "s") is None


async def test_stop_ends_it_and_keeps_what_was_said(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        turn = await begin(runtime, "long")
        async for event in watch(turn):
            if isinstance(event, Token):
                turn.stop()
        messages = await runtime.store.read(list_messages, flow_id="long", owner=str(LOCAL_OWNER.owner), session_id="s")
        assert [message.state for message in messages] == ["complete", "stopped"]


async def test_a_turn_that_is_stopped_before_its_first_step_has_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        (turn := await begin(runtime, "slow")).stop()
        assert await text_of(turn) == ""
        assert isinstance(await turn.wait_for_begin(), RunStopped)


async def test_one_conversation_has_one_answer_at_a_time_and_nobody_else_finds_it(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        turn = await begin(runtime, "silent")
        with pytest.raises(InvalidRequest, match="still being written"):
            await begin(runtime, "silent")
        assert runtime.find_page_turn(Caller(kind="member", id="eve", role="admin"), "silent", "s") is None
        turn.stop()


async def test_a_failure_reaches_every_watcher(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        turn = await begin(runtime, "fail")
        for _ in range(2):
            with pytest.raises(ComponentFailed):
                await text_of(turn)


async def test_at_the_end_answers_get_their_grace_and_then_stop(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        finishing, endless = await begin(runtime, "slow"), await begin(runtime, "silent")
        await runtime.stop_runs(2)
        assert any([isinstance(event, TurnFinished) async for event in watch(finishing)])
        assert endless.is_done


async def test_pages_act_for_present_members_only(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        gone = Caller(kind="member", id="gone", role="admin", sign_in_id="none")
        with pytest.raises(NotSignedIn):
            await start_turn(runtime, gone, "slow", RunRequest(input_value="x", session_id="s"))
        await runtime.sign_in.roster.add_first("ada", "Ada", PASSWORD)
        with pytest.raises(NotSignedIn):
            await begin(runtime, "slow")
