"""Validated and connected: what runs, and what may be changed of it."""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from flowground.components import COMPONENTS
from flowground.components.base import Component, declare
from flowground.components.io import Kind, OutputComponent
from flowground.components.models import LanguageModel
from flowground.core.errors import FlowError
from flowground.core.values import ValueKind
from flowground.flows.graph import Reference, Text
from flowground.flows.wiring import wire
from tests.flow_texts import components, mistakes, parsed, reads, wired

TALK = """\
components:
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
  Second: {type: ChatOutput, display_name: Shouted, input_value: "${Model.text_output}!"}
  Model:
    type: LanguageModel
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.1
  Prompt: {type: Prompt, template: "Be {how}. $${x}", how: "very ${ChatInput.message} $${y}"}
  ChatInput: {type: ChatInput, input_value: Hello}
"""


def test_a_flow_is_connected_once() -> None:
    flow = wired(TALK)
    assert (flow.id, flow.name, flow.version) == (flow.flow.id, "Talk", flow.flow.version)
    assert flow.order == ("ChatInput", "Prompt", "Model", "ChatOutput", "Second")
    assert flow.outputs == ("ChatOutput", "Second")
    waits_for = {"ChatInput": set(), "Prompt": {"ChatInput"}, "Model": {"Prompt", "ChatInput"}}
    assert flow.waits_for == waits_for | {"ChatOutput": {"Model"}, "Second": {"Model"}}
    assert flow.connections["Model"]["system_message"] == Text((Reference("Prompt"),))
    assert flow.connections["Prompt"]["how"].fill(lambda _: "kind") == "very kind ${y}"
    assert flow.streams_to == {"Model": ("ChatOutput",)}
    assert list(flow.display_names.values()) == ["Chat Output", "Shouted", "Language Model", "Prompt", "Chat Input"]
    model = flow.components["Model"]
    assert isinstance(model, LanguageModel)
    assert (model.system_message, model.input_value, model.temperature) == ("", "", 0.1)
    assert flow.components["Prompt"].model_dump()["template"] == "Be {how}. ${{x}"
    flow = wired(components("A: {type: LanguageModel, input_value: x, temperature: ~, stream: null}"))
    assert flow.components["A"].model_dump()["stream"] is True


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("Modle.temperature", "There is no component 'Modle'. (did you mean Model.temperature?)"),
        ("temperature", "`temperature` names no field: write `Component.field`."),
        ("Model.temprature", "LanguageModel has no field `temprature`. (did you mean Model.temperature?)"),
        ("Model.system_message", "`Model.system_message` is filled by ${Prompt}: nobody can override it."),
        ("{field: ChatInput.input_value, min: 1}", "`ChatInput.input_value`: `min` and `max` are … and this is text."),
        ("{field: Model.temperature, choices: [0, hot]}", '`Model.temperature`: "hot" in … a number from 0 to 2.'),
        ("{field: Model.temperature, min: 1, max: 0.5}", "`Model.temperature`: `min` 1 is greater than `max` 0.5."),
        ("{field: Model.stream, choices: [1]}", "`Model.stream`: 1 in `choices` cannot be: … field is true or false."),
        ("{field: ChatInput.input_value, ask: true}", "`ChatInput.input_value`: it is the message … leave out `ask`."),
    ],
)
def test_every_overridable_names_a_field_that_callers_can_set(entry: str, expected: str) -> None:
    (said,) = mistakes(f"{TALK}api:\n  overridable:\n    - {entry}\n")
    assert reads(said, f"talk.yaml:13:{15 if 'field' in entry else 7}: {expected}")
    may_be = "Model.model, Prompt.template, {field: Model.stream, choices: [true]}"
    assert mistakes(f"{TALK}api: {{overridable: [{may_be}]}}\n") == []


def test_what_no_editor_shows_is_asked_of_nobody() -> None:
    (said,) = mistakes("""
components:
  ChatInput: {type: ChatInput}
  Route: {type: SmartRouter, input_text: "${ChatInput}", routes: {all: Everything}}
  Out: {type: ChatOutput, input_value: "${Route.all}"}
api: {overridable: [{field: Route.routes, ask: true}]}
""")
    assert said.endswith("`Route.routes` is fixed in the file: callers cannot set it.")
    rows = """
components:
  Rows: {type: Parser, input_data: [{text: a}]}
  Out: {type: ChatOutput, input_value: "${Rows}"}
api: {overridable: [{field: Rows.input_data, ask: true}]}
"""
    (said,) = mistakes(rows)
    assert reads(said.partition(" ")[2], "`Rows.input_data`: `ask` is for … records, a list of mappings.")
    assert mistakes(rows.replace(", ask: true", "")) == []
    for wrong in ("choices: [true]", "choices: [a]", "choices: [1]", "min: 1"):
        (said,) = mistakes(rows.replace("ask: true", wrong))
        assert "records, a list of mappings" in said


class Locked(OutputComponent):
    type_name: ClassVar[str] = "Locked"
    title: ClassVar[str] = "Locked"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    kind: ClassVar[Kind] = "text"

    key: str = declare("", "Key", "A key.", secret=True, min_length=3)
    input_value: str = ""


LOCKED: dict[str, type[Component]] = {**COMPONENTS, "Locked": Locked}


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    flow = wire(parsed("components: {A: {type: Locked, key: '${env:MY_KEY}'}}"), types=LOCKED)
    assert flow.components["A"].model_dump()["key"] == "s3cret"
    assert wire(parsed("components: {A: {type: Locked}}\napi: {overridable: [A.key]}"), types=LOCKED).policy.asked == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (", key: '${env:NOT_SET}'}}", "The environment variable NOT_SET is not set."),
        (", key: 'Bearer ${env:MY_KEY}'}}", "A secret is `${env:NAME}` as a whole: `key` is not."),
        (", key: '${env:SHORT}'}}", "`key` of Locked is text."),
        ("}}\napi: {overridable: [{field: A.key, ask: true}]}", "`A.key`: `ask` is not for secrets."),
    ],
)
def test_a_mistake_in_a_secret_never_shows_it(monkeypatch: pytest.MonkeyPatch, fields: str, expected: str) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    monkeypatch.setenv("SHORT", "s")
    with pytest.raises(FlowError) as caught:
        wire(parsed(f"components: {{A: {{type: Locked{fields}"), types=LOCKED)
    (problem,) = caught.value.problems
    assert problem.message == expected
    assert "s3cret" not in str(problem)
    assert "ask" in expected or problem.value in (None, '"${env:NOT_SET}"')


def test_a_page_asks_for_fifty_fields() -> None:
    def ask_for(count: int) -> str:
        names = [f"v{number}" for number in range(count)]
        template, variables = "".join(f"{{{name}}}" for name in names), "".join(f", {name}: x" for name in names)
        entries = "".join(f"\n    - {{field: Prompt.{name}, ask: true}}" for name in names)
        return f"""
components:
  Prompt: {{type: Prompt, template: "{template}"{variables}}}
  Out: {{type: ChatOutput, input_value: "${{Prompt}}"}}
api:
  overridable:{entries}
"""

    assert len(wired(ask_for(50)).policy.asked) == 50
    assert len(mistakes(ask_for(52))) == 2
    (said,) = mistakes(ask_for(51))
    assert said.endswith("`Prompt.v50`: a page asks for 50 fields, and there are as many before it.")
