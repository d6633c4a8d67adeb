"""CI turns red when tests are missing, not only when one fails: pytest with CI's options, on a few small tests."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ci_flags import NO_SOURCE
from tests.servers import ROOT, clean_environment

SMALL = """
import time

import pytest

def test_one():
    pass

def test_two():
    pass

@pytest.mark.model
def test_of_the_model():
    pytest.skip({reason!r})

def test_that_hangs():
    time.sleep({seconds})
"""


def run_small(folder: Path, *options: str, reason: str = "", seconds: float = 0) -> tuple[int, str]:
    (folder / "test_small.py").write_text(SMALL.format(reason=reason, seconds=seconds))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = model: x\n")
    return run_pytest(folder, *options)


def run_pytest(folder: Path, *options: str) -> tuple[int, str]:
    """pytest's exit code and words, on the tests in the folder."""
    (folder / "conftest.py").write_text("from tests.ci_flags import pytest_addoption, pytest_configure\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(ROOT), PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("options", "reason", "code", "said"),
    [
        ([], "anything", 0, "1 skipped"),
        (["--no-skips"], f"The model could not be fetched: {NO_SOURCE}.", 0, "1 skipped"),
        (["--no-skips"], "anything", 1, "skipped, and nothing may be"),
        (["--at-least=3"], "anything", 0, "3 passed"),
        (["--at-least=4"], "anything", 1, "3 passed; --at-least says 4"),
        (["--at-least=3", "-k", "test_one"], "anything", 1, "1 passed; --at-least says 3"),
    ],
)
@pytest.mark.parametrize("several", [False, True], ids=["one process", "two processes"])
def test_too_little_is_red(
    tmp_path: Path, several: bool, options: list[str], reason: str, code: int, said: str
) -> None:
    if several:
        pytest.importorskip("xdist", reason="needs pytest-xdist (requirements-dev.txt)")
        options = [*options, *TWO_PROCESSES]
    found, text = run_small(tmp_path, *options, reason=reason)
    assert found == code, text
    assert said in text


CHANCE = """
from pathlib import Path

import pytest

def fail_the_first_time(name, always=False):
    seen = Path(__file__).with_name(name)
    first = not seen.exists()
    seen.touch()
    assert not first and not always, f"the first failure of {name}"

@pytest.fixture
def late():
    if LATE:
        fail_the_first_time("late")

@pytest.mark.browser
@pytest.mark.parametrize("number", range(3))
def test_in_a_browser(number):
    if number < FAILING:
        fail_the_first_time(str(number))

@pytest.mark.browser
def test_set_up_late(late):
    pass

@pytest.mark.browser
def test_that_fails_always():
    if ALWAYS:
        fail_the_first_time("always", always=True)

def test_without_a_browser():
    if OTHER:
        fail_the_first_time("other")
"""
SECOND = "passed at the second try: test_chance.py::test"
TWO_PROCESSES = ["-p", "xdist.plugin", "--numprocesses=2", "--dist=loadfile"]


@pytest.mark.parametrize("several", [False, True], ids=["one process", "two processes"])
@pytest.mark.parametrize(
    ("failing", "options", "code", "said", "unsaid"),
    [
        ({"FAILING": 1}, [], 1, "1 failed, 5 passed", "second"),
        ({"FAILING": 2}, ["--second-try=2", "--at-least=6"], 0, f"{SECOND}_in_a_browser[1]", "too few"),
        ({"FAILING": 2}, ["--second-try=2", "--at-least=7"], 1, "6 passed; --at-least says 7", "2 failed"),
        ({"FAILING": 3}, ["--second-try=2"], 1, "3 failed, 3 passed", "second"),
        ({"LATE": 1}, ["--second-try=2"], 0, f"{SECOND}_set_up_late", "1 error"),
        ({"OTHER": 1}, ["--second-try=2"], 1, "1 failed, 5 passed", "second"),
        ({"FAILING": 1, "OTHER": 1}, ["--second-try=2"], 1, "2 failed, 4 passed", "second"),
        ({"FAILING": 1, "ALWAYS": 1}, ["--second-try=2"], 1, "2 failed, 4 passed", "second"),
    ],
)
def test_what_failed_in_a_browser_is_asked_once_more_alone(
    tmp_path: Path, several: bool, failing: dict[str, int], options: list[str], code: int, said: str, unsaid: str
) -> None:
    if several:
        pytest.importorskip("xdist", reason="needs pytest-xdist (requirements-dev.txt)")
        options = [*options, *TWO_PROCESSES]
    given = dict.fromkeys(("FAILING", "LATE", "ALWAYS", "OTHER"), 0) | failing
    lines = [f"{name} = {number}" for name, number in given.items()]
    (tmp_path / "test_chance.py").write_text("\n".join(lines) + CHANCE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: x\n")
    found, text = run_pytest(tmp_path, *options)
    assert found == code, text
    assert said in text
    assert unsaid not in text
    assert "the first failure of" in text


def test_a_test_that_hangs_is_ended_and_named(tmp_path: Path) -> None:
    pytest.importorskip("pytest_timeout", reason="needs pytest-timeout (requirements-dev.txt)")
    code, text = run_small(tmp_path, "-p", "pytest_timeout", "--timeout=0.5", seconds=30)
    assert code == 1
    assert re.search(r"FAILED .*test_that_hangs.*Timeout", text)


def test_every_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert float(request.config.getini("timeout")) == 300


def test_providers_say_what_the_skip_of_the_real_model_may_say() -> None:
    files = sorted((ROOT / "flowground" / "providers" / "builtin").glob("*.py"))
    assert len(files) > 3
    assert any(NO_SOURCE in file.read_text("utf-8") for file in files)


def test_ci_script_is_bash_that_can_be_read() -> None:
    done = subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
