"""How a flow runs: side by side where it can, in order where it must, and to its end when it is left."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest

from flowground.caller import RunRequest
from flowground.errors import ComponentFailed
from flowground.events import ComponentFinished, ComponentStarted, RunEvent, RunFinished, Token
from flowground.flow import parse_flow
from flowground.messages import Message, Usage
from flowground.runner import run_flow, selected_outputs
from flowground.wiring import WiredFlow, wire
from tests.meeting import Meeting

pytestmark = pytest.mark.anyio


def two_models(left: str, right: str) -> WiredFlow:
    text = f"""
components:
  ChatInput: {{type: ChatInput}}
  Left: {{type: LanguageModel, model: {left}, input_value: "${{ChatInput}}"}}
  Right: {{type: LanguageModel, model: {right}, input_value: "${{ChatInput}}"}}
  Both: {{type: Prompt, template: "{{a}} {{b}}", a: "${{Left}}", b: "${{Right}}"}}
  Joined: {{type: ChatOutput, input_value: "${{Both}}"}}
  Alone: {{type: ChatOutput, display_name: Only left, input_value: "${{Left}}"}}
"""
    return wire(parse_flow(text, "two.yaml", max_bytes=10_000))


async def nothing_said(limit: int) -> Sequence[Message]:
    return []


async def events_of(flow: WiredFlow, models: Meeting, *, stream: bool) -> list[RunEvent]:
    run = run_flow(flow, RunRequest(input_value="hi", stream=stream), history=nothing_said, models=models)
    async with asyncio.timeout(10), aclosing(run) as events:
        return [event async for event in events]


@pytest.mark.parametrize("stream", [False, True])
async def test_independent_components_run_side_by_side(stream: bool) -> None:
    events = await events_of(two_models("left", "right"), Meeting(2), stream=stream)
    end = events[-1]
    assert isinstance(end, RunFinished)
    assert {name: result.text for name, result in end.results.items()} == {"Joined": "left right", "Alone": "left"}
    assert end.usage == Usage(2, 4)


async def test_every_component_starts_after_all_it_waits_for() -> None:
    events = await events_of(two_models("left", "right"), Meeting(2), stream=True)
    begun = [event.component_id for event in events if isinstance(event, ComponentStarted)]
    ended = [event.component_id for event in events if isinstance(event, ComponentFinished)]
    assert sorted(begun) == sorted(ended) == ["Alone", "Both", "ChatInput", "Joined", "Left", "Right"]
    kinds = [(type(event).__name__, getattr(event, "component_id", None)) for event in events]
    assert kinds.index(("ComponentStarted", "Both")) > kinds.index(("ComponentFinished", "Right"))


async def test_only_a_chat_output_of_one_models_text_is_streamed_to() -> None:
    events = await events_of(two_models("left", "right"), Meeting(2), stream=True)
    tokens = [(event.component_id, event.text) for event in events if isinstance(event, Token)]
    assert tokens == [("Alone", letter) for letter in "left"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_names_its_component_and_cancels_the_others(stream: bool) -> None:
    models = Meeting(2)
    with pytest.raises(ComponentFailed) as failure:
        await events_of(two_models("fails", "waits"), models, stream=stream)
    assert failure.value.component_id == "Left"
    assert failure.value.code == "model_failed"
    assert models.cancelled == ["waits"]


async def test_a_run_that_is_left_is_cancelled_down_to_the_provider() -> None:
    models = Meeting(2)
    run = run_flow(
        two_models("left", "waits"), RunRequest(input_value="hi", stream=True), history=nothing_said, models=models
    )
    async with asyncio.timeout(10), aclosing(run) as events:
        async for event in events:
            if isinstance(event, Token):
                break
    assert models.cancelled == ["waits"]


async def test_a_cancelled_plain_run_cancels_its_providers() -> None:
    models = Meeting(3)
    running = asyncio.ensure_future(events_of(two_models("left", "right"), models, stream=False))
    await models.second.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert sorted(models.cancelled) == ["left", "right"]


@pytest.mark.parametrize(
    ("request_", "selected"),
    [
        (RunRequest(), ("Alone", "Joined")),
        (RunRequest(output_type="any"), ("Alone", "Joined")),
        (RunRequest(output_type="text"), ("Alone", "Joined")),
        (RunRequest(output_component="Left"), ("Left",)),
        (RunRequest(output_component="Only left"), ("Alone",)),
        (RunRequest(output_component="Nobody"), ()),
    ],
)
def test_outputs_are_selected_by_langflows_rules(request_: RunRequest, selected: tuple[str, ...]) -> None:
    assert tuple(sorted(selected_outputs(two_models("left", "right"), request_))) == selected
