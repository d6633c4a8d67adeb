"""Values: one kind as another, their sizes, and what has no form."""

from typing import Any

import pytest

from flowground.core.errors import RunError
from flowground.core.values import KINDS, FileReference, ValueKind, check_size, convert, explain_mismatch

FILE = FileReference("f1", "plan.pdf", "application/pdf", 7, "00")
ROWS = [{"text": "one", "source": "a"}, {"page": 2, "of": {"b": [1, None]}}]


@pytest.mark.parametrize(
    ("value", "given", "wanted", "expected"),
    [
        ("hi", "text", "text", "hi"),
        ({"a": [1, "ü"]}, "data", "text", '{"a":[1,"ü"]}'),
        ("bare", "data", "text", "bare"),
        (0.5, "data", "text", "0.5"),
        (None, "data", "text", ""),
        (["half \ud83d"], "data", "text", '["half \ufffd"]'),
        ({"a": 1}, "data", "data", {"a": 1}),
        (ROWS, "data", "records", ROWS),
        (ROWS, "records", "text", 'one\n\n{"page":2,"of":{"b":[1,null]}}'),
        ([{"text": 5}], "records", "text", '{"text":5}'),
        (ROWS, "records", "data", ROWS),
        ((FILE, FILE), "files", "text", "plan.pdf, plan.pdf"),
    ],
)
def test_a_value_becomes_another_kind(value: Any, given: ValueKind, wanted: ValueKind, expected: Any) -> None:
    assert convert(value, given, wanted) == expected
    assert explain_mismatch(given, wanted) is None


@pytest.mark.parametrize("value", [None, 5, "x", {"text": "one"}, ["x"], [{"a": 1}, 2]])
def test_data_that_is_no_list_of_objects_is_no_records(value: Any) -> None:
    with pytest.raises(RunError, match="A list of objects is wanted here, not"):
        convert(value, "data", "records")


def test_what_has_no_way_is_refused_when_a_file_is_read_and_when_it_arrives() -> None:
    closed = [(given, wanted) for given in KINDS for wanted in KINDS if explain_mismatch(given, wanted)]
    to_files = [("data", "files"), ("records", "files"), ("files", "data"), ("files", "records")]
    assert closed == [("text", "data"), ("text", "records"), ("text", "files"), *to_files]
    for given, wanted in closed:
        with pytest.raises(RunError, match="A value of kind"):
            convert("", given, wanted)


@pytest.mark.parametrize(
    ("value", "kind"), [("ü" * 1040, "text"), ({"a": "b" * 1032}, "data"), ([{"text": "b" * 1027}], "records")]
)
def test_a_value_has_so_many_bytes_and_no_more(value: Any, kind: ValueKind) -> None:
    check_size(value, kind, most=1040)
    with pytest.raises(RunError, match=r"of over 1,039 (bytes|characters)"):
        check_size(value, kind, most=1039)


@pytest.mark.parametrize("value", [{1, 2}, {"a": object()}, 2**70, {5: "x"}])
def test_what_json_cannot_say_is_no_value(value: Any) -> None:
    with pytest.raises(RunError, match="no JSON"):
        check_size(value, "data")
