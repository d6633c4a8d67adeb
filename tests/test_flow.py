"""What a flow file says, and how its mistakes are told."""

import codecs

import pytest

from flowground.core.errors import FlowError
from flowground.core.yaml_file import Position
from flowground.flows.parse import parse_flow
from tests.flow_texts import components, mistakes, parsed, reads

MODEL = "OpenAIModel-a1b2c"
FULL = """\
# a comment
name: Basic Prompting
description: Answers.
owners: [ada, bob]
components:
  ChatInput: {type: ChatInput}
  OpenAIModel-a1b2c: {type: LanguageModel, display_name: My Model, input_value: "${ChatInput}", temperature: 0.1}
  ChatOutput: {type: ChatOutput, input_value: "${OpenAIModel-a1b2c}"}
chat:
  welcome: Hi
  starters: [one, two]
api:
  endpoint_name: basic
  overridable: [OpenAIModel-a1b2c.temperature, {field: OpenAIModel-a1b2c.model, choices: [local]}]
"""


def test_a_file_becomes_a_flow() -> None:
    flow = parse_flow(FULL, "basic-prompting.yaml")
    assert (flow.id, flow.name, flow.description) == ("basic-prompting", "Basic Prompting", "Answers.")
    assert flow.owners == ("ada", "bob")
    assert list(flow.components) == ["ChatInput", MODEL, "ChatOutput"]
    assert (flow.chat.welcome, flow.chat.starters) == ("Hi", ("one", "two"))
    assert flow.api.endpoint_name == "basic"
    assert [each.field.split(".") for each in flow.api.overridable or ()] == [[MODEL, "temperature"], [MODEL, "model"]]
    spec = flow.components[MODEL]
    assert (spec.type, spec.display_name) == ("LanguageModel", "My Model")
    assert spec.fields == {"input_value": "${ChatInput}", "temperature": 0.1}
    assert spec.position == Position(7, 3)
    assert (spec.places["temperature"].key, spec.places["temperature"].value) == (Position(7, 97), Position(7, 110))

    one, same = parsed(FULL), parse_flow(FULL.encode(), "other.yaml")
    assert one.version == same.version
    assert len(one.version) == 12
    assert parsed(FULL + "# more\n").version != one.version


def test_id_and_name_come_from_the_files_name_and_what_says_nothing_is_the_default() -> None:
    flow = parsed(components(""), "my-first_flow.yml")
    assert (flow.id, flow.name) == ("my-first_flow", "My First Flow")
    assert parsed("id: b7eb5878-8be8-40e4-8262-3AAB381924AC\n" + components("")).id.startswith("b7eb5878")


def test_scalars_are_those_of_yaml_1_2() -> None:
    flow = parsed(
        """\
        components:
          A: {type: X, yes: yes, date: 2024-01-01, time: 12:30, octal: 0123, int: -7, float: 1e3, none: ~, on: True}
        """
    )
    texts = {"yes": "yes", "date": "2024-01-01", "time": "12:30"}
    assert flow.components["A"].fields == texts | {"octal": 123, "int": -7, "float": 1000.0, "none": None, "on": True}

    flow = parsed("name:\nchat:\napi:\n  overridable:\n" + components(""))
    assert (flow.name, flow.chat.starters, flow.api.overridable) == ("Talk", (), None)

    flow = parsed("components:\n  A: {type: X, t: &long some text}\n  B: {type: X, t: *long}\n")
    assert flow.components["B"].fields == {"t": "some text"}


