"""Adding an item to a list of a YAML file: all else stays byte for byte."""

import pytest

from flowground.core.errors import FlowError, InvalidRequest
from flowground.core.yaml_file import read_document
from flowground.flows.parse import FLOW_FILE
from flowground.ui.chat.make_test import append_item

ITEM = {"message": "a: b", "expect": {"takes": ["M"], "equals": "one\n\n  two # x"}}
LINES = '- message: "a: b"\n  expect:\n    takes: [M]\n    equals: |-\n      one\n\n        two # x\n'


def indented(spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}" if line.strip() else line for line in LINES.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("before", "inserted", "after"),
    [
        ("a: 1\n", "tests:\n" + indented(2), ""),
        ("a: 1", "\ntests:\n" + indented(2), ""),
        ("  a: 1\n", "  tests:\n" + indented(4), ""),
        ("a: 1\ntests:  # none yet\n", indented(2), "\nb: 2\n"),
        ("a: 1\ntests:\n  - {message: x}  # y\n", indented(2), "\n# about b\nb: 2\n"),
        ("tests:\n- message: x\n  expect:\n    equals: |\n      hi\n\n", indented(0), "b: 2\n"),
        ("tests:\n  -   message: 'x\n      y'\n", indented(2), "b: 2\n"),
        ("tests:\n  - message:\n", indented(2), "\n\nb: 2\n"),
        ("'tests':\n- a: &x [1]\n  b: *x\n", indented(0), "...\n"),
    ],
)
def test_an_item_stands_behind_the_others(before: str, inserted: str, after: str) -> None:
    assert append_item(before + after, "tests", ITEM, FLOW_FILE) == before + inserted + after


@pytest.mark.parametrize(
    ("before", "comma", "after"),
    [("tests: [", "", "]\na: 1\n"), ("tests: [{m: x}", ", ", "]\n"), ("tests: [\n  {m: x},\n", "", "]\n")],
)
def test_brackets_get_it_in_one_line(before: str, comma: str, after: str) -> None:
    written = append_item(before + after, "tests", {"message": "a\nb", "expect": {"takes": ["M"]}}, FLOW_FILE)
    assert written == before + comma + '{message: "a\\nb", expect: {takes: [M]}}' + after


def test_lines_end_as_those_of_the_file() -> None:
    before = "a: 1\r\ntests:\r\n  - b\r\n"
    assert append_item(before, "tests", ITEM, FLOW_FILE) == before + indented(2).replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    ["\x7f\u2028\x85", "\ufeff", " led by a blank\nx", "x\n", "\ttab\nx", "x\r\ny", "no", "null", "1", "- a", "", "#"],
)
def test_whatever_a_text_holds_is_read_back(text: str) -> None:
    written = append_item("a: 1\n", "tests", {"message": text}, FLOW_FILE)
    root = read_document(written, "", FLOW_FILE).root
    assert root is not None
    assert root.read_plain() == {"a": 1, "tests": [{"message": text}]}


@pytest.mark.parametrize(
    "before", ["{a: 1}\n", "a: 1\ntests: ~\n", "a: 1\n...\n", "tests: x\n", "tests:\n  - |\n    no end"]
)
def test_what_cannot_be_added_to_is_refused(before: str) -> None:
    with pytest.raises((InvalidRequest, FlowError)):
        append_item(before, "tests", ITEM, FLOW_FILE)
