"""Lists and mappings as tweaks: open where the author leaves them open, checked like any value, and bounded."""

import re
from typing import Any

import pytest

from flowground.components.base import LONGEST_TEXT
from flowground.core.caller import LOCAL_OWNER, RunRequest
from flowground.core.errors import TweaksRefused
from flowground.flows.tweaks import apply_tweaks, find_changes
from tests.flow_texts import wired
from tests.heartbeat import stays_responsive

TEXT = """\
components:
  ChatInput: {type: ChatInput}
  Route: {type: SmartRouter, input_text: "${ChatInput}", routes: {all: Everything}}
  Rows: {type: Parser, input_data: [{text: a}]}
  Named: {type: DataOperations, data: {text: a}, operation: Append or Update, append_update_data: {b: 1}}
  Fed: {type: Parser, input_data: "${Named}"}
  Out: {type: ChatOutput, input_value: "${Route.all} ${Rows} ${Fed}"}
"""
FLOW = wired(TEXT)


def change(component: str, **fields: Any) -> Any:
    request = RunRequest(tweaks={component: fields})
    return apply_tweaks(FLOW, request, unknown="refuse").wired.components[component].model_dump()


def test_a_list_or_a_mapping_is_taken_as_it_is() -> None:
    assert change("Rows", input_data=[{"text": "b"}, {}])["input_data"] == [{"text": "b"}, {}]
    assert change("Rows", input_data={"value": [{"text": "b"}]})["input_data"] == [{"text": "b"}]
    assert change("Named", append_update_data={"value": {"c": [2]}})["append_update_data"] == {"value": {"c": [2]}}
    both = {"value": 1, "load_from_db": True}
    assert change("Named", append_update_data=both)["append_update_data"] == both
    for nothing in (None, {"value": None}, {"value": None, "load_from_db": False}):
        assert change("Named", append_update_data=nothing)["append_update_data"] == {"b": 1}


def test_the_code_of_an_override_says_what_the_page_says() -> None:
    given: list[Any] = [{"value": [1]}, {"value": {"value": None}}, []]
    for data in given:
        changed = find_changes(FLOW, {"Named": {"data": data}}, LOCAL_OWNER)
        assert changed == {"Named": {"data": data}}
        assert find_changes(FLOW, changed, LOCAL_OWNER) == changed


def make_deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("component", "fields", "says"),
    [
        ("Rows", {"input_data": "[]"}, '`Rows.input_data` is records, a list of mappings, not "[]".'),
        ("Rows", {"input_data": [{"text": "x" * LONGEST_TEXT}]}, "has 1,000,013 bytes as JSON; 1,000,000 is the limit"),
        ("Named", {"append_update_data": {"a": make_deep(500)}}, "`Named.append_update_data` is nested too deeply."),
        ("Named", {"data": {"value": 5}, "append_update_data": 5}, "is a mapping, not 5."),
        ("Fed", {"input_data": [{"text": "b"}]}, "`Fed.input_data` is filled by `${Named}`"),
        ("Route", {"routes": {"other": "x"}}, "The field is protected"),
    ],
)
def test_what_cannot_be_is_refused_by_the_fields_own_rule(component: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(TweaksRefused, match=re.escape(says)):
        change(component, **fields)


async def test_a_large_tweak_stops_nobody() -> None:
    rows = [{"text": "x", "n": number} for number in range(35_000)]
    request = RunRequest(tweaks={"Rows": {"input_data": rows}})

    async def apply() -> None:
        apply_tweaks(FLOW, request, unknown="refuse")

    await stays_responsive(apply)
