"""What may be overridden, why the rest may not, and what an override comes to."""

from typing import Any

import pytest

from flowground.errors import TweaksRefused
from flowground.overrides import OverrideField, changed, for_message, override_fields
from flowground.wiring import WiredFlow
from tests.flow_texts import wired

TALK = """\
components:
  ChatInput: {type: ChatInput, input_value: Hello}
  Topic: {type: TextInput, display_name: The topic, input_value: tea}
  Prompt: {type: Prompt, template: "Talk of {topic} in a {tone} tone.", topic: "${Topic}", tone: kind}
  Model:
    type: LanguageModel
    model: scripted
    system_message: ${Prompt} ${Topic}
    input_value: ${ChatInput}
    temperature: 0.1
    n: 1
  History: {type: MessageHistory}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
""".replace("    n: 1\n", "")
FLOW = wired(TALK)
OPENED = wired(
    TALK
    + """\
api:
  overridable:
    - Prompt.tone
    - {field: Model.model, choices: [scripted, local]}
    - {field: Model.temperature, min: -1, max: 1}
    - {field: Model.max_tokens, choices: [0, 10, 20.0], max: 15}
    - {field: History.n_messages, min: 1.5, max: 9.5}
"""
)


def fields(flow: WiredFlow, *, inside: bool = True) -> dict[str, OverrideField]:
    return {field.key: field for group in override_fields(flow, inside=inside) for field in group.fields}


def test_fields_stand_in_the_flows_order_by_component() -> None:
    groups = override_fields(FLOW, inside=True)
    assert [(group.id, group.name, group.type) for group in groups] == [
        ("ChatInput", "Chat Input", "ChatInput"),
        ("Topic", "The topic", "TextInput"),
        ("Prompt", "Prompt", "Prompt"),
        ("Model", "Language Model", "LanguageModel"),
        ("History", "Message History", "MessageHistory"),
        ("ChatOutput", "Chat Output", "ChatOutput"),
    ]
    assert [field.name for field in groups[2].fields] == ["template", "topic", "tone"]


@pytest.mark.parametrize(
    ("key", "kind", "value", "bounds"),
    [
        ("ChatInput.input_value", "area", "Hello", (None, None, None)),
        ("Prompt.tone", "area", "kind", (None, None, None)),
        ("Model.temperature", "slider", 0.1, (0, 2, 0.01)),
        ("Model.top_p", "number", None, (0.01, 1, 0.01)),
        ("Model.max_tokens", "integer", None, (1, 1_000_000, 1)),
        ("Model.stream", "switch", True, (None, None, None)),
        ("History.n_messages", "slider", 100, (0, 1000, 1)),
    ],
)
def test_the_editor_follows_the_model(key: str, kind: str, value: Any, bounds: tuple[Any, ...]) -> None:
    field = fields(FLOW)[key]
    assert (field.kind, field.value, (field.min, field.max, field.step)) == (kind, value, bounds)
    assert field.locked is None


def test_a_field_says_what_its_model_says() -> None:
    field = fields(FLOW)["History.order"]
    assert (field.title, field.description) == ("Order", "Oldest first (Ascending) or newest first.")
    assert (field.kind, field.choices, field.default) == ("choice", ("Ascending", "Descending"), "Ascending")
    assert (field.optional, fields(FLOW)["Model.seed"].optional) == (False, True)


def test_what_is_locked_says_why() -> None:
    locked = {key: field.locked for key, field in fields(FLOW).items() if field.locked}
    assert locked == {
        "Prompt.topic": "The topic feeds it",
        "Model.model": "Protected: only the author sets it",
        "Model.system_message": "Prompt and The topic feed it",
        "Model.input_value": "Chat Input feeds it",
        "ChatOutput.input_value": "Language Model feeds it",
    }
    assert fields(FLOW)["Model.system_message"].value == "${Prompt} ${Topic}"
    assert fields(OPENED)["Prompt.template"].locked == "The author has not opened it"
    assert fields(OPENED)["Prompt.topic"].locked == "The topic feeds it"
    assert fields(OPENED)["Model.model"].locked is None


def test_bounds_are_the_tighter_of_models_and_authors() -> None:
    found = fields(OPENED)
    assert (found["Model.temperature"].min, found["Model.temperature"].max) == (0, 1)
    assert (found["Model.model"].kind, found["Model.model"].choices) == ("choice", ("scripted", "local"))
    assert found["Model.max_tokens"].choices == (10,)
    assert (found["History.n_messages"].min, found["History.n_messages"].max) == (2, 9)
    assert found["History.n_messages"].kind == "integer"  # the author's own 100 lies outside


def test_from_outside_there_is_only_what_the_author_opened() -> None:
    assert list(fields(OPENED, inside=False)) == [
        "Prompt.tone",
        "Model.model",
        "Model.temperature",
        "Model.max_tokens",
        "History.n_messages",
    ]
    assert override_fields(FLOW, inside=False) == ()
    seen = repr(override_fields(OPENED, inside=False))
    assert not any(word in seen for word in ("Talk of", "${", "Hello", "tea"))


def test_only_what_differs_is_an_override() -> None:
    shown = {
        group.id: {field.name: field.value for field in group.fields} for group in override_fields(FLOW, inside=True)
    }
    assert changed(FLOW, shown, inside=True) == {}
    shown["Prompt"]["tone"] = "rude"
    shown["Model"] |= {"temperature": "0.10", "max_tokens": 7.9, "stream": False}
    assert changed(FLOW, shown, inside=True) == {
        "Prompt": {"tone": "rude"},
        "Model": {"max_tokens": 7, "stream": False},
    }


def test_nothing_means_the_authors_value() -> None:
    assert changed(FLOW, {"Model": {"temperature": None, "seed": None}}, inside=True) == {}


def test_the_authors_value_outside_the_bounds_is_no_override() -> None:
    assert changed(OPENED, {"History": {"n_messages": 100}}, inside=False) == {}
    with pytest.raises(TweaksRefused, match=r"`History.n_messages` is at most 9.5 here, not 99"):
        changed(OPENED, {"History": {"n_messages": 99}}, inside=False)


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
        changed(FLOW, values, inside=True)
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
        changed(OPENED, values, inside=False)
    assert only in caught.value.message
    with pytest.raises(TweaksRefused, match="the flow's author opened no field"):
        changed(FLOW, values, inside=False)


def test_a_message_takes_the_place_of_the_inputs_override() -> None:
    overrides = {"ChatInput": {"input_value": "x"}, "Topic": {"input_value": "y"}}
    assert for_message(FLOW, overrides) == {"Topic": {"input_value": "y"}}
    assert for_message(FLOW, overrides, input_type="text") == {"ChatInput": {"input_value": "x"}}
    assert for_message(FLOW, overrides, input_type="any") == {}
