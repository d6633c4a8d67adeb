"""What a run gives: which outputs, how long they may be, and what it was given."""

from contextlib import nullcontext

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import RunError
from flowground.core.events import RunFinished
from flowground.core.values import LONGEST
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from flowground.runs.outputs import read_input
from flowground.runs.runner import run_flow
from tests.flow_runs import nothing_said, read_into
from tests.meeting import Meeting


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
