"""Words of flow files that have a better one now: the file loads, and its author is told, by line and column."""

import logging
from pathlib import Path

import pytest

from flowground.components import COMPONENTS
from flowground.core.caller import RunRequest
from flowground.core.yaml_file import MAX_PROBLEMS, Position, Problems
from flowground.flows.fields import list_types, takes_variables
from flowground.flows.flow import Flow
from flowground.flows.parse import OLD_FIELDS, OLD_TYPES
from flowground.flows.tweaks import apply_tweaks
from tests.flow_folder import Folder
from tests.flow_texts import components, mistakes, wired

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
