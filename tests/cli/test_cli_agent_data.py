"""An agent's answer as data of a schema."""

import pytest

from tests.cli.test_cli_flow_tests import run_gate, write_gate
from tests.command_line import Here

ADDS = """\
components:
  In: {type: ChatInput}
  Agent:
    type: Agent
    input_value: ${In}
    tools: [Sum]
    max_iterations: 2
    output_schema: [{name: total, type: int}, {name: unit, type: str}]
  Sum: {type: Calculator}
  Is: {type: ConditionalRouter, input_text: "${Agent.structured_response}", operator: contains, match_text: "42"}
  Out: {type: ChatOutput, input_value: "${Agent} ${Agent.structured_response} ${Is.true_result?}"}
tests:
"""
ROWS = "[{name: total, type: int}, {name: unit, type: str}]"
CALL = '\'call Sum {"expression": "6*7"}\''
FITS = "{total: 42, unit: EUR}"
DATA = '{"total":42,"unit":"EUR"}'


@pytest.mark.parametrize(
    ("replies", "expected"),
    [
        (f"[{CALL}, It is 42., {FITS}]", f"{{equals: 'It is 42. {DATA} {DATA}', calls: {{Agent: 3}}, takes: Sum}}"),
        (f"[{FITS}]", '{matches: \'"total": 42.*"total":42\', calls: {Agent: 1}}'),
        (f"[It is 42., {{total: 42}}, {FITS}]", f"{{equals: 'It is 42. {DATA} {DATA}', calls: {{Agent: 3}}}}"),
        ("[It is 42., {total: many}, no idea]", "{fails: 'The model gave no JSON that fits, asked twice'}"),
    ],
)
def test_an_answer_is_also_given_as_data_that_fits(here: Here, replies: str, expected: str) -> None:
    test = f"{{message: How much?, replies: {{Agent: {replies}}}, expect: {expected}}}"
    states, lines = run_gate(here, test, flow=ADDS)
    assert states == ".", lines


def test_what_is_said_as_data_counts_with_the_rest(here: Here) -> None:
    test = f"{{message: hi, replies: {{Agent: [It is 42., {FITS}]}}, expect: {{max_tokens: %s}}}}"
    assert run_gate(here, test % 10, test % 1_000, flow=ADDS)[0] == "F."


def test_a_schema_that_is_none_is_a_mistake_with_its_place(here: Here) -> None:
    write_gate(here, "{message: hi}", flow=ADDS.replace(ROWS, "{type: array, items: {type: string}}"))
    said = here("validate", "flows/gate.yaml")
    assert (said.code, "gate.yaml:8:" in said.out + said.err) == (1, True), said.out + said.err
    assert "`output_schema` is of an object" in said.out + said.err
