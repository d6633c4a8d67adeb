"""What nothing else holds: requirements, versions, what git may not know, what CI runs."""

import ast
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

from flowground import __version__
from tests.mutants.areas import AREAS
from tests.servers import ROOT

REQUIRED = sorted(path.name for path in ROOT.glob("requirements*.txt"))
THROUGH_OTHERS = {"starlette", "uvicorn", "anyio", "pydantic_core", "mcp_types"}
"""What Streamlit, pydantic and mcp are built on and pin; their own interfaces hand it to us."""


def requirements(*names: str) -> dict[str, str]:
    """Package -> its pin, as requirements files say it."""
    text = "\n".join((ROOT / name).read_text("utf-8") for name in names)
    found = re.findall(r"^([A-Za-z][\w.-]*)(?:\[[^]]*\])?\s*([^;#\n]*)", text, re.MULTILINE)
    return {package.lower(): pin.strip() for package, pin in found}


def imported(*places: str) -> set[str]:
    """Top-level names that the code imports, anywhere in a file."""
    paths = [[ROOT / place] if "." in place else (ROOT / place).rglob("*.py") for place in places]
    items = [item for path in chain(*paths) for item in ast.walk(ast.parse(path.read_text("utf-8")))]
    names = {alias.name for item in items if isinstance(item, ast.Import) for alias in item.names}
    names |= {str(item.module) for item in items if isinstance(item, ast.ImportFrom) and not item.level}
    return {name.partition(".")[0] for name in names}


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"^## (.*)", text, re.MULTILINE)[0] == __version__


def test_git_knows_no_data_and_no_secrets() -> None:
    assert "data/" in (ROOT / ".gitignore").read_text("utf-8").split()
    # Outside a checkout (an unpacked archive) there is nothing git could know.
    ask = ["git", "-c", f"safe.directory={ROOT}", "ls-files"]
    tracked = subprocess.run(ask, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    assert ("app.py" in tracked) == (ROOT / ".git").exists()
    for name in tracked:
        assert not name.startswith("data/"), name
        assert not name.endswith((".db", ".gguf", "secrets.toml")), name
        assert not (ROOT / name).exists() or (ROOT / name).stat().st_size < 1_500_000, name


@pytest.mark.parametrize("name", REQUIRED)
def test_requirements_are_pinned(name: str) -> None:
    assert {package: pin for package, pin in requirements(name).items() if not re.match(r"(~=|==)\d+\.\d+", pin)} == {}


def test_what_is_imported_is_required() -> None:
    ours = requirements("requirements.txt", "requirements-mcp.txt")
    owners = packages_distributions()
    # config.yaml says who installs psycopg.
    known = {"flowground", "psycopg", *sys.stdlib_module_names, *THROUGH_OTHERS}
    for name in imported("app.py", "flowground", "pages") - known:
        packages = {package.lower() for package in owners.get(name, [name])}
        assert packages & ours.keys(), f"{name} is imported and not in requirements.txt"


def test_every_requirement_says_why() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8").lower()
    assert [package for package in requirements(*REQUIRED) if f"`{package}" not in text] == []


def test_ci_runs_what_the_readme_names() -> None:
    assert "&& pytest" in (ROOT / "README.md").read_text("utf-8")
    path = ROOT / ".ci" / "run"
    assert os.access(path, os.X_OK)
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    script = path.read_text("utf-8")
    assert re.search(r"^pytest$", script, re.MULTILINE)
    assert re.search(r"^make .*\blint\b", script, re.MULTILINE)
    lint = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {"ruff check .", "mypy", "lint-imports"} <= {line.strip() for line in lint[0].splitlines()}


def test_pytest_finds_every_file_with_tests() -> None:
    def has_tests(path: Path) -> bool:
        return re.search(r"^(async )?def test_", path.read_text("utf-8"), re.MULTILINE) is not None

    found = [path for path in (ROOT / "tests").rglob("*.py") if has_tests(path)]
    assert len(found) > 100
    others = {path.name for path in found if not path.name.startswith("test_")}
    assert others == set()


def test_what_is_mutated_is_there() -> None:
    assert [name for name, area in AREAS.items() if not (area.files(ROOT) and area.list_tests(ROOT))] == []


def test_the_notice_names_the_built_in_model() -> None:
    text = (ROOT / "NOTICE").read_text("utf-8")
    assert "Qwen" in text
    assert "Apache License" in text
