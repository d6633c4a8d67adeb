"""The published schema and docs are those of the models, and the schema judges as the loader does.

Words of flow files that have a better one now: the file loads, and its author is told, by line and column.
"""

import json
import logging
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docs.components import components_page
from flowground.components import COMPONENTS
from flowground.core.caller import RunRequest
from flowground.core.yaml_file import MAX_PROBLEMS, Position, Problems
from flowground.flows.fields import list_types, takes_variables
from flowground.flows.flow import Flow
from flowground.flows.parse import OLD_FIELDS, OLD_TYPES
from flowground.flows.schema import build_flow_schema, write_flow_schema
from flowground.flows.tweaks import apply_tweaks
from tests import documents
from tests.flow_folder import Folder
from tests.flow_texts import components, mistakes, wired

GUIDE = [block.text for block in documents.blocks("yaml") if block.file.startswith("docs/guide/")]
DOCS = Path(__file__).resolve().parents[1] / "docs"


def problems(text: str) -> list[str]:
    validator = jsonschema.Draft7Validator(build_flow_schema())
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


def test_docs_are_those_of_the_models() -> None:
    """`python -m docs.generate` writes them."""
    assert (DOCS / "flow.schema.json").read_text("utf-8") == write_flow_schema()
    assert (DOCS / "components.md").read_text("utf-8") == components_page()
    jsonschema.Draft7Validator.check_schema(build_flow_schema())


@pytest.mark.parametrize("flow", sorted((DOCS.parent / "flows").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_flows_fit_the_schema_that_they_name(flow: Path) -> None:
    text = flow.read_text("utf-8")
    first = text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (flow.parent / first.partition("=")[2]).resolve() == DOCS / "flow.schema.json"
    assert problems(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "name: a\nchat:\napi: {endpoint_name: a-b, overridable: [Out.input_value]}\n" + components(""),
        components("A: {type: Prompt, template: '{x}', x: '${Out}'}"),
        components("A: {type: LanguageModel, input_value: x, temperature: 1, model: local, max_tokens: ~}"),
        components("A: {type: MessageHistory, order: Descending, n_messages: 3, display_name: Memory}"),
        components(
            "N: {type: TextInput}\n"
            "O: {type: StructuredOutput, input_value: x, output_schema: [{name: n, type: int}, {name: o, type: int}]}"
            "\n"
            "A: {type: MessageHistory, order: '${O.o?}', n_messages: '${O.n}'}\n"
            "B: {type: Parser, input_data: '${O?}${O.n?}', sep: '${N}'}"
        ),
        components("A: {type: ParseData, data: [{text: a}]}\nB: {type: LanguageModelComponent, input_value: x}"),
    ],
)
def test_what_is_right_fits_both(text: str) -> None:
    assert problems(text) == []
    assert mistakes(text) == [] or "circle" in mistakes(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "name: x\n",
        "components: {my.model: {type: ChatOutput, input_value: x}}\n",
        "nmae: x\n" + components(""),
        "chat: {starters: [5]}\n" + components(""),
        "api: {overridable: [{min: 1}]}\n" + components(""),
        components("A: {type: Widget}"),
        components("A: {type: LanguageModel}"),
        components("A: {type: LanguageModel, input_value: x, temperature: 3}"),
        components("A: {type: MessageHistory, order: ascending}"),
        components("N: {type: TextInput}\nA: {type: MessageHistory, n_messages: 'about ${N}'}"),
        components("N: {type: TextInput}\nA: {type: SmartRouter, input_text: a, routes: '${N}'}"),
    ],
)
def test_what_is_wrong_fits_neither(text: str) -> None:
    assert problems(text)
    assert mistakes(text)


