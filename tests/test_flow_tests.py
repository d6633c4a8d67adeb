"""What `tests:` of a flow file may say, and how its mistakes are told."""

import pytest

from flowground.flows.flow import Expectation
from tests.flow_texts import mistakes, wired

FLOW = """\
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
tests:
"""


def test_a_text_may_stand_for_a_list_of_one() -> None:
    flow = wired(FLOW + "  - {message: hi, expect: {contains: a, takes: Model, schema: {type: object}}}\n").flow
    (test,) = flow.tests
    assert test.expect == Expectation(contains=("a",), takes=("Model",), schema={"type": "object"})
    assert (test.title, test.list_turns()) == ("hi", (test,))


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("{mesage: hi}", "6:6: There is no `mesage` in `tests.0`. (did you mean message?)"),
        ("{expect: {contain: x}}", "6:15: There is no `contain` in `tests.0.expect`. (did you mean contains?)"),
        ("{files: a.pdf}", "6:13: `tests.0.files` is a list"),
        ("{expect: {max_seconds: 0}}", "6:28: `tests.0.expect.max_seconds` is a number above 0, not 0."),
        ("{message: hi, turns: [{message: x}]}", "6:5: `tests.0`: with `turns`, each turn has its own message."),
        ("{expect: {takes: Modl}}", "6:22: The flow has no component `Modl`. (did you mean Model?)"),
        ("{turns: [{}, {expect: {takes: Modl}}]}", "6:35: The flow has no component `Modl`. (did you mean Model?)"),
        ("{expect: {calls: {In: 1}}}", "6:23: `In` (ChatInput) asks no model; there are Model."),
        ("{expect: {arguments: {Model: {a: 1}}}}", "6:27: `Model` (LanguageModel) is no tool of an agent."),
        ("{replies: {Out: x}}", "6:16: `Out` (ChatOutput) asks nobody; there are Model."),
        ("{expect: {matches: '('}}", "6:24: The pattern cannot be read: unclosed group."),
        ("{expect: {schema: {type: objct}}}", "6:23: The schema cannot be read: `type`: 'objct' is not valid"),
        (
            "{expect: {fails: x, equals: y, schema: {}, cites: z}}",
            "6:14: `tests.0.expect`: a turn that fails has no answer: leave out schema, cites and equals.",
        ),
        ("{expect: {contains: '${env:HOME}'}}", "6:26: `${env:…}` is read in secret fields of components only"),
    ],
)
def test_mistakes_are_told_with_their_place(test: str, told: str) -> None:
    (said,) = mistakes(f"{FLOW}  - {test}\n")
    assert said.removeprefix("talk.yaml:").startswith(told)


def test_there_are_not_too_many() -> None:
    assert mistakes(FLOW + "  - {}\n" * 200) == []
    (said,) = mistakes(FLOW + "  - {}\n" * 201)
    assert "`tests` is a list (a mapping each), up to 200" in said
