"""Validated and connected: what runs, and what may be changed of it.

How the mistakes of a flow are told: each at its place, all at once.

References, order and circles.
"""

from collections.abc import Mapping
from typing import ClassVar

import pytest

from flowground.components import COMPONENTS
from flowground.components.base import Component, Kind, declare
from flowground.components.io import OutputComponent
from flowground.components.models import LanguageModel
from flowground.components.template import parse_template
from flowground.core.errors import FlowError
from flowground.core.values import ValueKind
from flowground.flows.graph import Reference, Text, find_circle, parse_text, run_order
from flowground.flows.wiring import wire
from tests.flow_texts import components, mistakes, parsed, reads, wired

TALK = """\
components:
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
  Second: {type: ChatOutput, display_name: Shouted, input_value: "${Model.text_output}!"}
  Model: {type: LanguageModel, system_message: "${Prompt}", input_value: "${ChatInput}", temperature: 0.1}
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
    assert reads(said, f"talk.yaml:9:{15 if 'field' in entry else 7}: {expected}")
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
    output_kind: ClassVar[Kind] = "text"

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


SHORT = {
    "MODEL": "type: LanguageModel, input_value: x",
    "PROMPT": "type: Prompt, template:",
    "INPUT": "type: ChatInput, input_value:",
    "CHAT": "A: {type: ChatInput}",
}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("A: {type: LangageModel}", "2:13: There is no component type 'LangageModel'. (did you mean LanguageModel?)"),
        ("A: {type: Widget}", f"2:13: There is no component type 'Widget'; there are {', '.join(COMPONENTS)}."),
        ("A: {MODEL, system_prompt: x}", "2:44: LanguageModel has no field … (did you mean system_message?)"),
        ("A: {MODEL, temprature: 1}", "2:44: LanguageModel has no field `temprature`. (did you mean temperature?)"),
        ("A: {type: ChatInput, zzz: 1}", "2:24: ChatInput has no field `zzz`; it has input_value, … display_name."),
        ("A: {MODEL, temperature: 99}", "2:57: `temperature` of LanguageModel is a number from 0 to 2, not 99."),
        ('A: {MODEL, temperature: "0.5"}', "2:57: `temperature` of LanguageModel is a … quotes it would be one."),
        ("A: {MODEL, top_p: 0}", "2:51: `top_p` of LanguageModel is a number above 0 and of at most 1, not 0."),
        ("A: {MODEL, stream: yes}", '2:52: `stream` of LanguageModel is true or false, not "yes".'),
        ("A: {type: ChatInput, input_value: 5}", "2:37: `input_value` of ChatInput is … 5; in quotes it would be."),
        ("A: {type: LanguageModel}", "2:3: A (LanguageModel) needs `input_value`."),
        ("A: {type: MessageHistory, order: ascending}", "2:36: `order` of MessageHistory is … you mean Ascending?)"),
        ('A: {INPUT "say ${Pormpt}"}\nPrompt: {PROMPT x}', "2:42: `${Pormpt}` names no component … you mean Prompt?)"),
        ('A: {INPUT "${HOME}"}', "2:38: `${HOME}` names no component … `${` is written `$${`."),
        (
            'CHAT\nB: {type: ChatInput, input_value: "${A.mesage}"}',
            "3:38: `A` (ChatInput) has no output 'mesage'. (did you mean message?)",
        ),
        ('CHAT\nB: {MODEL, temperature: "${A}"}', "3:58: `${A}` is text, and … a component that says so."),
        ('CHAT\nB: {MODEL, model: "${A}"}', "3:52: `model` of LanguageModel is protected: … no reference can fill it."),
        ('A: {INPUT "my ${env:KEY}"}', "2:41: `${env:…}` is read in … ChatInput is none."),
        ('A: {PROMPT "Hi {name} and {x}", nmae: a, x: b}', "2:35: Nobody gives the variable … (did you mean nmae?)"),
        ('A: {PROMPT "Hi", name: a}', "2:37: `name` is no field and no variable here."),
        ('A: {PROMPT "Hi {type}"}', "2:35: `{type}` cannot be a variable: … of the component."),
        ('A: {type: MessageHistory, template: "{who}: {text}"}', "2:40: A message has no `{who}`."),
        (
            'A: {PROMPT "{b}", b: "${B}"}\nB: {PROMPT "{a}", a: "x ${A}"}',
            "2:42: These components feed each other in a circle: A → B → A.",
        ),
        ('A: {INPUT "${A}"}', "2:38: `A` refers to itself."),
    ],
)
def test_each_mistake_names_its_place(lines: str, expected: str) -> None:
    for word, meant in SHORT.items():
        lines = lines.replace(word, meant)
    said = mistakes(components(lines))
    assert any(reads(each, f"talk.yaml:{expected}") for each in said)
    assert len(said) == 1 + expected.count("(did you mean nmae?)")


def test_a_mistake_inside_a_block_names_its_line_and_column() -> None:
    text = components("P:\n  type: Prompt\n  template: |\n\n    Hello {name},\n      dear ${Someone}!\n")
    assert [said.split(": ")[0] for said in mistakes(text)] == ["talk.yaml:6:13", "talk.yaml:7:14"]


def test_all_mistakes_come_at_once_and_a_flow_needs_an_output() -> None:
    lines = "A: {type: X}\nB: {type: ChatInput, zzz: 1, input_value: 5}\nC: {type: ChatInput, input_value: '${D}'}"
    assert len(mistakes(components(lines))) == 4
    assert mistakes("components:\n  A: {type: ChatInput}\n") == [
        "talk.yaml:2:3: The flow gives no answer: it needs a ChatOutput or a TextOutput."
    ]


def test_mistakes_beside_the_components_hide_none_of_theirs() -> None:
    text = """\
    nmae: Talk
    api: {overridable: [{min: 3}]}
    components:
      ChatInput: {type: ChatInput}
      Model: {type: LanguageModel, input_value: "${ChatInptu}", step: {on_eror: continue}}
      ChatOutput: {type: ChatOutput, input_value: "${Model}"}
    tests:
      - {message: hi, expect: {contians: x}}
      - {message: hi, expect: {takes: [Modl]}}
    """
    assert [says.partition("talk.yaml:")[2].partition(". ")[0] for says in mistakes(text)] == [
        "1:1: There is no `nmae` in a flow",
        "2:21: `api.overridable.0.field` is missing.",
        "5:46: `${ChatInptu}` names no component of this flow",
        "5:68: There is no `on_eror` in `components.Model.step`",
        "8:28: There is no `contians` in `tests.0.expect`",
        "9:36: The flow has no component `Modl`",
    ]


def test_what_refers_to_a_component_that_cannot_be_read_is_no_mistake() -> None:
    broken = 'components: {ChatInput: 5, ChatOutput: {type: ChatOutput, input_value: "${ChatInput}"}}\n'
    (said,) = mistakes(broken)
    assert "The component `ChatInput` is a mapping" in said


@pytest.mark.parametrize(
    "plain", ["", "no reference", "costs $5", "{name}", "${unclosed", "$ {A}", "{{A}}", "${two\nlines}"]
)
def test_text_without_references_has_no_parts(plain: str) -> None:
    assert parse_text(plain) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("${A}", (Reference("A"),)),
        ("${A.message}", (Reference("A", "message"),)),
        ("${A?}", (Reference("A", is_optional=True),)),
        ("${ext:ibm:Watsonx@official-x1.a.b}", (Reference("ext:ibm:Watsonx@official-x1", "a.b"),)),
        ("a ${A} b ${B-1.x}", ("a ", Reference("A", None, 2), " b ", Reference("B-1", "x", 9))),
        ("${A}${A}", (Reference("A"), Reference("A", None, 4))),
        ("$${A}", ("${A}",)),
        ("$$${A}", ("$${A}",)),
        ("${}", (Reference(""),)),
        ("${env:KEY}", (Reference("env:KEY"),)),
    ],
)
def test_references_are_told_from_text(text: str, parts: tuple[str | Reference, ...]) -> None:
    found = parse_text(text)
    assert found is not None
    assert found.parts == parts


def test_a_text_is_filled_with_values_that_are_not_looked_at_again() -> None:
    text = parse_text("${A}: ${B}")
    assert text is not None
    assert text.fill(lambda reference: {"A": "${B}", "B": "b"}[reference.component]) == "${B}: b"
    template = Text(("{name} ", Reference("A")), is_template=True)
    assert template.fill(lambda _: "{name} }") == "{name} {{name}} }}"
    assert Text((Reference("A"),), is_template=True).fill(lambda _: "{x}") == "{{x}}"
    escaped = parse_text("$${A} ${B}", is_template=True)
    assert escaped is not None
    assert parse_template(escaped.fill(lambda _: "{b}")).fill({}) == "${A} {b}"


@pytest.mark.parametrize(
    "text", ["a ${A}", "${A}${B}", "${A?}${B}", "${A?} ${B?}", "$${A}", "${A.x}", "${A?}", "${A?}${B.x?}"]
)
def test_sources_are_what_a_whole_text_is_made_of(text: str) -> None:
    found = parse_text(text)
    assert found is not None
    sources = {"${A.x}": ["A"], "${A?}": ["A"], "${A?}${B.x?}": ["A", "B"]}
    assert [reference.component for reference in found.sources] == sources.get(text, [])


def test_order_follows_what_waits_and_the_files_order_and_circles_are_found_and_left_out() -> None:
    waits = {"out": {"model"}, "model": {"in", "prompt"}, "in": set[str](), "prompt": set[str]()}
    assert run_order(waits) == ("in", "prompt", "model", "out")
    assert run_order({"b": (), "a": (), "c": ()}) == ("b", "a", "c")
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"d"}, "e": {"a"}, "f": ()}
    assert find_circle(graph) == ("a", "b", "c")
    assert run_order(graph) == ("f",)
    assert find_circle({"b": (), "d": {"d"}}) == ("d",)
    assert find_circle({"a": {"b"}, "b": ()}) == ()
