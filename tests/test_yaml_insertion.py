"""Adding a test to the text of a flow file: all else stays byte for byte."""

import pytest

from flowground.core.errors import FlowError, InvalidRequest
from flowground.core.yaml_file import read_document
from flowground.ui.inside.make_test import add_test

ITEM = {"message": "a: b", "expect": {"takes": ["M"], "equals": "one\n\n  two # x"}}
LINES = "- message: 'a: b'\n  expect:\n    takes: [M]\n    equals: |-\n      one\n\n        two # x\n"


def indented(spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}" if line.strip() else line for line in LINES.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("before", "inserted", "after"),
    [
        ("a: 1\n", "tests:\n" + indented(2), ""),
        ("a: 1", "\ntests:\n" + indented(2), ""),
        ("a: 1\ntests:  # none yet\n", indented(2), "\nb: 2\n"),
        ("a: 1\ntests:\n  - {message: x}  # y\n", indented(2), "\n# about b\nb: 2\n"),
        ("tests:\n- message: x\n  expect:\n    equals: |\n      hi\n", indented(0), "\nb: 2\n"),
        ("'tests':\n- a: &x [1]\n  b: *x\n", indented(0), ""),
    ],
)
def test_an_item_stands_behind_the_others(before: str, inserted: str, after: str) -> None:
    assert add_test(before + after, ITEM) == before + inserted + after


@pytest.mark.parametrize(
    "text",
    ["\x7f\u2028\x85", "\ufeff", " led by a blank\nx", "x\r\ny", "no", "1e3", "1:20", "- a", "", "#"],
)
def test_whatever_a_text_holds_is_read_back(text: str) -> None:
    root = read_document(add_test("a: 1\n", {"message": text}), "").root
    assert root is not None
    assert root.read_plain() == {"a": 1, "tests": [{"message": text}]}


@pytest.mark.parametrize("before", ["{a: 1}\n", "tests: []\n", "tests: x\n", "a: 1\n...\n", "- a\n", "", "a: {"])
def test_what_cannot_be_added_to_is_refused(before: str) -> None:
    with pytest.raises((InvalidRequest, FlowError)):
        add_test(before, ITEM)