@pytest.mark.parametrize("text", [codecs.BOM_UTF8 + FULL.encode(), "\ufeff" + FULL, FULL.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_windows_lines_do_no_harm(text: str | bytes) -> None:
    assert parsed(text).components.keys() == parsed(FULL).components.keys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: The file is empty: a flow has `components:`."),
        ("- a\n", "1:1: A flow is a mapping: `name: …`, `components: …`."),
        ("name: x\n", "1:1: A flow has `components:`, at least an output; there are none."),
        ("name: x\ncomponents:\n", "2:1: A flow has `components:`, at least an output; there are none."),
        ("components: [A]\n", "1:13: `components` is a mapping: `Name: {type: …}`."),
        ("components: {A: ChatInput}\n", "1:17: The component `A` is a mapping: `{type: …}`."),
        ("components: {A: {type: 5}}\n", "1:24: `type` of `A` is text, not 5."),
        ("components: {A: {}}\n", "1:14: The component `A` has no `type`."),
        ("components: {A: {typ: X}}\n", "1:18: The component `A` has no `type`. (did you mean type?)"),
        ("components: {my.model: {type: X}}\n", '1:14: "my.model" cannot be a component\'s … (did you mean mymodel?)'),
        ("name: a\nname: b\n" + components(""), "2:1: `name` is given twice; the first is on line 1."),
        ("chta:\n" + components(""), "1:1: There is no `chta` in a flow. (did you mean chat?)"),
        ("steps: {}\n", "1:1: There is no `steps` in a flow. (did you mean components?)"),
        ("chat: {welcom: a}\n" + components(""), "1:8: There is no `welcom` in `chat`. (did you mean welcome?)"),
        ('chat:\n  acent: "#0b7a4b"\n' + components(""), "2:3: There is no `acent` in `chat`. (did you mean accent?)"),
        ("chat:\n  accent: #0b7a4b\n" + components(""), '2:10: `chat.accent` is a colour in … "#4f46e5", not null.'),
        ("chat: hello\n" + components(""), '1:7: `chat` is a mapping, not "hello".'),
        ("owners: ada\n" + components(""), '1:9: `owners` is a list (text each), not "ada".'),
        ("chat:\n  starters: [ok, 5]\n" + components(""), "2:18: `chat.starters.1` is text … 200 characters, not 5."),
        ("id: Not Good\n" + components(""), "1:5: 'Not Good' cannot be an id: it is … letter or digit, or a UUID."),
        ("api: {endpoint_name: static}\n" + components(""), "1:22: 'static' cannot be an endpoint … own addresses."),
        (
            "api: {overridable: [{field: Out.input_value, min: low}]}\n" + components(""),
            '1:51: `api.overridable.0.min` is a number, not "low".',
        ),
        (
            "api: {overridable: [{field: Out.input_value, ask: often}]}\n" + components(""),
            '1:51: `api.overridable.0.ask` is true or false, not "often".',
        ),
    ],
)
def test_each_mistake_names_its_place(text: str | bytes, expected: str) -> None:
    (said,) = mistakes(text)
    assert reads(said, f"talk.yaml:{expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("components:\n\tA: 1\n", "2:1: A tab cannot indent: use spaces."),
        (
            "components:\n  A: {type: ChatOutput, input_value: ${Model}}\n",
            '2:38: Inside {…} and […] a reference needs quotes. (did you mean "${Model}"?)',
        ),
        ("components: {A: [1, 2\n", "2:1: YAML: did not find expected ',' or ']'. A … closed, or a comma is missing."),
        ("name: My flow: the best\n", "1:14: This colon starts a value where none can stand: … or quote the text."),
        ("name: @home\n", "1:7: YAML: found character that cannot start any token. Quote the text."),
        ("components:\n  A:\n    type: X\n   x: 1\n", "4:4: YAML: did not find expected key. … like its neighbours."),
        ("name: a\n---\nname: b\n", "2:1: A flow file holds one document: what follows this `---` belongs elsewhere."),
        ("name: !!python/object:os.system x\n", "1:7: Tags are not used in flow files; for a text, quotes are enough."),
        ("name: *nobody\n", "1:7: Nothing is marked `&nobody` above."),
        ("name: &me [*me]\n", "1:12: `*me` stands inside what it stands for."),
        ("? [a]\n: b\n", "1:3: A name is plain text here, nothing composed."),
        ("<<: {name: a}\n", "1:1: Merge keys are not used in flow files: write the fields out."),
        ("chat: {welcome: 'Hi ${env:HOME}'}\n" + components(""), "1:21: `${env:…}` is read in … and this is none."),
        ('name: "\x07"\n', '1:8: The character U+0007 cannot stand in a file; … "\\u0007" stands for it.'),
        (b"name: caf\xe9\n", "1:10: The byte 0xE9 is no UTF-8: save the file in that encoding."),
    ],
)
def test_what_is_no_yaml_names_its_place(text: str | bytes, expected: str) -> None:
    assert any(reads(said, f"talk.yaml:{expected}") for said in mistakes(text))


def test_all_mistakes_come_at_once_in_the_files_order() -> None:
    text = "nmae: a\ncomponents:\n  A: {typ: X}\n  A: {type: X}\nchat: {starters: [5]}\n"
    places = [line.split(": ")[0].removeprefix("talk.yaml:") for line in mistakes(text)]
    assert places == ["1:1", "3:7", "4:3", "5:19"]
    assert len(mistakes("".join(f"zz{number}: 1\n" for number in range(5000)))) == 50
    assert len(mistakes(components("".join(f"A{number}: {{type: X}}\n" for number in range(400))))) == 50


def test_a_files_name_that_is_no_address_asks_for_another() -> None:
    (said,) = mistakes(components(""), "My Flow.yaml")
    expected = "My Flow.yaml:1:1: The file's name 'My Flow' cannot be … or give `id:`. (did you mean my-flow?)"
    assert reads(said, expected)
    for word in ("static", "media", "component", "app", "_stcore"):
        assert "cannot be the flow's id" in mistakes(components(""), f"{word}.yaml")[0]


def test_a_file_over_the_limit_is_not_read_and_a_flow_has_five_hundred_components_and_no_more() -> None:
    with pytest.raises(FlowError, match=r"big.yaml:1:1: The file has 5,000,000 bytes; 1,048,576 is the limit"):
        parse_flow(b"a" * 5_000_000, "big.yaml")
    more = "".join(f"A{number}: {{type: X}}\n" for number in range(500))
    (mistake,) = [said for said in mistakes(components(more)) if "at most" in said]
    assert mistake.endswith("A flow has at most 500 components.")


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BOMB, "The file has more than 20,000 values, aliases counted as what they stand for."),
        ("a: " + "[" * 500_000, "This is nested more than 20 levels deep."),
        ("a: " + "{a: " * 200_000, "This is nested more than 20 levels deep."),
        ("\n".join(f"{' ' * depth}a:" for depth in range(500)), "This is nested more than 20 levels deep."),
        ("a: [" + "1, " * 300_000, "The file has more than 20,000 values"),
        ("".join(f"k{number}:\n" for number in range(30_000)), "The file has more than 20,000 values"),
    ],
)
def test_a_hostile_file_is_one_mistake_soon(text: str | bytes, expected: str) -> None:
    (said,) = mistakes(text)
    assert expected in said
