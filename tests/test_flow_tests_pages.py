"""Tests of a flow on a page: run by its authors, made of a turn."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowground.access import flow_files, insides
from flowground.app import flow_tests
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import FlowError, InvalidRequest
from flowground.ui.inside.make_test import add_test, make_test
from tests.running import look_at_once, running, start_turn
from tests.switched import switch_off
from tests.test_citations import answering

FLOW = """\
# how refunds go
name: Refunds
components:
  In: {type: ChatInput}
  Route: {type: SmartRouter, input_text: "${In}", routes: {refund: Money back, other: All else}}
  Refund: {type: LanguageModel, system_message: "About refunds.", input_value: "${Route.refund}"}
  Other: {type: LanguageModel, input_value: "${Route.other}"}
  Out: {type: ChatOutput, input_value: "${Refund?}${Other?}"}
tests:
  - {message: a refund, expect: {takes: Refund}}
  - {message: something, expect: {takes: Other}}  # fails: the scripted model takes the first route
chat: {welcome: Hello}
"""


@pytest.fixture
async def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    look_at_once(monkeypatch)
    async with running(tmp_path, {"refunds": FLOW}) as opened:
        yield opened


async def replace_file(runtime: Runtime, before: bytes, after: bytes) -> None:
    place = (runtime.access, LOCAL_OWNER, "refunds.yaml")
    await flow_files.replace_flow_file(*place, before=flow_files.make_digest(before), after=after)


async def had_turn(runtime: Runtime, text: str, flow: str = "refunds", **more: Any) -> insides.AnsweredTurn:
    """A turn that the local owner has in their playground, as *Make it a test* reads it."""
    request = RunRequest(text, session_id="s", stream=True, **more)
    turn = await start_turn(runtime, LOCAL_OWNER, flow, request)
    await turn.task
    assert turn.started
    (answer,) = turn.started.answer_ids.values()
    place = {"flow_id": flow, "session_id": "s", "message_id": answer}
    return await insides.read_turn(runtime.access, LOCAL_OWNER, **place)


async def run_made(runtime: Runtime, turn: insides.AnsweredTurn, folder: Path) -> bool:
    """Whether the test that is made of the turn passes, once it stands in the flow's file."""
    file = folder / "flows" / turn.wired.flow.file
    file.write_text(add_test(file.read_text(), make_test(turn)))
    await runtime.catalogue.read_now()
    return (await flow_tests.run_tests(runtime, LOCAL_OWNER, turn.wired.id)).outcomes[-1].is_passed


async def test_what_came_of_the_tests_is_kept_and_nothing_of_their_turns(runtime: Runtime) -> None:
    assert await flow_tests.find_report(runtime, LOCAL_OWNER, "refunds") is None
    report = await flow_tests.run_tests(runtime, LOCAL_OWNER, "refunds")
    assert [(outcome.line, outcome.is_passed) for outcome in report.outcomes] == [(10, True), (11, False)]
    assert await flow_tests.find_report(runtime, LOCAL_OWNER, "refunds") == report
    assert report.version == runtime.catalogue.list_flows()["refunds"].version
    place = {"flow_id": "refunds", "session_id": "s", "message_id": "m"}
    with pytest.raises(InvalidRequest, match="There is no whole answer here"):
        await insides.read_turn(runtime.access, LOCAL_OWNER, **place)


async def test_what_is_switched_off_is_not_tested(runtime: Runtime) -> None:
    await switch_off(runtime, "flow", "refunds", "Gone.")
    report = await flow_tests.run_tests(runtime, LOCAL_OWNER, "refunds")
    assert report.outcomes[0].turns[-1].differences[0].says == "This flow is switched off. Gone."


@pytest.mark.parametrize(("text", "ran", "skipped"), [("my refund", "Refund", "Other"), ("other", "Other", "Refund")])
async def test_a_turn_becomes_a_test_that_passes_without_its_models(
    runtime: Runtime, tmp_path: Path, text: str, ran: str, skipped: str
) -> None:
    overrides = {ran: {"temperature": 0.5}}
    turn = await had_turn(runtime, text, tweaks=overrides, kept_overrides=overrides)
    assert make_test(turn) == {
        "message": text,
        "overrides": overrides,
        "replies": {"Route": {"route": ran.lower()}, ran: f"You said: {text}"},
        "expect": {"equals": f"You said: {text}", "takes": ["Route", ran], "skips": [skipped]},
    }
    assert await run_made(runtime, turn, tmp_path)


async def test_what_an_answer_cites_is_expected_of_it(tmp_path: Path) -> None:
    async with answering(tmp_path) as runtime:
        turn = await had_turn(runtime, "So [2], and again [2, 1].", "it")
        assert make_test(turn)["expect"]["cites"] == ["knowledge/hotels.md", "knowledge/badges.md"]
        assert await run_made(runtime, turn, tmp_path)


async def test_a_reply_longer_than_what_is_kept_is_that_of_the_answer(runtime: Runtime, tmp_path: Path) -> None:
    text = "refund " * 1_000
    turn = await had_turn(runtime, text)
    assert make_test(turn)["replies"]["Refund"].strip() == f"You said: {text}".strip()
    assert await run_made(runtime, turn, tmp_path)


async def test_nothing_is_written_over_what_changed_nor_what_is_no_flow(runtime: Runtime, tmp_path: Path) -> None:
    before, file = FLOW.encode(), tmp_path / "flows" / "refunds.yaml"
    with pytest.raises(FlowError, match="no component"):
        await replace_file(runtime, before, before.replace(b"takes: Refund", b"takes: Refnd"))
    assert file.read_bytes() == before
    file.write_bytes(before + b"# by hand\n")
    with pytest.raises(InvalidRequest, match="changed meanwhile"):
        await replace_file(runtime, before, before + b"# by page\n")
    assert file.read_bytes() == before + b"# by hand\n"
    assert [path.name for path in file.parent.iterdir()] == ["refunds.yaml"]
