"""docs/security.md: every promise names its test, and every test that it names exists."""

import ast
import re

import pytest

from tests.servers import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
PROMISED = PAGE.partition("## What is promised")[2].partition("\n## ")[0]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
ROWS = [line.strip("|").split("|") for line in PROMISED.splitlines() if re.match(r"\| (?!promise |---)", line)]
FILES = sorted({file for file, _ in NAMED.findall(PAGE)})


def test_there_are_promises_to_check() -> None:
    assert len(ROWS) >= 20
    assert len(FILES) >= 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip()[:40])
def test_every_promise_names_its_test_and_its_end(row: list[str]) -> None:
    promise, shown, not_promised = row
    assert promise.strip()
    assert NAMED.search(shown)
    assert not_promised.strip()


@pytest.mark.parametrize("file", FILES)
def test_every_test_it_names_exists(file: str) -> None:
    functions = ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
    known = {item.name for item in functions if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for path, name in NAMED.findall(PAGE) if path == file} - known == set()