def test_an_editor_is_told_what_each_field_is_and_which_words_are_old() -> None:
    definitions: dict[str, Any] = build_flow_schema()["definitions"]
    fields = definitions["LanguageModel"]["properties"]
    assert len(fields) > 5
    assert all(field.get("description") for name, field in fields.items() if name != "type")
    assert fields["temperature"]["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 2}
    types = {part["const"]: part["deprecated"] for part in definitions["Component"]["properties"]["type"]["anyOf"][1:]}
    assert types == dict.fromkeys(OLD_TYPES, True)
    assert definitions["Parser"]["properties"]["data"]["deprecated"]
    assert definitions["Parser"]["properties"]["data"]["deprecationMessage"] == "Write `input_data`."


def blocks(language: str) -> list[str]:
    page = (DOCS / "flow-format.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", [*blocks("yaml"), *GUIDE])
def test_every_flow_on_the_format_page_and_in_the_guide_is_one(text: str) -> None:
    assert len(GUIDE) >= 5
    assert mistakes(text) == []
    assert problems(text) == []


def test_the_mistakes_and_the_warning_on_the_format_page_are_what_is_said() -> None:
    text = """\
components:
  ChatInput: {type: ChatInput}
  Model:
    type: LanguageModel
    temprature: 1
    input_value: ${ChatInptu}
    max_tokens: many
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""
    assert "\n".join(mistakes(text, "broken.yaml")) + "\n" == blocks("text")[0]
    text = "name: Old\ncomponents:\n  Rows: {type: ParseData, input_data: [{text: a}]}\n"
    flow = wired(text + "  Out: {type: ChatOutput, input_value: '${Rows}'}\n", "old.yaml").flow
    assert [f"{warning}\n" for warning in flow.warnings] == [blocks("text")[1]]


@pytest.mark.parametrize("text", blocks("json"))
def test_every_request_on_the_format_page_is_taken(text: str) -> None:
    body = json.loads(text)
    request = RunRequest(input_value=body["input_value"], tweaks=body["tweaks"])
    flow = components("Model: {type: LanguageModel, input_value: x}")
    model = apply_tweaks(wired(flow), request, unknown="refuse").wired.components["Model"]
    assert model.model_dump() == model.model_dump() | {"temperature": 0.7, "max_tokens": 200, "stream": False}


OLD = """\
components:
  Rows: {type: ParseData, data: [{text: a}], template: "{text}"}
  Out: {type: ChatOutput, input_value: "${Rows}"}
api: {overridable: [Rows.template]}
"""
TYPE = "talk.yaml:2:16: warning: `ParseData` is an old word for `Parser`: write `Parser`, the old one will go."
FIELD = "talk.yaml:2:27: warning: `data` is an old word for `input_data`: write `input_data`, the old one will go."


def warnings(flow: Flow) -> list[str]:
    return [str(warning) for warning in flow.warnings]


def test_an_old_word_means_the_one_now_and_its_author_is_told() -> None:
    flow = wired(OLD)
    assert warnings(flow.flow) == [TYPE, FIELD]
    assert [type(item).type_name for item in flow.components.values()] == ["Parser", "ChatOutput"]
    assert flow.components["Rows"].model_dump()["input_data"] == [{"text": "a"}]
    apply_tweaks(flow, RunRequest(tweaks={"Rows": {"template": "<{text}>"}}), unknown="refuse")
    assert warnings(wired(OLD.replace("ParseData, data", "Parser, input_data")).flow) == []


def test_who_has_both_words_is_told_that_one_is_too_many() -> None:
    (said,) = mistakes(OLD.replace("ParseData, data", "Parser, input_data: [], data"))
    assert said.startswith("talk.yaml:2:40: Parser has no field `data`")


def test_every_old_word_leads_to_one_that_there_is() -> None:
    assert set(OLD_TYPES.values()) | set(OLD_FIELDS) <= set(COMPONENTS)
    assert not set(OLD_TYPES) & set(COMPONENTS)
    for kind, words in OLD_FIELDS.items():
        assert not takes_variables(COMPONENTS[kind]), "every name may be a variable"
        assert set(words.values()) <= set(list_types(COMPONENTS[kind])), kind
        assert not set(words) & set(list_types(COMPONENTS[kind])), kind


def test_a_reference_inside_a_list_or_mapping_is_plain_text_and_its_author_is_told() -> None:
    lines = "In: {type: TextInput}\nRows: {type: Parser, input_data: [{text: ['$${In} ${In.text}']}]}"
    flow = wired(components(lines))
    told = (
        "talk.yaml:3:36: warning: `${In.text}` inside `input_data` of Parser is plain text: a reference fills a whole"
    )
    assert [warning.startswith(told) for warning in warnings(flow.flow)] == [True]
    assert flow.waits_for["Rows"] == set()
    assert warnings(wired(components("Rows: {type: Parser, input_data: [{text: '$${In}'}]}")).flow) == []


def test_warnings_of_one_file_end() -> None:
    problems = Problems("talk.yaml")
    for line in range(2 * MAX_PROBLEMS, 0, -1):
        problems.warn(Position(line, 1), "This works")
    assert not problems
    assert len(problems.warnings) == MAX_PROBLEMS
    assert str(problems.warnings[0]) == f"talk.yaml:{MAX_PROBLEMS + 1}:1: warning: This works."


def test_the_catalogue_lists_warnings_of_what_serves_and_logs_them_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Folder(tmp_path)
    folder.write("talk.yaml", OLD)
    folder.catalogue.log_problems()
    told = {file: [str(each) for each in told] for file, told in folder.catalogue.list_warnings().items()}
    assert told == {"talk.yaml": [TYPE, FIELD]}
    folder.write("talk.yaml", OLD + "# changed\n")
    assert list(folder.catalogue.list_warnings()) == ["talk.yaml"]
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert logged == [f"A flow file works, and should be changed: {TYPE} (1 more warning)"]
    folder.write("talk.yaml", OLD + "nmae: x\n")
    assert folder.catalogue.find_stale("talk") is not None
    assert folder.catalogue.list_warnings() == {}
    assert "`nmae`" in caplog.messages[-1]
    assert caplog.messages[-1].endswith("What it was before answers until the next start.")
