"""A flow as a picture: Mermaid's text, made from its references."""

from flowground.ui.inside.inside import MOST_DRAWN, render_picture
from tests.flow_files import LARGEST
from tests.flow_texts import components, wired

ROUTED = """\
components:
  ChatInput: {type: ChatInput}
  Gate: {type: ConditionalRouter, input_text: "${ChatInput}", operator: contains, match_text: refund}
  Refund: {type: LanguageModel, system_message: "To ${ChatInput}", input_value: "${Gate.true_result}"}
  Other: {type: LanguageModel, display_name: Anything else, input_value: "${Gate.false_result}"}
  ChatOutput: {type: ChatOutput, input_value: "${Refund?}${Other?}"}
"""


def test_arrows_are_references_and_shapes_say_what_a_component_is() -> None:
    nodes = ['n0[/"Chat Input"/]', 'n1{{"If#45;Else<br/>Gate"}}', 'n2["Language Model<br/>Refund"]']
    nodes += ['n3["Anything else<br/>Other"]', 'n4(["Chat Output"])']
    arrows = [
        "n0 --> n1",
        "n0 --> n2",
        'n1 -->|"true_result"| n2',
        'n1 -->|"false_result"| n3',
        "n2 -.-> n4",
        "n3 -.-> n4",
    ]
    assert render_picture(wired(ROUTED)).splitlines() == ["flowchart TB", *nodes, *arrows]
    flow = wired(ROUTED.replace('"${Refund?}${Other?}"', '"${Refund?} ${Refund} ${Other?} ${Other?}"'))
    assert render_picture(flow).splitlines()[-2:] == ["n2 --> n4", "n3 -.-> n4"], "dashed: all are optional"


def test_a_line_with_a_circle_leads_from_an_agent_to_its_tools() -> None:
    flow = wired("""\
components:
  ChatInput: {type: ChatInput}
  Agent: {type: Agent, input_value: "${ChatInput}", tools: [Calculator, {use: Sub, name: helper}]}
  Calculator: {type: Calculator}
  Sub: {type: Agent, tools: [Calculator]}
  ChatOutput: {type: ChatOutput, input_value: "${Agent}"}
""")
    lines = ["n0 --> n1", "n1 --> n4", "n1 --o n2", "n1 --o n3", "n3 --o n2"]
    assert render_picture(flow).splitlines()[-5:] == lines


def test_nothing_of_a_name_means_anything_to_mermaid() -> None:
    name = '"]; click n0 "javascript:alert(1)" %% <img src=x> `x` #quot;'
    flow = wired(components(f"A: {{type: TextInput, display_name: '{name}'}}"))
    line = render_picture(flow).splitlines()[1]
    begin, end = 'n0[/"', '<br/>A"/]'
    assert (line[: len(begin)], line[-len(end) :]) == (begin, end)
    inner = line[len(begin) : -len(end)]
    assert not set(inner) & set("\"'`<>[](){}|&%=:\n")
    assert inner.startswith("#34;#93;#59; click n0 #34;javascript")
    schema = "{type: object, properties: {'a\"| n9 & <b>': {type: string}, plain: {type: string}}}"
    data = f"Data: {{type: StructuredOutput, input_value: '${{In}}', output_schema: {schema}}}"
    say = "Say: {type: Prompt, template: '{x}', x: '${Data.a\"| n9 & <b>}'}"
    flow = wired(components(f"In: {{type: TextInput}}\n{data}\n{say}"))
    (arrow,) = (line for line in render_picture(flow).splitlines() if line.startswith("n1 "))
    assert arrow == 'n1 -->|"a·· n9 · ·b·"| n2', "nor the port of a structured output"


def test_a_flow_that_is_too_large_has_no_picture_and_a_field_that_names_one_a_thousand_times_is_one_arrow() -> None:
    many = "\n".join(f"A{number}: {{type: TextInput}}" for number in range(MOST_DRAWN))
    for text in (components(many), LARGEST["most components"]):
        assert render_picture(wired(text)) == ""
        assert len(wired(text).components) > MOST_DRAWN
    assert render_picture(wired(components(many.rpartition("\n")[0]))).count("n") > MOST_DRAWN
    flow = wired(LARGEST["references in one line"])
    assert render_picture(flow).count("-->") == 1
