"""What is made of records, of an object, and of a text that says JSON."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

pytest.importorskip("hypothesis", reason="needs hypothesis (requirements-dev.txt)")
from hypothesis import given
from hypothesis import strategies as st

from flowground.components import COMPONENTS
from flowground.components.base import Context, Output
from flowground.components.records import drop_duplicates, make_filter, rename_keys, select_path, sort_records
from flowground.components.schemas import read_json_text
from flowground.core.errors import RunError
from flowground.core.values import LONGEST, MOST_RECORDS, check_size
from tests.flow_runs import nothing_said
from tests.flow_texts import components, mistakes, wired
from tests.heartbeat import stays_responsive
from tests.test_components import ScriptedModels, read, run, run_no_flow

ROWS = [{"n": 2, "text": "b"}, {"n": 10, "text": "a"}, {"text": "B"}]
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text()
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), PLAIN | st.lists(PLAIN, max_size=2)), max_size=8)


async def change(operation: str, data: Any, **fields: Any) -> Any:
    return read(await run("DataOperations", operation=operation, data=data, **fields))


def make(kind: str, fields: dict[str, Any], **filled: Any) -> Callable[[], Awaitable[object]]:
    """The run of a component some of whose fields were filled; a `RunError` is an end like any."""
    made = COMPONENTS[kind].model_validate(fields)
    component = made.model_copy(update=filled)

    async def go() -> None:
        with suppress(RunError):
            await component.run(Context("It", None, nothing_said, ScriptedModels(), None, run_no_flow))

    return go


@pytest.mark.parametrize(
    ("operation", "fields", "expected"),
    [
        ("Select Keys", {"select_keys_input": ["n"]}, [{"n": 2}, {"n": 10}, {}]),
        ("Remove Keys", {"remove_keys_input": ["n", "none"]}, [{"text": "b"}, {"text": "a"}, {"text": "B"}]),
        ("Rename Keys", {"rename_keys_input": {"n": "m"}}, [{"m": 2, "text": "b"}, {"m": 10, "text": "a"}, ROWS[2]]),
        ("Append or Update", {"append_update_data": {"n": 0, "z": 1}}, [{"n": 0, "text": t, "z": 1} for t in "baB"]),
        ("Path Selection", {"selected_key": "[1].text"}, "a"),
        ("Add Column", {"new_column_name": "n", "new_column_value": "x"}, [{"n": "x", "text": text} for text in "baB"]),
        ("Filter", {"column_name": "n", "filter_operator": "greater than", "filter_value": "2"}, ROWS[1:2]),
        ("Sort", {"column_name": "n", "ascending": False}, [ROWS[1], ROWS[0], ROWS[2]]),
        ("Sort", {"column_name": "text"}, [ROWS[2], ROWS[1], ROWS[0]]),
        ("Head", {"num_rows": 2}, ROWS[:2]),
        ("Tail", {"num_rows": 1}, ROWS[2:]),
        ("Drop Duplicates", {}, ROWS),
        ("Concatenate", {"right_dataframe": [{"z": 1}]}, [*ROWS, {"z": 1}]),
    ],
)
async def test_each_operation_changes_records(operation: str, fields: dict[str, Any], expected: Any) -> None:
    before = json.dumps(ROWS)
    assert await change(operation, ROWS, **fields) == expected
    assert json.dumps(ROWS) == before


async def test_an_object_stays_one_where_keys_are_changed_and_is_a_record_elsewhere() -> None:
    one = {"a": 1, "b": {"c": [{"d": 2}]}}
    assert await change("Select Keys", one, select_keys_input=["a"]) == {"a": 1}
    assert await change("Path Selection", one, selected_key=".b.c[0].d") == 2
    assert await change("Head", one) == [one]


@pytest.mark.parametrize(
    ("operation", "fields", "says"),
    [
        ("Filter", {"column_name": "m"}, 'No record has "m"; there are n, text.'),
        ("Select Keys", {}, "`Select Keys` needs `select_keys_input`."),
        ("Path Selection", {"selected_key": "[0].m"}, '`[0].m` leads nowhere: no "m"; there are n, text.'),
        ("Path Selection", {"selected_key": "[0].text[0]"}, 'no 0; there is "b".'),
        ("Path Selection", {"selected_key": "a..b"}, '"a..b" is no path: write `.key`'),
        ("Append or Update", {"append_update_data": {"n": "x" * LONGEST}}, "a value of over 3,000,000 bytes"),
        ("Rename Keys", {"rename_keys_input": {"text": "x" * 1_000_000, "n": "y"}}, "a value of over 3,000,000 bytes"),
    ],
)
async def test_what_cannot_be_done_is_said(operation: str, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(RunError) as caught:
        await change(operation, ROWS, **fields)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("operator", "value", "wanted", "holds"),
    [
        ("equals", 2, "2.0", True),
        ("equals", "2", "2.0", False),
        ("equals", None, "", False),
        ("not equals", None, "", True),
        ("contains", [1, 2], "1,2", True),
        ("not contains", None, "b", True),
        ("starts with", "abc", "ab", True),
        ("ends with", "abc", "ab", False),
        ("greater than", "10", "9", True),
        ("less than", "2026-01-02", "2026-01-10", True),
        ("greater than", "many", "9", False),
        ("less than", 10**400, "9", False),
        ("greater than", None, "", False),
    ],
)
def test_a_filter_compares_numbers_as_numbers(operator: str, value: Any, wanted: str, holds: bool) -> None:
    assert make_filter(operator, wanted)(value) is holds


@given(RECORDS, st.booleans())
def test_sorting_keeps_every_record_and_is_the_same_twice(records: list[dict[str, Any]], is_ascending: bool) -> None:
    found = sort_records(records, "a", is_ascending=is_ascending)
    assert sorted(map(id, found)) == sorted(map(id, records))
    assert sort_records(found, "a", is_ascending=is_ascending) == found
    numbers = [each["a"] for each in found if type(each.get("a")) in (int, float)]
    assert numbers == sorted(numbers, reverse=not is_ascending)


@given(RECORDS)
def test_without_duplicates_each_is_once_and_names_changed_back_are_as_before(records: list[dict[str, Any]]) -> None:
    found = [json.dumps(each, sort_keys=True) for each in drop_duplicates(records, None)]
    assert sorted(found) == sorted({json.dumps(each, sort_keys=True) for each in records})
    assert rename_keys(rename_keys(records, {"a": "z"}), {"z": "a"}) == records


@given(st.text(alphabet="a.[]0\n", max_size=12), JSON)
def test_a_path_gives_what_is_there_or_says_what_is_not(path: str, value: Any) -> None:
    with suppress(RunError):
        found = select_path({"a": value}, path)
        assert json.dumps(found) in json.dumps({"a": value})


AROUND = ["{}", "\ufeff{}", "```json\n{}\n```", "Here it is:\n```\n{}\n```\nBye ```x```", "```json {}```"]


@given(JSON, st.sampled_from(AROUND))
def test_what_json_says_is_read_plain_or_between_fences(value: Any, around: str) -> None:
    said = json.dumps(value).replace("`", "\\u0060")
    assert read_json_text(around.replace("{}", said)) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "The text is no JSON: it is empty."),
        ('{"a": 1,\n "b": x}', 'line 2, column 7: unexpected character, expected a JSON value; "x}" stands there.'),
        ('Sure:\n```json\n{"é": 1,\n "b": x}\n```', "line 4, column 7"),
        ('{"a": 1', "it ends there"),
        ("[" * 2_000, "depth limit exceeded"),
        ("[" + "[]," * 200_000 + "1]", "more than 200,000 lists and objects"),
    ],
)
def test_a_text_that_is_no_json_is_told_where(text: str, says: str) -> None:
    with pytest.raises(RunError) as caught:
        read_json_text(text)
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"input_data": "{}"}, {"data_output": {}}),
        ({"input_data": '{"a": 1}', "output_type": "Table"}, {"dataframe_output": [{"a": 1}]}),
        ({"input_data": "a", "auto_parse": False}, {"data_output": {"text": "a"}}),
        ({"input_data": "a", "output_type": "Message"}, {"message_output": "a"}),
    ],
)
async def test_a_text_becomes_what_its_author_wants(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await run("TypeConverter", **fields) == Output(expected)


async def test_records_are_objects_and_half_a_character_is_read_as_none() -> None:
    assert read_json_text('"\ud800"') == "\ufffd"
    with pytest.raises(RunError, match="the text's item 2 is 5"):
        await run("TypeConverter", input_data='[{"a": 1}, 5]', output_type="Table")


async def test_two_texts_are_one_and_no_longer_than_a_text_may_be() -> None:
    assert read(await run("CombineText", text1="a", text2="b", delimiter="")) == "ab"
    filled = COMPONENTS["CombineText"].model_validate({}).model_copy(update={"text1": "a" * LONGEST, "text2": "b"})
    with pytest.raises(RunError, match="over 3,000,000 characters"):
        await filled.run(Context("It", None, nothing_said, ScriptedModels(), None, run_no_flow))


TABLE = "C: {type: TypeConverter, input_data: a, output_type: Table}"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("D: {type: DataOperations, data: [], operation: Filter}", "`Filter` needs `column_name`."),
        ("D: {type: DataOperations, data: [], operation: Path Selection, selected_key: a..b}", "is no path"),
        ("D: {type: DataOperations, data: [5], operation: Head}", "a mapping or a list"),
        ("I: {type: TextInput}\nD: {type: DataOperations, data: [], operation: '${I}'}", "no reference can fill it"),
        ("I: {type: TextInput}\nD: {type: DataOperations, data: '${I}', operation: Head}", "takes data: text becomes"),
        (f"{TABLE}\nT: {{type: TextOutput, input_value: '${{C.data_output}}'}}", "has no output 'data_output'"),
    ],
)
def test_what_is_wrong_is_told_when_the_file_is_read(lines: str, says: str) -> None:
    assert says in " ".join(mistakes(components(lines)))


def test_a_field_that_an_operation_needs_may_be_filled() -> None:
    filtering = "D: {type: DataOperations, data: [], operation: Filter, column_name: '${I}'}"
    flow = wired(components(f"I: {{type: TextInput}}\n{filtering}"))
    assert flow.ports["D"] == {"dataframe_output": "records"}


LARGE = [{"n": str(number % 977), "text": "x" * 100} for number in range(MOST_RECORDS)]


MANY: dict[str, dict[str, Any]] = {
    "Sort": {"column_name": "n"},
    "Filter": {"column_name": "n", "filter_operator": "less than", "filter_value": "500"},
    "Drop Duplicates": {},
    "Add Column": {"new_column_name": "m", "new_column_value": "x"},
}


@pytest.mark.parametrize("operation", MANY)
async def test_many_records_stop_nobody(operation: str) -> None:
    fields = {"operation": operation, **MANY[operation]}
    check_size(LARGE, "records")
    with pytest.raises(RunError, match="more than 20,000 records"):
        await change(data=[*LARGE, {}], **fields)
    await stays_responsive(make("DataOperations", {"data": [], **fields}, data=LARGE))


@pytest.mark.parametrize(
    "text",
    ["[" + "[]," * 199_000 + "1]", "[" + '{"a":1},' * 190_000 + "1]", "[" + "1," * 1_400_000 + "1]", "```" * 990_000],
    ids=["lists", "objects", "numbers", "fences"],
)
async def test_a_long_text_stops_nobody(text: str) -> None:
    await stays_responsive(make("TypeConverter", {"input_data": ""}, input_data=text))
