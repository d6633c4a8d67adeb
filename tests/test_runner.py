"""How a flow runs: side by side where it can, in order where it must, and to its end when it is left.

What a run gives: which outputs, how long they may be, and what it was given.
"""

import asyncio
import gc
import time
from contextlib import aclosing, nullcontext

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import ComponentFailed, ProviderRefused, RunError
from flowground.core.events import ComponentEvent, ComponentFinished, ComponentStarted, RunEvent, RunFinished, Token
from flowground.core.messages import Usage
from flowground.core.values import LONGEST
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.providers.base import Completion, ModelCall
from flowground.runs.outputs import read_input
from flowground.runs.runner import run_flow
from tests.flow_runs import events_of, nothing_said, read_into, two_models
from tests.meeting import Meeting


class FailingWhenCancelled(Meeting):
    async def complete(self, call: ModelCall) -> Completion:
        try:
            return await super().complete(call)
        except asyncio.CancelledError:
            raise ProviderRefused("The model fails too late.", status=500) from None


@pytest.fixture
async def told() -> list[object]:
    """What the loop says of itself."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    return told


@pytest.mark.parametrize(("models", "second"), [(Meeting, "fails"), (FailingWhenCancelled, "waits")])
async def test_components_that_fail_at_once_leave_nothing_for_the_log(
    told: list[object], models: type[Meeting], second: str
) -> None:
    with pytest.raises(ComponentFailed, match=r"The model fails\."):
        await events_of(two_models("fails", second), models(2), stream=False)
    gc.collect()
    assert told == []


@pytest.mark.parametrize("stream", [False, True])
async def test_independent_components_run_side_by_side_and_take_as_long_as_they_take(stream: bool) -> None:
    began = time.perf_counter()
    *told, end = await events_of(two_models("left", "right"), Meeting(2), stream=stream)
    took = time.perf_counter() - began
    assert isinstance(end, RunFinished)
    assert 0 < end.seconds <= took
    assert all(0 < event.seconds <= end.seconds for event in told if isinstance(event, ComponentFinished))
    assert {name: result.text for name, result in end.results.items()} == {"Joined": "left right", "Alone": "left"}
    assert end.usage == Usage(9, 18)
    assert end.results["Alone"].usage == Usage(4, 8)
    whole, alone = end.results["Joined"], end.results["Alone"]
    assert (whole.source_id, whole.source_name, whole.model) == ("Both", "Prompt", None)
    assert (alone.source_id, alone.source_name, alone.model) == ("Left", "Language Model", "left")
    assert (alone.type, alone.display_name) == ("ChatOutput", "Only left")
    assert sum(isinstance(event, ComponentStarted) for event in told) == 6
    assert sum(isinstance(event, ComponentFinished) for event in told) == 6
    assert any(isinstance(event, Token) for event in told) == stream


async def test_every_component_starts_after_all_it_waits_for_and_only_a_models_text_is_streamed_to_an_output() -> None:
    events = await events_of(two_models("left", "right"), Meeting(2), stream=True)
    begun = [event.component_id for event in events if isinstance(event, ComponentStarted)]
    ended = [event.component_id for event in events if isinstance(event, ComponentFinished)]
    assert sorted(begun) == sorted(ended) == ["Alone", "Both", "ChatInput", "Joined", "Left", "Right"]
    kinds = [(type(event).__name__, getattr(event, "component_id", None)) for event in events]
    assert kinds.index(("ComponentStarted", "Both")) > kinds.index(("ComponentFinished", "Right"))
    tokens = [(event.component_id, event.text) for event in events if isinstance(event, Token)]
    assert tokens == [("Alone", letter) for letter in "left"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_happens_is_noted_when_it_happens_also_in_a_run_that_fails(stream: bool) -> None:
    noted: list[ComponentEvent] = []
    read: list[RunEvent] = []
    flow, request = two_models("left", "fails"), RunRequest(input_value="hi", stream=stream)
    run = run_flow(flow, request, history=nothing_said, models=Meeting(2), note=noted.append)
    with pytest.raises(ComponentFailed):
        await read_into(read, run)
    begun = {event.component_id for event in noted if isinstance(event, ComponentStarted)}
    assert begun >= {"ChatInput", "Left", "Right"}
    assert noted[: len(read)] == read


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_names_its_component_and_cancels_the_others(stream: bool) -> None:
    models = Meeting(2)
    with pytest.raises(ComponentFailed) as failure:
        await events_of(two_models("fails", "waits"), models, stream=stream)
    assert failure.value.component_id == "Left"
    assert failure.value.code == "model_failed"
    assert models.cancelled == ["waits"]


@pytest.mark.parametrize("stream", [False, True])
async def test_what_begins_while_others_run_is_cancelled_with_them(stream: bool) -> None:
    """The only component that is ready, and not the only one that runs: nobody waits for its end alone."""
    text = """
