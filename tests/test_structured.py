"""Structured Output and Smart Router: JSON of a schema from a model, repaired once, or a failure by name."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from flowground.components import schemas
from flowground.core.caller import RunRequest
from flowground.core.errors import ComponentFailed, ProviderRefused, ProviderUnreachable
from flowground.core.events import ComponentFinished, RunFinished
from flowground.core.messages import Usage
from flowground.providers.base import Capabilities, Completion, ModelCall, Piece
from flowground.runs.runner import run_flow
from tests.calling import Calling
from tests.flow_runs import nothing_said, read_into
from tests.flow_texts import mistakes, wired


class Answering(Calling):
    """Answers with these texts in turn; an error among them is raised. Notes what it was asked."""

    def __init__(self, *texts: str | Exception, reads_schemas: bool = True) -> None:
        super().__init__()
        self.texts = list(texts)
        self._takes = Capabilities(response_schema=reads_schemas)

    async def stream(self, call: ModelCall) -> AsyncGenerator[Piece, None]:
        self.asked.append(call)
        answer = self.texts.pop(0)
        if isinstance(answer, Exception):
            raise answer
        yield Completion(answer, "m", Usage(1, 2))


async def run(flow: str, models: Answering) -> tuple[RunFinished, dict[str, str]]:
    events: list[Any] = []
    await read_into(events, run_flow(wired(flow), RunRequest("hi"), history=nothing_said, models=models))
    return events[-1], {event.component_id: event.status for event in events if isinstance(event, ComponentFinished)}


INVOICE = """
components:
  Invoice: {type: StructuredOutput, input_value: Invoice 12 over 3.50, output_schema: {type: object, required: [number],
    properties: {number: {type: string}, total: {type: number, minimum: 0}, lines: {type: array,
    items: {type: object, properties: {text: {type: string}}, required: [text]}}}}}
  Lines: {type: Parser, input_data: "${Invoice.lines}", template: "<{text}>"}
  Number: {type: TextOutput, input_value: "${Invoice.number} ${Invoice.total?}"}
  Text: {type: TextOutput, input_value: "${Lines}"}
  Whole: {type: TextOutput, input_value: "${Invoice}"}
"""


async def test_what_fits_the_schema_stands_on_an_output_each() -> None:
    models = Answering('{"number": "12", "total": 3.5, "lines": [{"text": "a"}, {"text": "b"}]}')
    end, _ = await run(INVOICE, models)
    texts = {name: result.text for name, result in end.results.items()}
    whole = '{"number":"12","total":3.5,"lines":[{"text":"a"},{"text":"b"}]}'
    assert texts == {"Number": "12 3.5", "Text": "<a>\n<b>", "Whole": whole}
    assert end.usage == Usage(1, 2)
    [asked] = models.asked
    assert asked.response_schema is not None
    assert asked.response_schema["required"] == ["number"]
    assert [message.role for message in asked.messages] == ["system", "user"]


async def test_a_property_that_was_left_out_is_not_taken() -> None:
    end, steps = await run(INVOICE, Answering('Here it is: ```json\n{"number": "12"}\n```'))
    assert {name for name, status in steps.items() if status == "skipped"} == {"Lines", "Text"}
    assert {name: result.text for name, result in end.results.items()} == {"Number": "12 ", "Whole": '{"number":"12"}'}


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("no", "it is no JSON."),
        ('{"number": 12}', "`number`: 12 is not of type 'string'."),
        ('{"number": "1", "total": -1}', "`total`: -1 is less than the minimum of 0."),
        ('{"number": "1", "lines": [{}]}', "`lines[0]`: 'text' is a required property."),
    ],
)
async def test_what_does_not_fit_is_sent_back_once_with_the_reason(first: str, why: str) -> None:
    models = Answering(first, '{"number": "12"}')
    end, _ = await run(INVOICE, models)
    assert end.results["Number"].text == "12 "
    assert end.usage == Usage(2, 4)
    *_, answer, again = models.asked[1].messages
    assert (answer.role, answer.content) == ("assistant", first)
    assert why in again.content
    assert again.text.endswith("\n\nAnswer with the corrected JSON object and nothing else.")
    with pytest.raises(ComponentFailed, match="'Invoice' failed: The model gave no JSON that fits, asked twice:"):
        await run(INVOICE, Answering(first, first))


@pytest.mark.parametrize("status", [400, 422, 501])
async def test_a_server_without_schemas_is_asked_in_words(status: int) -> None:
    models = Answering(ProviderRefused("no response_format", status=status), '{"number": "12"}')
    await run(INVOICE, models)
    assert models.asked[1].response_schema is None
    assert "Answer with one JSON object and nothing else." in models.asked[1].messages[0].text.splitlines()[-3]
    assert json.dumps({"type": "string"}) in models.asked[1].messages[0].content


async def test_a_model_that_takes_no_schema_is_asked_in_words_at_once_and_only_so() -> None:
    models = Answering('{"number": "12"}', ProviderRefused("no", status=400), reads_schemas=False)
    await run(INVOICE, models)
    assert models.asked[0].response_schema is None
    assert json.dumps({"type": "string"}) in models.asked[0].messages[0].text
    with pytest.raises(ComponentFailed, match="'Invoice' failed: no"):
        await run(INVOICE, models)
    assert len(models.asked) == 2


@pytest.mark.parametrize("error", [ProviderRefused("No key.", status=401), ProviderUnreachable("Gone.")])
async def test_other_failures_are_failures(error: Exception) -> None:
    models = Answering(error)
    with pytest.raises(ComponentFailed):
        await run(INVOICE, models)
    assert len(models.asked) == 1


async def test_langflows_rows_are_a_schema() -> None:
    flow = """
