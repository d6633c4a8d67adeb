"""What holds the house together: imports, versions, pins, and what git may not know."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

from flowground import __version__
from flowground.components import COMPONENTS
from flowground.providers import KINDS
from tests.mutants.areas import AREAS
from tests.servers import ROOT
from tests.verbs import IMPOSED, VERBS

SOURCES = ("app.py", "flowground", "pages")
NOT_OURS = {"flowground", "tests", "bench", "docs", "pages", "app"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
BAD_WORDS = re.compile(r"manager|helper|utils?\b|service|factory|vertex|pipeline", re.IGNORECASE)


def python_files(*places: str) -> Iterator[Path]:
    for place in places:
        path = ROOT / place
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def requirements(name: str) -> dict[str, str]:
    """Package -> its pin, as one requirements file says it."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    found = [
        re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?\s*([^;#]*)", line) for line in lines if re.match(r"[A-Za-z]", line)
    ]
    return {match[1].lower(): match[3].strip() for match in found if match}


def imported(*places: str) -> set[str]:
    """Top-level names that the code imports, anywhere in a file."""
    names = set()
    for path in python_files(*places):
        for item in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(item, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in item.names}
            elif isinstance(item, ast.ImportFrom) and item.module and not item.level:
                names.add(item.module.partition(".")[0])
    return names


def test_imports_point_down_the_ladder() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter (requirements-dev.txt)")
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_changelog_begins_with_this_version() -> None:
    found = re.search(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert found
    assert found[1] == __version__


@pytest.mark.parametrize("name", [*COMPONENTS, *KINDS])
def test_the_changelog_names_every_type_and_kind(name: str) -> None:
    named = re.search(rf"\b{name}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"))
    assert named, f"CHANGELOG.md does not name {name}"


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


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-mutants.txt"])
def test_requirements_are_pinned(name: str) -> None:
    assert {package: pin for package, pin in requirements(name).items() if not re.match(r"(~=|==)\d+\.\d+", pin)} == {}


def test_what_is_imported_is_required() -> None:
    ours = requirements("requirements.txt") | requirements("requirements-mcp.txt")
    # What Streamlit, pydantic and mcp are built on and pin; their own interfaces hand it to us.
    through_others = {"starlette", "uvicorn", "anyio", "pydantic_core", "mcp_types"}
    # Who names PostgreSQL in config.yaml installs its driver, as it says there.
    chosen = {"psycopg"}
    owners = packages_distributions()
    for name in imported(*SOURCES) - NOT_OURS - set(sys.stdlib_module_names) - through_others - chosen:
        packages = {package.lower() for package in owners.get(name, [name])}
        assert packages & ours.keys(), f"{name} is imported and not in requirements.txt"


def test_the_named_packages_are_really_used() -> None:
    named = {"streamlit", "requests", "pydantic", "yaml", "streamlit_authenticator"}
    assert named - imported(*SOURCES) == set()
    assert "pytest" in imported("tests")


def test_every_requirement_says_why() -> None:
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8").lower()
    needed = (
        requirements("requirements.txt")
        | requirements("requirements-mcp.txt")
        | requirements("requirements-dev.txt")
        | requirements("requirements-mutants.txt")
    )
    assert [package for package in needed if f"`{package}" not in text] == []


@pytest.mark.parametrize(("place", "most"), [*((place, 400) for place in (*SOURCES, "bench", "docs")), ("tests", 400)])
def test_files_hold_one_concept(place: str, most: int) -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text("utf-8").splitlines()) for path in python_files(place)}
    assert {str(path): lines for path, lines in lengths.items() if lines > most} == {}


def test_functions_fit_a_screen() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}: {item.name}": (item.end_lineno or 0) - item.lineno + 1
        for path in python_files(*SOURCES)
        for item in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(item, FUNCTIONS)
    }
    # Migrations that were released are never changed.
    released = {"m002_members", "m004_audiences_groups_invitations"}
    assert {name for name, lines in lengths.items() if lines > 50 and name.partition(": ")[2] not in released} == set()


