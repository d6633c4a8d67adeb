"""How the mistakes of a flow are told: each at its place, all at once."""

import pytest

from flowground.components import COMPONENTS
from tests.flow_texts import components, mistakes


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("A: {type: LangageModel}", "2:13: There is no component type 'LangageModel'. (did you mean LanguageModel?)"),
        (
            "A: {type: Widget}",
            f"2:13: There is no component type 'Widget'; there are {', '.join(COMPONENTS)}.",
        ),
        (
            "A: {type: LanguageModel, input_value: x, temprature: 1}",
            "2:44: LanguageModel has no field `temprature`. (did you mean temperature?)",
        ),
        (
            "A: {type: ChatInput, zzz: 1}",
            "2:24: ChatInput has no field `zzz`; it has input_value, should_store_message, display_name.",
        ),
        (
            "A: {type: LanguageModel, input_value: x, temperature: hot}",
            '2:57: `temperature` of LanguageModel is a number from 0 to 2, not "hot".',
        ),
        (
            "A: {type: LanguageModel, input_value: x, temperature: 99}",
            "2:57: `temperature` of LanguageModel is a number from 0 to 2, not 99.",
        ),
        (
            "A: {type: LanguageModel, input_value: x, temperature: .nan}",
            '2:57: `temperature` of LanguageModel is a number from 0 to 2, not ".nan".',
        ),
        (
            'A: {type: LanguageModel, input_value: x, temperature: "0.5"}',
            '2:57: `temperature` of LanguageModel is a number from 0 to 2, not "0.5"; without quotes it would be one.',
        ),
        (
            "A: {type: LanguageModel, input_value: x, top_p: 0}",
            "2:51: `top_p` of LanguageModel is a number above 0 and of at most 1, not 0.",
        ),
        (
            "A: {type: LanguageModel, input_value: x, max_tokens: 1.5}",
            "2:56: `max_tokens` of LanguageModel is a whole number from 1 to 1,000,000, not 1.5.",
        ),
        (
            "A: {type: LanguageModel, input_value: x, stream: yes}",
            '2:52: `stream` of LanguageModel is true or false, not "yes".',
        ),
        (
            "A: {type: ChatInput, input_value: 5}",
            "2:37: `input_value` of ChatInput is text, not 5; in quotes it would be.",
        ),
        ("A: {type: ChatInput, input_value: [a]}", '2:37: `input_value` of ChatInput is text, not ["a"].'),
        ("A: {type: LanguageModel}", "2:3: A (LanguageModel) needs `input_value`."),
        ("A: {type: LanguageModel, input_value: }", "2:28: A (LanguageModel) needs `input_value`."),
        (
            "A: {type: MessageHistory, order: ascending}",
            '2:36: `order` of MessageHistory is one of Ascending, Descending, not "ascending". (did you mean '
            "Ascending?)",
        ),
        (
            'A: {type: ChatInput, input_value: "say ${Pormpt}"}\nPrompt: {type: Prompt, template: x}',
            "2:42: `${Pormpt}` names no component of this flow. (did you mean Prompt?)",
        ),
        (
            'A: {type: ChatInput, input_value: "${HOME}"}',
            "2:38: `${HOME}` names no component of this flow; a plain `${` is written `$${`.",
        ),
        (
            'A: {type: ChatInput}\nB: {type: ChatInput, input_value: "${A.mesage}"}',
            "3:38: `A` (ChatInput) has no output 'mesage'. (did you mean message?)",
        ),
        (
            'A: {type: ChatInput}\nB: {type: ChatInput, input_value: "${A.zzz}"}',
            "3:38: `A` (ChatInput) has no output 'zzz'; it has message, files.",
        ),
        (
            'A: {type: ChatInput}\nB: {type: LanguageModel, input_value: x, temperature: "${A}"}',
            "3:58: `${A}` is text, and `temperature` of LanguageModel takes data: text becomes data only by a "
            "component that says so.",
        ),
        (
            'A: {type: ChatInput}\nB: {type: LanguageModel, input_value: x, model: "${A}"}',
            "3:52: `model` of LanguageModel is protected: it is written in the file, no reference can fill it.",
        ),
        (
            'A: {type: ChatInput, input_value: "my ${env:KEY}"}',
            "2:41: `${env:…}` is read in secret fields only, and `input_value` of ChatInput is none.",
        ),
        (
            'A: {type: Prompt, template: "Hi {name} and {x}", nmae: a, x: b}',
            "2:35: Nobody gives the variable `{name}`: give `name: …` beside the template, or write `{{name}}` for "
            "plain braces. (did you mean nmae?)",
        ),
        (
            'A: {type: Prompt, template: "Hi", name: a}',
            "2:37: `name` is no variable of the template.",
        ),
        (
            'A: {type: Prompt, template: "Hi {name}", name: a, tempalte: b}',
            "2:53: `tempalte` is no variable of the template. (did you mean template?)",
        ),
        (
            'A: {type: Prompt, template: "Hi {type}"}',
            "2:35: `{type}` cannot be a variable: `type` is a field of every component.",
        ),
        (
            'A: {type: Prompt, template: "{n}", n: 5}',
            "2:41: `n` of Prompt is text, not 5; in quotes it would be.",
        ),
        (
            'A: {type: MessageHistory, template: "{who}: {text}"}',
            "2:40: A message has no `{who}`.",
        ),
        (
            'A: {type: Prompt, template: "{b}", b: "${B}"}\nB: {type: Prompt, template: "{a}", a: "x ${A}"}',
            "2:42: These components feed each other in a circle: A → B → A.",
        ),
        ('A: {type: ChatInput, input_value: "${A}"}', "2:38: `A` refers to itself."),
    ],
)
def test_each_mistake_names_its_place(lines: str, expected: str) -> None:
    said = mistakes(components(lines))
    assert f"talk.yaml:{expected}" in said
    assert len(said) == 1 + expected.count("(did you mean nmae?)")


def test_a_mistake_inside_a_block_names_its_line_and_column() -> None:
    text = components(
        """\
        P:
          type: Prompt
          template: |

            Hello {name},
              dear ${Someone}!
        """
    )
    assert [said.split(": ")[0] for said in mistakes(text)] == ["talk.yaml:6:13", "talk.yaml:7:14"]


def test_all_mistakes_come_at_once() -> None:
    text = components(
        "A: {type: X}\nB: {type: ChatInput, zzz: 1, input_value: 5}\nC: {type: ChatInput, input_value: '${D}'}"
    )
    assert len(mistakes(text)) == 4


def test_a_flow_needs_an_output() -> None:
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
        "5:68: There is no `on_eror` in `step`",
        "8:28: There is no `contians` in `tests.0.expect`",
        "9:36: The flow has no component `Modl`",
    ]


def test_what_refers_to_a_component_that_cannot_be_read_is_no_mistake() -> None:
    broken = 'components: {ChatInput: 5, ChatOutput: {type: ChatOutput, input_value: "${ChatInput}"}}\n'
    (said,) = mistakes(broken)
    assert "The component `ChatInput` is a mapping" in said
