"""Tweaks of a flow whose author listed what callers may set, and those of callers who see it from outside."""

from typing import Any

import pytest

from flowground.caller import RunRequest
from flowground.errors import TweaksRefused
from flowground.tweaks import apply_tweaks
from flowground.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import MEMBER
from tests.tweaking import FLOW, OPENED, TALK, fields, refused, tweak


def test_the_author_opens_fields_protected_ones_too() -> None:
    flow = tweak({"Model-a1b2c": {"model": "local", "temperature": 1}, "Prompt": {"tone": "x"}}, flow=OPENED)
    assert fields(flow, "Model-a1b2c", "model", "temperature") == ("local", 1)


ONLY = "the flow's author opened `Prompt.tone`, `Model-a1b2c.model`, `Model-a1b2c.temperature`."


@pytest.mark.parametrize(
    ("tweaks", "message"),
    [
        ({"Second": {"temperature": 1}}, f"`Second.temperature` cannot be set here: {ONLY}"),
        ({"Second": {"temprature": 1}}, f"`Second.temprature` cannot be set here: {ONLY}"),
        ({"Nobody": {"temperature": 1}}, f"`Nobody` cannot be set here: {ONLY}"),
        ({"zzz": 1}, f"`zzz` cannot be set here: {ONLY}"),
        ({"max_tokens": 1}, f"`Model-a1b2c.max_tokens` cannot be set here: {ONLY}"),
        ({"Model-a1b2c": {"temperature": 1.5}}, "`Model-a1b2c.temperature` is at most 1 here, not 1.5."),
        ({"Model-a1b2c": {"temperature": -1}}, "`Model-a1b2c.temperature` is a number from 0 to 2, not -1."),
        ({"Model-a1b2c": {"model": "x"}}, '`Model-a1b2c.model` is one of "scripted", "local" here, not "x".'),
    ],
)
def test_nothing_but_what_the_author_opened_can_be_set(tweaks: dict[str, Any], message: str) -> None:
    assert refused(tweaks, flow=OPENED) == message


def test_a_global_tweak_reaches_what_is_open() -> None:
    flow = tweak({"temperature": 0.7}, flow=OPENED)
    assert (fields(flow, "Model-a1b2c", "temperature"), fields(flow, "Second", "temperature")) == ((0.7,), (None,))


def test_an_empty_list_opens_nothing() -> None:
    flow = wired(TALK + "api: {overridable: []}\n")
    assert refused({"temperature": 1}, flow=flow).endswith("the flow's author opened no field.")


def outside(tweaks: dict[str, Any], flow: WiredFlow) -> WiredFlow:
    return apply_tweaks(flow, RunRequest(tweaks=tweaks), unknown="refuse", caller=MEMBER).wired


def test_from_outside_only_what_the_author_opened_is_there() -> None:
    flow = outside({"Prompt": {"tone": "rude"}, "temperature": 0.5}, OPENED)
    assert fields(flow, "Prompt", "tone") == ("rude",)
    assert fields(flow, "Model-a1b2c", "temperature") == (0.5,)


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Second": {"temperature": 1}},
        {"Second": {"input_value": "x"}},
        {"Second": {"nonsense": 1}},
        {"Second": {"code": 1}},
        {"Second": {"model": "x"}},
        {"Second": "x"},
        {"Prompt": {"template": "x"}},
        {"Prompt": {"topic": "x"}},
        {"max_tokens": 1},
        {"model": {"value": 1}},
        {"nonsense": 1},
        {"Nobody": {"a": 1}},
    ],
)
@pytest.mark.parametrize("opened", [True, False])
def test_from_outside_no_refusal_tells_what_else_there_is(tweaks: dict[str, Any], opened: bool) -> None:
    with pytest.raises(TweaksRefused) as caught:
        outside(tweaks, OPENED if opened else FLOW)
    what = caught.value.message.split("`")[1]
    assert caught.value.message == f"`{what}` cannot be set here: " + (
        ONLY if opened else "the flow's author opened no field."
    )