@pytest.mark.parametrize("place", ["flowground", "pages"])
def test_names_say_what_things_are(place: str) -> None:
    for path in python_files(place):
        assert not BAD_WORDS.search(path.stem), path
        tree = ast.parse(path.read_text("utf-8"))
        for item in ast.walk(tree):
            if isinstance(item, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                assert not BAD_WORDS.search(item.name), f"{path.relative_to(ROOT)}: {item.name}"


def function_names(tree: ast.Module) -> Iterator[str]:
    """Names of functions and methods; not of properties, which are nouns, nor of routes: theirs are on the wire."""
    bodies = [tree.body, *(item.body for item in ast.walk(tree) if isinstance(item, ast.ClassDef))]
    for item in chain.from_iterable(bodies):
        if isinstance(item, FUNCTIONS) and not item.name.startswith("__"):
            marks = " ".join(ast.unparse(mark) for mark in item.decorator_list)
            if not re.search(r"property|\b(?:router|api)\.", marks):
                yield item.name


def test_functions_begin_with_a_verb() -> None:
    names = {
        (str(path.relative_to(ROOT)), name)
        for path in python_files(*SOURCES)
        for name in function_names(ast.parse(path.read_text("utf-8")))
        if name not in IMPOSED and not re.match(r"m\d{3}_", name)  # migrations have numbers
    }
    assert len(names) > 1_000
    assert {(path, name) for path, name in names if name.lstrip("_").partition("_")[0] not in VERBS} == set()


def test_pages_define_nothing() -> None:
    """They are thin: what is more than a call belongs to a room."""
    pages = {path.name: ast.parse(path.read_text("utf-8")) for path in python_files("pages")}
    assert pages
    defined = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
    assert [name for name, tree in pages.items() if any(isinstance(item, defined) for item in ast.walk(tree))] == []


def test_a_name_of_a_type_exists_once() -> None:
    places: dict[str, list[str]] = {}
    for path in python_files("flowground"):
        for name in type_names(ast.parse(path.read_text("utf-8"))):
            places.setdefault(name.lstrip("_"), []).append(str(path.relative_to(ROOT)))
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def type_names(tree: ast.Module) -> Iterator[str]:
    """Names of classes anywhere, and of what a module assigns to a name that is written like one."""
    for item in ast.walk(tree):
        if isinstance(item, ast.ClassDef):
            yield item.name
    for line in tree.body:
        match line:
            case ast.Assign(targets=[ast.Name(id=name)]) if re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", name):
                yield name


def test_what_is_left_unchecked_says_why() -> None:
    lines = [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in python_files(*SOURCES)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if "# noqa" in line
    ]
    assert len(lines) > 50
    assert [place for place, line in lines if not re.search(r"# noqa: [A-Z0-9, ]+ --? \S", line)] == []


def test_no_sentence_has_a_name_of_our_code_in_it() -> None:
    """What people and models read is changed along where a type gets another name, and nobody sees it."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in python_files("flowground")}
    ours = {name for tree in trees.values() for name in type_names(tree) if re.match(r"[A-Z]+[a-z]+[A-Z]", name)}
    ours -= {*COMPONENTS, "OpenAI"}
    assert {"JsonAnswer", "TurnStarted"} <= ours
    found = {
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path, tree in trees.items()
        for line, sentence in list_sentences(tree)
        for name in re.findall(r"\w+", sentence)
        if name in ours
    }
    assert found == set()


def list_sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Texts with blanks in them that are neither docstrings nor types, and their lines."""
    docstrings = {item.value for item in ast.walk(tree) if isinstance(item, ast.Expr)}
    for item in ast.walk(tree):
        match item:
            case ast.Constant(value=str(text)) if " " in text and item not in docstrings:
                if not re.search(r" \| |\w\[", text):
                    yield item.lineno, text


def test_every_module_says_what_it_is() -> None:
    silent = [
        path for path in python_files(*SOURCES, "bench") if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_ci_runs_what_the_readme_names() -> None:
    assert "&& pytest" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(
        r"^\tpytest --second-try=10 \$\(PYTEST_FLAGS\)\n\nfix:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert re.search(r'^make .*\bcheck\b.* PYTEST_FLAGS="--no-skips --at-least=\d{4} [^"]*"$', script, re.MULTILINE)


def test_pytest_finds_every_file_with_tests() -> None:
    def has_tests(path: Path) -> bool:
        found = ast.walk(ast.parse(path.read_text("utf-8")))
        return any(isinstance(item, FUNCTIONS) and item.name.startswith("test_") for item in found)

    with_tests = [path for path in python_files("tests") if has_tests(path)]
    assert len(with_tests) > 100
    assert [str(path) for path in with_tests if not path.name.startswith("test_")] == []


@pytest.mark.parametrize("name", AREAS)
def test_what_is_mutated_is_there(name: str) -> None:
    assert AREAS[name].files(ROOT)
    assert AREAS[name].list_tests(ROOT)


def test_the_notice_names_the_built_in_model() -> None:
    text = (ROOT / "NOTICE").read_text("utf-8")
    assert "Qwen" in text
    assert "Apache License" in text
