"""Which tests a run asks and what turns it red: pytest with the project's two kinds, on a few small tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kinds import NO_SOURCE
from tests.servers import ROOT, clean_environment

SMALL = """
import os

import pytest

def fail_the_first_time(name, always=False):
    seen = os.path.join(os.path.dirname(__file__), name)
    first = not os.path.exists(seen)
    open(seen, "w").close()
    assert not first and not always, f"the first failure of {{name}}"

def test_quick():
    pass

@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_on_two_databases(database):
    pass

@pytest.mark.model
def test_of_the_model():
    if {skipped!r}:
        pytest.skip({skipped!r})

@pytest.mark.browser
@pytest.mark.parametrize("number", range(4))
def test_in_a_browser(number):
    if number < {browsers}:
        fail_the_first_time(str(number), always={always})

def test_without_a_browser():
    if {other}:
        fail_the_first_time("other")
"""
CONFTEST = """
from tests import kinds
from tests.kinds import pytest_addoption, pytest_cmdline_main, pytest_collection_modifyitems, pytest_configure
"""
MARKERS = "markers =\n  browser: x\n  model: x\n  slow: x\n"


def run(folder: Path, *options: str, ci: bool = False, **tests: object) -> tuple[int, str]:
    """pytest's exit code and words."""
    text = SMALL.format(**{"skipped": "", "browsers": 0, "always": False, "other": False} | tests)
    (folder / "test_small.py").write_text(text)
    (folder / "pytest.ini").write_text(f"[pytest]\n{MARKERS}addopts = -rfE -p xdist.plugin\n")
    (folder / "conftest.py").write_text(CONFTEST)
    environment = clean_environment(PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", CI=str(ci).lower())
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "4 workers"),
        ([], "8 passed"),
        (["-m", "slow", "-n0"], "1 passed, 8 deselected"),
        (["-m", "slow", "--areas=postgresql", "-n0"], "1 passed in"),
        (["-m", "not model", "-n0"], "7 passed, 2 deselected"),
        (["--areas=postgresql", "-n0"], "1 passed in"),
        ([], "Slow tests were not asked"),
        (["test_small.py"], "9 passed"),
        (["."], "8 passed"),
    ],
)
def test_a_run_asks_its_kind(tmp_path: Path, options: list[str], said: str) -> None:
    code, text = run(tmp_path, *options)
    assert code == 0, text
    assert said in text


@pytest.mark.parametrize(
    ("skipped", "ci", "code"),
    [("need nothing", False, 0), ("need nothing", True, 1), (f"The model could not be fetched: {NO_SOURCE}.", True, 0)],
)
def test_what_is_left_out_is_said_and_red_in_ci(tmp_path: Path, skipped: str, ci: bool, code: int) -> None:
    found, text = run(tmp_path, ci=ci, skipped=skipped)
    assert found == code, text
    assert f"Left out: 1 × {skipped}" in text
    assert ("CI leaves nothing out" in text) == bool(code)


@pytest.mark.parametrize(
    ("ci", "tests", "code", "said"),
    [
        (False, {"browsers": 1}, 1, "1 failed"),
        (True, {"browsers": 1}, 0, "| test_small.py::test_in_a_browser[0] | 20"),
        (True, {"browsers": 3}, 0, "3 passed at the second try"),
        (True, {"browsers": 4}, 1, "4 failed"),
        (True, {"browsers": 1, "always": True}, 1, "1 failed"),
        (True, {"browsers": 1, "other": True}, 1, "2 failed"),
    ],
)
def test_what_failed_in_a_browser_is_asked_once_more_alone_by_ci(
    tmp_path: Path, ci: bool, tests: dict[str, int], code: int, said: str
) -> None:
    found, text = run(tmp_path, ci=ci, **tests)
    assert found == code, text
    assert said in text
    assert "the first failure of" in text


def test_every_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert float(request.config.getini("timeout")) == 300


def test_providers_say_what_the_skip_of_the_real_model_may_say() -> None:
    files = sorted((ROOT / "flowground" / "providers" / "builtin").glob("*.py"))
    assert any(NO_SOURCE in file.read_text("utf-8") for file in files)
