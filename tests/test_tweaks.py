"""Tweaks as Langflow takes them (its recordings: tweak_*.json), and what is refused with its reason; of a flow whose
author listed what callers may set, and those of callers who see it from outside."""

import json
from typing import Any

import pytest

from flowground.core.caller import RunRequest
from flowground.core.errors import InputConflict, TweaksRefused
from flowground.flows.tweaks import Tweaked, apply_tweaks
from flowground.flows.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import MEMBER
from tests.tweaking import FLOW, OPENED, TALK, fields, refused, tweak


def test_without_tweaks_the_flow_is_the_very_same() -> None:
    assert apply_tweaks(FLOW, RunRequest(), unknown="refuse") == Tweaked(FLOW)
    assert tweak({}) is FLOW
    assert tweak({"Second": {}}) is FLOW


def test_a_tweak_by_id_changes_this_flow_only() -> None:
    flow = tweak({"Model-a1b2c": {"temperature": 0.9, "max_tokens": 5}})
    assert fields(flow, "Model-a1b2c", "temperature", "max_tokens") == (0.9, 5)
    assert fields(FLOW, "Model-a1b2c", "temperature", "max_tokens") == (0.1, 100)
    assert flow.components["Second"] is FLOW.components["Second"]


@pytest.mark.parametrize(
    ("field", "given", "taken"),
    [
        ("temperature", True, 1.0),
        ("temperature", {"value": 0.33, "load_from_db": False}, 0.33),
        ("temperature", None, None),
        ("max_tokens", "17", 17),
        ("stream", "false", False),
        ("system_message", "${Prompt} {x} ${env:HOME}", "${Prompt} {x} ${env:HOME}"),
        ("system_message", None, "Be brief."),
    ],
)
def test_values_are_taken_as_langflow_takes_them(field: str, given: Any, taken: Any) -> None:
    assert fields(tweak({"Second": {field: given}}), "Second", field) == (taken,)


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Model-a1b2c": {"model": "scripted", "system_message": ""}},
        {"Model-a1b2c": {"model_name": "scripted", "input_value": None}},
        {"Model-a1b2c": {"model": [{"name": "scripted", "provider": "OpenAI", "metadata": {}}]}},
        {"Model-a1b2c": {"max_tokens": 0, "seed": ""}},
        {"Model-a1b2c": {"model": "", "api_key": "", "json_mode": False, "model_kwargs": {}, "timeout": 700}},
        {"ChatOutput": {"data_template": "{text}", "sender": "Machine", "clean_data": True, "files": ""}},
        {"max_tokens": 0, "system_message": None},
    ],
)
def test_what_changes_nothing_may_be_asked_of_any_field(tweaks: dict[str, Any]) -> None:
    """As Langflow's snippets have it, which write out what the author has not changed."""
    flow = tweak(tweaks)
    assert flow.components == FLOW.components


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "other"}, {"model": [{"name": "other"}]}, {"model": ["scripted", "scripted"]}, {"model_name": "x"},
        {"sender": "Alien"}, {"timeout": 7}, {"system_message": "${Second}"}, {"verbose": 1},
    ],
)  # fmt: skip
def test_what_would_change_something_is_still_refused(fields: dict[str, Any]) -> None:
    assert refused({"Model-a1b2c": fields})


TEMPERATURE, TOKENS = "a number from 0 to 2, not", "a whole number from 1 to 1,000,000, not"
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"temperature": {"a": 1}}, "A tweak of `temperature` everywhere is a plain value, not an object."),
    ({"Second": {"temprature": 1}}, "`Second` has no field `temprature`: did you mean `temperature`?"),
    ({"temperture": 1}, "No component of the flow has a field `temperture`: did you mean `temperature`?"),
    ({"temperature": [1]}, "The tweak of `temperature` is an object of fields and values, not [1]."),
    ({"temperature": 99}, f"`Model-a1b2c.temperature` is {TEMPERATURE} 99. `Second.temperature` is {TEMPERATURE} 99."),
    ({"Second": {"max_tokens": float("inf")}}, f"{TOKENS} Infinity."),
    ({"Second": {"system_message": 5}}, "`Second.system_message` is text, not 5."),
    ({"Second": {"stream": "maybe"}}, '`Second.stream` is true or false, not "maybe".'),
    ({"Prompt": {"template": "{newvar}"}}, "Prompt: Nobody gives the variable `{newvar}`: give `newvar: …` beside it"),
    ({"Prompt": {"template": "x" * 256_001}}, "`Prompt.template` has 256,001 characters; 256,000 is the limit."),
]


@pytest.mark.parametrize(("tweaks", "message"), REFUSED)
def test_what_cannot_be_is_refused_with_its_reason(tweaks: dict[str, Any], message: str) -> None:
    assert message in refused(tweaks)


