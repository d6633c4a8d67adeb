"""Tweaks by tokens of an author that see or set less than their owner: what is set, and how the rest is refused."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowground.core.caller import Caller, RunRequest
from flowground.core.errors import FlowgroundError, InputConflict, TweaksRefused
from flowground.flows.tweaks import apply_tweaks
from flowground.flows.wiring import WiredFlow
from tests.flow_texts import wired
from tests.talk import OPENED, PLAIN, SEEING, SETTING
from tests.tweaking import fields

FLOW = wired("""\
components:
  ChatInput: {type: ChatInput}
  Lore: {type: Prompt, display_name: The lore, template: "Ahab hunts in {tongue} and {manner}.", tongue: old, manner: x}
  Whale:
    type: LanguageModel
    model: scripted:echo
    system_message: ${Lore}
    input_value: ${ChatInput}
    temperature: 0.1
  ChatOutput: {type: ChatOutput, input_value: "${Whale}"}
""")
ANOTHER = wired("components: {In: {type: TextInput}, Out: {type: TextOutput, input_value: '${In}'}}")
INSIDE = ["Lore", "lore", "Whale", "Ahab", "tongue", "manner", "scripted", "echo", "temperature", "template", "0.1"]
"""Words that stand in the flow's inside and in no sentence of ours."""
TO_LACKS = "Make one that may set fields under API access."
NOT_TOLD = "This token is not told why. Make one that sees the inside under API access."


def refuse(tweaks: dict[str, Any], caller: Caller, flow: WiredFlow = FLOW) -> TweaksRefused:
    with pytest.raises(TweaksRefused) as caught:
        apply_tweaks(flow, RunRequest(tweaks=tweaks), unknown="refuse", caller=caller)
    return caught.value


def test_the_input_given_twice_is_a_conflict_for_who_may_set_it_and_else_a_refused_tweak() -> None:
    for tweaks in ({"ChatInput": {"input_value": "y"}}, {"input_value": "y"}):
        twice = RunRequest(input_value="x", tweaks=tweaks)
        with pytest.raises(InputConflict):
            apply_tweaks(FLOW, twice, unknown="refuse", caller=SETTING)
        for caller in (PLAIN, SEEING):
            with pytest.raises(TweaksRefused) as refused:
                apply_tweaks(FLOW, twice, unknown="refuse", caller=caller)
            assert refused.value.code == "token_may_not_set"


def test_who_sets_but_does_not_see_sets_by_id_display_name_and_everywhere() -> None:
    for tweaks in ({"Whale": {"temperature": 0.9}}, {"Language Model": {"temperature": 0.9}}, {"temperature": 0.9}):
        flow = apply_tweaks(FLOW, RunRequest(tweaks=tweaks), unknown="refuse", caller=SETTING).wired
        assert fields(flow, "Whale", "temperature") == (0.9,)


@pytest.mark.parametrize(
    ("tweaks", "what"),
    [
        ({"Whale": {"model": "x"}}, "Whale.model"),
        ({"Whale": {"system_message": "x"}}, "Whale.system_message"),
        ({"Whale": {"temprature": 1}}, "Whale.temprature"),
        ({"The lore": {"tone": 1}}, "The lore.tone"),
        ({"Whail": {"temperature": 1}}, "Whail"),
        ({"temperature": {"value": 1}}, "temperature"),
        ({"model": "x"}, "model"),
    ],
)
def test_who_sets_but_does_not_see_is_refused_alike_for_whatever_cannot_be_set(tweaks: Any, what: str) -> None:
    refusal = refuse(tweaks, SETTING)
    assert refusal.message == f"`{what}` cannot be set: the flow has no such field, or callers may not set it."
    assert (refusal.code, refusal.hint) == ("TWEAKS_REFUSED", NOT_TOLD)


@pytest.mark.parametrize(
    ("tweaks", "what"),
    [
        ({"Whale": {"temperature": 9}}, "Whale.temperature"),
        ({"Language Model": {"temperature": 9}}, "Language Model.temperature"),
        ({"Lore": {"template": "{other}"}}, "Lore.template"),
        ({"Whale": {"max_tokens": {"load_from_db": True}}}, "Whale.max_tokens"),
    ],
)
def test_who_sets_but_does_not_see_is_told_no_bounds(tweaks: Any, what: str) -> None:
    refusal = refuse(tweaks, SETTING)
    assert (refusal.message, refusal.hint) == (f"`{what}` does not take this value.", NOT_TOLD)


def test_a_token_that_may_not_set_is_told_so_alike_for_what_is_there_and_what_is_not() -> None:
    says = "cannot be set by this token: it may set fields that the flow's author opened, and none is."
    for key in ("Whale", "Language Model", "Whail"):
        for field in ("temperature", "model", "system_message", "nonsense"):
            for tweaks, what in (({key: {field: 1}}, key), ({field: 1}, field)):
                refusal = refuse(tweaks, PLAIN)
                assert refusal.message == f"`{what}` {says}"
                assert (refusal.code, refusal.hint) == ("token_may_not_set", TO_LACKS)


def test_a_token_that_sees_but_may_not_set_is_told_what_is_wrong_besides() -> None:
    refusal = refuse({"Whale": {"temperature": 1}}, SEEING)
    assert refusal.message.startswith("`Whale.temperature` cannot be set by this token")
    assert (refusal.code, refusal.hint) == ("token_may_not_set", TO_LACKS)
    refusal = refuse({"Whale": {"temprature": 1, "model": "x"}}, SEEING)
    assert "did you mean `temperature`?" in refusal.message
    assert (refusal.code, refusal.hint) == ("TWEAKS_REFUSED", None)


