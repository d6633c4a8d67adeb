"""docs/api.md: every row of the contract names its test, and every test that it names exists."""

import ast
import re

import pytest

from tests.servers import ROOT

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))


def rows(section: str) -> list[list[str]]:
    """Cells of the rows of a section's tables whose last column is `test`."""
    found, wanted = [], False
    for line in SECTIONS[section].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            wanted = False
        elif cells[-1] == "test":
            wanted = True
        elif wanted and set(line) - set("|- "):
            found.append(cells)
    return found


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED.findall(PAGE)}))
def test_every_test_it_names_exists(file: str) -> None:
    functions = ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
    known = {item.name for item in functions if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for path, name in NAMED.findall(PAGE) if path == file} - known == set()


@pytest.mark.parametrize("section", [section for section, text in SECTIONS.items() if "| test |" in text])
def test_every_row_names_its_test(section: str) -> None:
    assert rows(section)
    assert [row[0] for row in rows(section) if not NAMED.search(row[-1])] == []


@pytest.mark.parametrize(
    ("section", "least"),
    [("Request", 13), ("Answer", 7), ("Stream: `?stream=true`", 12), ("Errors", 15), ("Tweaks", 16), ("Sessions", 8)],
)
def test_every_row_of_the_contract_says_same_or_what_is_different(section: str, least: int) -> None:
    found = rows(section)
    assert len(found) >= least
    silent = [row[0] for row in found if row[0] != "–" and not re.match(r"same\b|\*\*", row[1])]
    assert silent == []
