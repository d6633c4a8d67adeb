"""How the mistakes of a flow are told: each at its place, all at once."""

import pytest

from flowground.components import COMPONENTS
from tests.flow_texts import components, mistakes, reads

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
        ('A: {PROMPT "Hi", name: a}', "2:37: `name` is no variable of the template."),
        ('A: {PROMPT "Hi {type}"}', "2:35: `{type}` cannot be a variable: … of every component."),
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