components:
  Found: {type: StructuredOutput, input_value: x, schema_name: Facts, output_schema: [
    {name: a, type: str, description: The a.}, {name: b, type: int}, {name: c, type: float, multiple: true},
    {name: d, type: bool}, {name: e, type: dict}]}
  Out: {type: TextOutput, input_value: "${Found.a} ${Found.b} ${Found.c} ${Found.d} ${Found.e}"}
"""
    models = Answering('{"a": "x", "b": 1, "c": [0.5], "d": true, "e": {"f": null}}')
    end, _ = await run(flow, models)
    assert end.results["Out"].text == 'x 1 [0.5] true {"f":null}'
    asked = dict(models.asked[0].response_schema or {})
    properties = asked.pop("properties")
    assert asked == {"type": "object", "title": "Facts", "required": [*"abcde"]}
    assert properties.pop("a") == {"type": "string", "description": "The a."}
    assert properties.pop("c") == {"type": "array", "items": {"type": "number"}}
    assert properties == {"b": {"type": "integer"}, "d": {"type": "boolean"}, "e": {"type": "object"}}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ("{type: object}", "is of an object"),
        ("{type: objekt, properties: {a: {}}}", "is no schema: `type`: 'objekt' is not valid"),
        ("{type: object, properties: {a.b: {type: string}}}", "cannot be an output"),
        ("[{name: a}, {name: a}]", "two rows have the name"),
        ("[{name: a, type: strr}]", "row 1, `type`"),
        ('{type: object, properties: {a: {$ref: "http://127.0.0.1:1/x"}}}', "`$ref: http://127.0.0.1:1/x` is not read"),
        ('{type: object, properties: {a: {}}, allOf: [{$ref: "#"}]}', "refers to itself without end"),
        ('{type: object, properties: {a: {pattern: "(?=x)"}}}', "pattern"),
        ("{type: object, properties: {a: {}}, patternProperties: {x: {}}}", "patternProperties"),
    ],
)
def test_a_schema_that_cannot_be_is_told_when_the_file_is_read(schema: str, why: str) -> None:
    lines = f"  S: {{type: StructuredOutput, input_value: x, output_schema: {schema}}}\n"
    [said] = mistakes(f'components:\n{lines}  O: {{type: TextOutput, input_value: "${{S}}"}}\n')
    assert why in said


async def test_a_pattern_in_a_schema_is_matched_and_never_tried_by_backtracking() -> None:
    flow = INVOICE.replace("number: {type: string}", 'number: {type: string, pattern: "^(x+x+)+y$"}')
    answer = json.dumps({"number": "x" * 50_000})
    with pytest.raises(ComponentFailed, match="does not match"):
        await run(flow, Answering(answer, answer))


TREE = """
components:
  ChatInput: {type: ChatInput}
  S: {type: StructuredOutput, input_value: "${ChatInput}", output_schema: {type: object,
    properties: {tree: {$ref: "#/$defs/part"}}, $defs: {part: {anyOf: [
    {type: object, required: [op], properties: {op: {const: not}, of: {$ref: "#/$defs/part"}}},
    {type: object, required: [op], properties: {op: {const: group}, of: {$ref: "#/$defs/part"}}}, {type: integer}]}}}}
  O: {type: TextOutput, input_value: "${S}"}
