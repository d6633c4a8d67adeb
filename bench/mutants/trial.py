"""Runs tests on mutants, each in a process forked from one that has imported the libraries already."""

import importlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.mutants.chosen_tests import Chosen, Order, Watcher
from bench.mutants.mutations import Mutant

_LIBRARIES = (
    *("anyio", "bcrypt", "fastapi", "httpcore2", "httpx2", "hypothesis", "jwt", "pydantic", "requests"),
    *("sqlalchemy.orm", "websockets", "yaml"),
)
_FLAGS = (
    *("-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_SLOWER, _GRACE = 4, 10.0
"""A mutant's tests hang when they take so many times as long as the code's, and so many seconds more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`noticed` False: every test passed."""

    mutant: Mutant
    noticed: bool


@dataclass(slots=True)
class _Trial:
    mutant: Mutant
    copy: Path
    pid: int
    ends: float


def import_libraries() -> None:
    """Nothing of the project's own: a mutant's process imports that from its copy."""
    for name in _LIBRARIES:
        importlib.import_module(name)


def watch_tests(copy: Path, tests: list[str], code: list[str]) -> Chosen:
    """Which test enters what. Raises SystemExit where they do not pass on the code as it is."""
    file = copy / "chosen.json"
    _, status = os.waitpid(_start(copy, tests, lambda: Watcher(copy, code, file)), 0)
    if status:
        raise SystemExit(f"these do not pass on the code as it is: {' '.join(tests)}")
    return Chosen.read(file)


def try_mutants(mutants: list[Mutant], chosen: Chosen, copies: list[Path]) -> Iterator[Outcome]:
    """One outcome a mutant, as they come; as many run at once as there are copies."""
    waiting, free, running = iter(mutants), list(copies), list[_Trial]()
    while True:
        while free and (mutant := next(waiting, None)):
            running.append(_begin(mutant, free.pop(), chosen))
        if not running:
            return
        for trial in tuple(running):
            noticed = _look(trial)
            if noticed is not None:
                _write(trial.copy / trial.mutant.path, trial.mutant.source)
                running.remove(trial)
                free.append(trial.copy)
                yield Outcome(trial.mutant, noticed)
        time.sleep(0.01)


def _begin(mutant: Mutant, copy: Path, chosen: Chosen) -> _Trial:
    _write(copy / mutant.path, mutant.code)
    first = chosen.tests_of(mutant.path, mutant.source, mutant.line)
    pid = _start(copy, chosen.files, lambda: Order(first))
    return _Trial(mutant, copy, pid, time.monotonic() + chosen.all_seconds * _SLOWER + _GRACE)


def _look(trial: _Trial) -> bool | None:
    """Whether the tests noticed; None while they run."""
    pid, status = os.waitpid(trial.pid, os.WNOHANG)
    if pid:
        return status != 0
    if time.monotonic() < trial.ends:
        return None
    os.killpg(trial.pid, signal.SIGKILL)
    os.waitpid(trial.pid, 0)
    return True


_times = iter(range(1_000_000_000, 2_000_000_000))


def _write(path: Path, code: str) -> None:
    """With a time of its own, or Python would take what it compiled from another text of the same length."""
    path.write_text(code, "utf-8")
    moment = next(_times)
    os.utime(path, (moment, moment))


def _start(copy: Path, files: list[str], plugin: Callable[[], object]) -> int:
    """The id of a process, and group, that runs tests in a copy with a plugin, and ends with 0 when they pass."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        os.setsid()
        os.chdir(copy)
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        sys.path[:] = [str(copy), *(path for path in sys.path if Path(path) != Path(__file__).parents[2])]
        status = pytest.main([*_FLAGS, *files], plugins=[plugin()])
    finally:
        os._exit(status)