components:
  ChatInput: {type: ChatInput}
  First: {type: LanguageModel, model: fails, input_value: "${ChatInput}"}
  Words: {type: Prompt, template: "{a}", a: "${ChatInput}"}
  Second: {type: LanguageModel, model: waits, input_value: "${Words}"}
  Out: {type: ChatOutput, input_value: "${First} ${Second}"}
"""
    models = Meeting(2)
    with pytest.raises(ComponentFailed) as failure:
        await events_of(wire(parse_flow(text, "later.yaml")), models, stream=stream)
    assert (failure.value.component_id, models.cancelled) == ("First", ["waits"])


async def test_a_run_that_is_left_is_cancelled_down_to_the_provider() -> None:
    models = Meeting(2)
    request = RunRequest(input_value="hi", stream=True)
    run = run_flow(two_models("left", "waits"), request, history=nothing_said, models=models)
    async with asyncio.timeout(60), aclosing(run) as events:
        async for event in events:
            if isinstance(event, Token):
                break
    assert models.cancelled == ["waits"]


def form(text: str) -> WiredFlow:
    return wire(parse_flow(f"components:\n{text}", "form.yaml"))


TWICE = form("""\
  In: {type: ChatInput}
  Said: {type: ChatOutput, input_value: "${In}"}
  Words: {type: TextOutput, input_value: "${In}"}
""")
FORM = form("""\
  First: {type: TextInput, input_value: one}
  Second: {type: TextInput, input_value: two}
  Words: {type: TextOutput, input_value: "${First}"}
  Said: {type: ChatOutput, display_name: Second, input_value: "${Second}"}
""")


@pytest.mark.parametrize(
    ("request_", "sees_inside", "selected"),
    [
        (RunRequest(), True, ("Said",)),
        (RunRequest(output_type="text"), True, ("Words",)),
        (RunRequest(output_type="any"), True, ("Said", "Words")),
        (RunRequest(output_type="debug"), True, ("First", "Said", "Second", "Words")),
        (RunRequest(output_type="debug"), False, ("Said", "Words")),
        (RunRequest(output_component="First"), True, ("First",)),
        (RunRequest(output_component="First"), False, ()),
        (RunRequest(output_component="Second"), True, ("Second",)),
        (RunRequest(output_component="Second"), False, ("Said",)),
    ],
)
async def test_from_outside_only_outputs_are_selected(
    request_: RunRequest, sees_inside: bool, selected: tuple[str, ...]
) -> None:
    run = run_flow(FORM, request_, history=nothing_said, models=Meeting(0), sees_inside=sees_inside)
    *_, end = [event async for event in run]
    assert isinstance(end, RunFinished)
    assert tuple(sorted(end.selected)) == selected
    assert set(selected) <= end.results.keys()


async def test_all_outputs_that_are_asked_for_are_together_no_longer_than_one_text_may_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("flowground.runs.runner.LONGEST_ANSWER", LONGEST)
    said = "x" * (LONGEST // 2)
    for text, is_refused in ((said, False), (f"{said}x", True)):
        request = RunRequest(input_value=text, output_type="any")
        run = run_flow(TWICE, request, history=nothing_said, models=Meeting(0))
        with pytest.raises(RunError, match=r"over 3,000,000 characters") if is_refused else nullcontext():
            await read_into([], run)


@pytest.mark.parametrize(
    ("own", "request_", "said"),
    [
        ("", RunRequest(input_value="given"), "given"),
        (", input_value: own", RunRequest(input_value="given"), "given"),
        (", input_value: own", RunRequest(), "own"),
        (", input_value: own", RunRequest(input_value=""), ""),
        (", input_value: own", RunRequest(input_value="a text", input_type="text"), "own"),
    ],
)
def test_what_the_person_said_is_given_or_the_inputs_own(own: str, request_: RunRequest, said: str) -> None:
    aside = "  Aside: {type: TextInput, input_value: aside}\n"
    flow = form(f'{aside}  In: {{type: ChatInput{own}}}\n  Out: {{type: ChatOutput, input_value: "${{In}}"}}\n')
    assert read_input(flow, request_) == said


def test_a_form_is_told_what_was_given() -> None:
    assert read_input(FORM, RunRequest(input_value="given", input_type="text")) == "given"
    assert read_input(FORM, RunRequest()) is None