"""


async def test_a_schema_that_refers_to_itself_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "MOST_STEPS", 5_000)
    answer = '{"tree": ' + '{"op": "not", "of": ' * 40 + '"x"' + "}" * 41
    with pytest.raises(ComponentFailed, match="after 5,000 steps of comparing"):
        await run(TREE, Answering(answer, answer))
    fits = answer.replace('"x"', "1")
    _, steps = await run(TREE, Answering(fits))
    assert steps["S"] == "done"
    deep = '{"tree": ' + '{"op": "not", "of": ' * 200 + "1" + "}" * 201
    monkeypatch.setattr(schemas, "MOST_STEPS", 500_000)
    with pytest.raises(ComponentFailed, match="nested too deeply"):
        await run(TREE, Answering(deep, deep))
    monkeypatch.setattr(schemas, "MOST_STEPS", 5_000)
    refer = '{{$ref: "#/$defs/p{}"}}'.format
    wider = "".join(f"p{n}: {{allOf: [{refer(n + 1)}, {refer(n + 1)}]}}, " for n in range(40))
    [said] = mistakes(TREE.replace("$defs: {", f"allOf: [{refer(0)}], $defs: {{{wider} p40: {{}}, "))
    assert "more than 5,000 steps" in said


ROUTES = """
components:
  ChatInput: {type: ChatInput}
  Route: {type: SmartRouter, input_text: "${ChatInput}", default_route: other things,
    routes: {billing: Questions about invoices, "other things": ""}}
  Billing: {type: Prompt, template: "billing: {v}", v: "${Route.billing}"}
  Other: {type: Prompt, template: "other: {v}", v: "${Route.other things}"}
  ChatOutput: {type: ChatOutput, input_value: "${Billing?}${Other?}"}
"""


@pytest.mark.parametrize(("named", "answer"), [("billing", "billing: hi"), ("other things", "other: hi")])
async def test_a_model_decides_which_way_a_text_goes(named: str, answer: str) -> None:
    models = Answering(json.dumps({"route": named}))
    end, steps = await run(ROUTES, models)
    assert end.results["ChatOutput"].text == answer
    assert sorted(steps.values()) == ["done"] * 4 + ["skipped"]
    [asked] = models.asked
    assert asked.options == {"temperature": 0}
    assert "- billing: Questions about invoices\n- other things" in asked.messages[0].content


async def test_a_wrong_answer_takes_the_default_route_or_fails_by_name() -> None:
    end, _ = await run(ROUTES, Answering('{"route": "sales"}', "sales"))
    assert end.results["ChatOutput"].text == "other: hi"
    assert end.usage == Usage(2, 4)  # what was asked in vain counts, too
    without = ROUTES.replace(" default_route: other things,", "")
    with pytest.raises(ComponentFailed, match="'Route' failed: The model gave no JSON that fits"):
        await run(without, Answering('{"route": "sales"}', "sales"))
    with pytest.raises(ComponentFailed, match=r"'Route' failed: Gone\."):
        await run(ROUTES, Answering(ProviderUnreachable("Gone.")))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ("routes: {}", "`routes` names at least one route."),
        ("routes: {a.b: x}", "cannot be an output"),
        ("routes: {a: x}, default_route: b", "`default_route` is none of the routes: 'b'."),
        ("routes: {billing: x, other: y}, default_route: biling", "(did you mean billing?)"),
    ],
)
def test_routes_that_cannot_be_are_told_when_the_file_is_read(fields: str, why: str) -> None:
    route = f"  R: {{type: SmartRouter, input_text: x, {fields}}}\n"
    assert why in mistakes(f"components:\n{route}  O: {{type: TextOutput, input_value: a}}\n")[0]


FAILING = """
components:
  ChatInput: {type: ChatInput}
  Read: {type: StructuredOutput, input_value: "${ChatInput}",
    output_schema: {type: object, properties: {what: {type: string}, rank: {type: string}}, required: [what, rank]},
    step: {on_error: continue, fallback: {what: nothing}}}
  Out: {type: ChatOutput, input_value: "${Read.what}"}
  Rank: {type: TextOutput, input_value: "${Read.rank}"}
"""


async def test_a_fallback_stands_on_the_outputs_of_its_properties() -> None:
    end, steps = await run(FAILING, Answering(ProviderUnreachable("It is down.")))
    assert [output.text for output in end.outputs] == ["nothing"]
    assert (steps["Read"], steps["Rank"]) == ("failed", "skipped")