def test_a_token_of_the_organization_may_be_made_on_the_command_line_too() -> None:
    refusal = refuse({"temperature": 1}, Caller("token", "1", "admin", sees="answers", sets="opened"))
    assert "or with `keys create --sets unprotected`" in (refusal.hint or "")


@pytest.mark.parametrize("caller", [PLAIN, SETTING, SEEING])
def test_what_the_author_opened_any_token_sets_and_where_there_is_a_list_none_sets_more(caller: Caller) -> None:
    tweaks = {"Model": {"temperature": 0.5}, "tone": "rude"}
    flow = apply_tweaks(OPENED, RunRequest(tweaks=tweaks), unknown="refuse", caller=caller).wired
    assert fields(flow, "Model", "temperature") == (0.5,)
    refusal = refuse({"Model": {"seed": 1}}, caller, OPENED)
    assert "`Model.seed` cannot be set here: the flow's author opened `Prompt.tone`" in refusal.message
    assert (refusal.code, refusal.hint) == ("TWEAKS_REFUSED", None)
    assert "is at most 1 here" in refuse({"Model": {"temperature": 1.5}}, caller, OPENED).message


def test_where_the_settings_say_warn_the_warning_names_what_the_token_lacks() -> None:
    made = apply_tweaks(FLOW, RunRequest(tweaks={"temperature": 1}), unknown="warn", caller=PLAIN)
    assert made.wired is FLOW
    [warning] = made.warnings
    assert warning.startswith("`temperature` cannot be set by this token")


@pytest.mark.parametrize("caller", [PLAIN, SETTING, SEEING])
@pytest.mark.parametrize(
    "fields", [{}, {"a": None}, {"model": "", "system_message": "", "files": [], "x": {}}, {"session_id": "s"},
    {"sender": "User", "sender_name": "AI", "data_template": "{text}", "max_tokens": 0, "api_key": {"value": ""}}]
)  # fmt: skip
def test_what_changes_nothing_any_token_may_ask_of_any_component(fields: dict[str, Any], caller: Caller) -> None:
    for name in ("Lore", "Language Model", "Whail"):
        for tweaks in ({name: fields}, {name: None}, fields):
            if caller is not PLAIN and "sender_name" in tweaks:
                continue  # that changes one of the chats
            made = apply_tweaks(FLOW, RunRequest("hi", tweaks=tweaks), unknown="refuse", caller=caller)
            assert (made.wired.components, made.warnings) == (FLOW.components, ())


@pytest.mark.parametrize("caller", [PLAIN, SETTING])
def test_who_does_not_see_a_value_finds_it_out_by_no_guess(caller: Caller) -> None:
    """A right guess is refused as a wrong one is."""
    for field, right in (("model", "scripted:echo"), ("model_name", "echo"), ("system_message", "${Lore}")):
        for value in (right, "wrong", [{"name": right}]):
            says = refuse({"Whale": {field: value}}, caller).message
            assert says == refuse({"Whale": {field: "zz"}}, caller).message
            if not isinstance(value, list):
                assert refuse({field: value}, caller).message == refuse({field: "zz"}, caller).message
    named = apply_tweaks(FLOW, RunRequest(tweaks={"Whale": {"model_name": "echo"}}), unknown="refuse", caller=SEEING)
    assert named.wired is FLOW


names = st.sampled_from(["Whale", "The lore", "Language Model", "Lore", "ChatInput", "ChatOutput", "Whail", "", "api"])
keys = st.sampled_from(
    ["temperature", "model", "template", "tongue", "input_value", "max_tokens", "code", "zz", "manner", "sender_name"]
)
values = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4)
values |= st.sampled_from(["{a}", "Hi {tongue}", "AI", "scripted:echo", "old"])
wrapped = values | values.map(lambda value: {"value": value}) | st.just({"load_from_db": True})
tweaks_of_all_kinds = st.dictionaries(
    names | keys, wrapped | st.lists(values, max_size=1) | st.dictionaries(keys, wrapped, max_size=3), max_size=4
)


def tell(tweaks: dict[str, Any], caller: Caller, flow: WiredFlow, unknown: Any) -> str:
    try:
        return " ".join(apply_tweaks(flow, RunRequest("hi", tweaks=tweaks), unknown=unknown, caller=caller).warnings)
    except FlowgroundError as error:
        return error.full_message


@given(tweaks_of_all_kinds, st.sampled_from(["refuse", "warn"]))
@settings(max_examples=400, deadline=None)
def test_a_new_token_is_answered_alike_whatever_the_flow_has_inside(tweaks: dict[str, Any], unknown: Any) -> None:
    assert tell(tweaks, PLAIN, FLOW, unknown) == tell(tweaks, PLAIN, ANOTHER, unknown)


@given(tweaks_of_all_kinds, st.sampled_from([PLAIN, SETTING]), st.sampled_from(["refuse", "warn"]), st.booleans())
@settings(max_examples=800, deadline=None)
def test_no_refusal_and_no_warning_says_more_of_the_inside_than_was_sent(
    tweaks: dict[str, Any], caller: Caller, unknown: Any, has_message: bool
) -> None:
    try:
        request = RunRequest("hi" if has_message else None, tweaks=tweaks)
        told = " ".join(apply_tweaks(FLOW, request, unknown=unknown, caller=caller).warnings)
    except FlowgroundError as error:
        told = error.full_message
    sent = repr(tweaks)
    leaked = [word for word in INSIDE if word in told and word not in sent]
    assert not leaked, told
