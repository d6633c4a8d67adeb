"""What an override comes to: the tweaks of a call, refused where the API refuses them."""

from typing import Any

import pytest

from flowground.caller import LOCAL_OWNER
from flowground.errors import TweaksRefused
from flowground.overrides import drop_inputs, find_changes
from tests.talk import FLOW, MEMBER, OPENED


def test_only_what_differs_is_an_override() -> None:
    seen = FLOW.policy.list_fields(LOCAL_OWNER)
    shown = {name: {key: policy.value for key, policy in policies.items()} for name, policies in seen.items()}
    assert find_changes(FLOW, shown, LOCAL_OWNER) == {}
    shown["Prompt"]["tone"] = "rude"
    shown["Model"] |= {"temperature": "0.10", "max_tokens": 7.9, "stream": False}
    assert find_changes(FLOW, shown, LOCAL_OWNER) == {
        "Prompt": {"tone": "rude"},
        "Model": {"max_tokens": 7, "stream": False},
    }


def test_nothing_means_the_authors_value() -> None:
    assert find_changes(FLOW, {"Model": {"temperature": None, "seed": None}}, LOCAL_OWNER) == {}


def test_the_authors_value_outside_the_bounds_is_no_override() -> None:
    assert find_changes(OPENED, {"History": {"n_messages": 100}}, MEMBER) == {}
    with pytest.raises(TweaksRefused, match=r"`History.n_messages` is at most 9.5 here, not 99"):
        find_changes(OPENED, {"History": {"n_messages": 99}}, MEMBER)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"Model": {"model": "local"}}, "The field is protected"),
        ({"Model": {"input_value": "x"}}, "is filled by `${ChatInput}`"),
        ({"Model": {"temperature": 3}}, "is a number from 0 to 2, not 3"),
        ({"Modle": {"temperature": 1}}, "did you mean `Model`"),
        ({"Prompt": {"template": "{colour}"}}, "Nobody gives the variable `{colour}`"),
    ],
)
def test_what_cannot_be_is_refused_as_by_the_api(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TweaksRefused) as caught:
        find_changes(FLOW, values, LOCAL_OWNER)
    assert sentence in caught.value.message


@pytest.mark.parametrize(
    "values",
    [
        {"Prompt": {"template": "x"}},
        {"Prompt": {"topic": "x"}},
        {"Model": {"input_value": "${ChatInput}"}},
        {"No": {"x": 1}},
    ],
)
def test_from_outside_every_other_name_gets_the_same_answer(values: dict[str, Any]) -> None:
    only = "the flow's author opened `Prompt.tone`, `Model.model`, `Model.temperature`, `Model.max_tokens`, "
    with pytest.raises(TweaksRefused) as caught:
        find_changes(OPENED, values, MEMBER)
    assert only in caught.value.message
    with pytest.raises(TweaksRefused, match="the flow's author opened no field"):
        find_changes(FLOW, values, MEMBER)


def test_a_message_takes_the_place_of_the_inputs_override() -> None:
    overrides = {"ChatInput": {"input_value": "x"}, "Topic": {"input_value": "y"}}
    assert drop_inputs(FLOW, overrides) == {"Topic": {"input_value": "y"}}
    assert drop_inputs(FLOW, overrides, input_type="text") == {"ChatInput": {"input_value": "x"}}
    assert drop_inputs(FLOW, overrides, input_type="any") == {}