def test_a_global_input_goes_where_the_request_does_not() -> None:
    flow = tweak({"input_value": "x"}, input_value="hi")
    assert (fields(flow, "ChatInput", "input_value"), fields(flow, "Topic", "input_value")) == (("Hello",), ("x",))
    echo = wired("components: {In: {type: ChatInput}, Out: {type: ChatOutput, input_value: '${In}'}}")
    with pytest.raises(InputConflict):
        tweak({"input_value": "x"}, flow=echo, input_value="hi")


@pytest.mark.parametrize(
    "tweaks", [{"Second": {"model": "x"}}, {"Second": {"temperature": 9}}, {"Second": {"code": 1}}, {"Second": "abc"}]
)
def test_what_is_protected_or_wrong_never_only_warns(tweaks: dict[str, Any]) -> None:
    with pytest.raises(TweaksRefused):
        apply_tweaks(FLOW, RunRequest(tweaks=tweaks | {"zzz": 1}), unknown="warn")


def test_a_request_full_of_mistakes_is_told_of_the_first() -> None:
    with pytest.raises(TweaksRefused) as caught:
        apply_tweaks(FLOW, RunRequest(tweaks={f"zz{number}": 1 for number in range(1_000)}), unknown="warn")
    assert len(caught.value.fields) == 20


def test_a_request_sets_a_thousand_fields_and_no_more() -> None:
    names = [f"v{number}" for number in range(600)]
    prompt = {"type": "Prompt", "template": "".join(f"{{{name}}}" for name in names)} | dict.fromkeys(names, "a")
    components = {"First": prompt, "Second": prompt, "Out": {"type": "TextOutput", "input_value": "${First}"}}
    flow = wired(json.dumps({"components": components}))
    tweak({"First": dict.fromkeys(names, "b"), "Second": dict.fromkeys(names[:400], "b")}, flow=flow)
    too_many: list[dict[str, Any]] = [
        {"First": dict.fromkeys(names, "b"), "Second": dict.fromkeys(names[:401], "b")},
        dict.fromkeys(names, "b"),
        {f"zz{number}": 1 for number in range(1_001)},
    ]
    for tweaks in too_many:
        assert refused(tweaks, flow=flow) == "The tweaks set more than 1,000 fields."


def test_what_is_shown_of_a_tweak_is_short_and_can_be_sent() -> None:
    with pytest.raises(TweaksRefused) as caught:
        tweak({"k" * 1_000_000: 1, "\ud800": {"a": 1}, "Second": {"temperature": "\ud800" * 100, "x" * 100: 1}})
    assert len(caught.value.message) < 1_000
    assert (caught.value.message + "".join(caught.value.fields)).encode()


ONLY = "the flow's author opened `Prompt.tone`, `Model-a1b2c.model`, `Model-a1b2c.temperature`."


def test_an_empty_list_opens_nothing() -> None:
    flow = wired(TALK + "api: {overridable: []}\n")
    assert refused({"temperature": 1}, flow=flow).endswith("the flow's author opened no field.")


def outside(tweaks: dict[str, Any], flow: WiredFlow) -> WiredFlow:
    return apply_tweaks(flow, RunRequest(tweaks=tweaks), unknown="refuse", caller=MEMBER).wired


def test_from_outside_only_what_the_author_opened_is_there() -> None:
    flow = outside({"Prompt": {"tone": "rude"}, "temperature": 0.5}, OPENED)
    assert fields(flow, "Prompt", "tone") == ("rude",)
    assert fields(flow, "Model-a1b2c", "temperature") == (0.5,)
    assert OPENED.policy.find_component("The topic", MEMBER) is None
    assert OPENED.policy.find_component("Language Model", MEMBER) == "Model-a1b2c"


NOT_OPENED: list[dict[str, Any]] = [
    {"Second": {"temperature": 1}}, {"Second": {"input_value": "x"}}, {"Second": {"nonsense": 1}},
    {"Second": {"code": 1}}, {"Second": {"model": "x"}}, {"Second": "x"}, {"Prompt": {"template": "x"}},
    {"Prompt": {"topic": "x"}}, {"max_tokens": 1}, {"model": {"value": 1}}, {"nonsense": 1}, {"Nobody": {"a": 1}},
]  # fmt: skip


@pytest.mark.parametrize("tweaks", NOT_OPENED)
def test_from_outside_no_refusal_tells_what_else_there_is(tweaks: dict[str, Any]) -> None:
    for flow, only in ((OPENED, ONLY), (FLOW, "the flow's author opened no field.")):
        with pytest.raises(TweaksRefused) as caught:
            outside(tweaks, flow)
        what = caught.value.message.split("`")[1]
        assert caught.value.message == f"`{what}` cannot be set here: {only}"
