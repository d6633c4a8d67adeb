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

from tests.mutants.chosen_tests import Chosen, Order, Watcher
from tests.mutants.mutations import Mutant

_LIBRARIES = (
    *("anyio", "bcrypt", "fastapi", "httpcore2", "httpx2", "hypothesis", "jwt", "pydantic", "requests"),
    *("sqlalchemy.orm", "websockets", "yaml"),
)
_FLAGS = (
    *("-o", "addopts=", "-x", "-q", "--no-header", "-p", "no:langflow", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
)
_SLOWER, _GRACE = 4, 10.0
"""A mutant's tests hang when they take so many times as long as the code's, and so many seconds more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`killed_by` is "fast" or "slow", by the kind of the first test that failed or hung; "" where all passed."""

    mutant: Mutant
    killed_by: str


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


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of an area that are run: `files`, and of them those that `only` chooses, as `pytest -m` does."""

    files: list[str]
    only: str

    def watch(self, copy: Path, code: list[str]) -> Chosen:
        """Which test enters what. Raises SystemExit where they do not pass on the code as it is."""
        file = copy / "chosen.json"
        _, status = os.waitpid(self._start(copy, lambda: Watcher(copy, code, file)), 0)
        if status:
            raise SystemExit(f"these do not pass on the code as it is: {' '.join(self.files)}")
        return Chosen.read(file)

    def try_mutants(
        self, mutants: list[Mutant], chosen: Chosen, copies: list[Path], *, until: float
    ) -> Iterator[Outcome]:
        """One outcome a mutant, as they come; as many run at once as there are copies. None begins after `until`."""
        waiting, free, running = iter(mutants), list(copies), list[_Trial]()
        while True:
            while free and time.monotonic() < until and (mutant := next(waiting, None)):
                running.append(self._begin(mutant, free.pop(), chosen))
            if not running:
                return
            for trial in tuple(running):
                killed_by = _look(trial)
                if killed_by is not None:
                    _write(trial.copy / trial.mutant.path, trial.mutant.source)
                    running.remove(trial)
                    free.append(trial.copy)
                    yield Outcome(trial.mutant, killed_by)
            time.sleep(0.01)

    def _begin(self, mutant: Mutant, copy: Path, chosen: Chosen) -> _Trial:
        _write(copy / mutant.path, mutant.code)
        _slow_began(copy).unlink(missing_ok=True)
        first = chosen.tests_of(mutant.path, mutant.source, mutant.line)
        pid = self._start(copy, lambda: Order(first, slow_began=_slow_began(copy)))
        return _Trial(mutant, copy, pid, time.monotonic() + chosen.all_seconds * _SLOWER + _GRACE)

    def _start(self, copy: Path, plugin: Callable[[], object]) -> int:
        """The id of a process, and group, that runs the tests in a copy with a plugin, and ends with 0 if they pass."""
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.setsid()
            os.chdir(copy)
            os.environ.pop("CI", None)  # where it is set, a test that is skipped has failed
            silent = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(silent, stream)
            sys.path[:] = [str(copy), *(path for path in sys.path if Path(path) != Path(__file__).parents[2])]
            _forget_own_modules()
            status = pytest.main([*_FLAGS, "-m", self.only, *self.files], plugins=[plugin()])
        finally:
            os._exit(status)


def _forget_own_modules() -> None:
    """`tests` is the copy's from here on."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "flowground")]:
        del sys.modules[name]


def _slow_began(copy: Path) -> Path:
    """A file that is there once the copy's fast tests have passed."""
    return copy / "slow-began"


def _look(trial: _Trial) -> str | None:
    """By which kind the mutant was killed; None while tests run."""
    pid, status = os.waitpid(trial.pid, os.WNOHANG)
    if not pid and time.monotonic() < trial.ends:
        return None
    if not pid:
        os.killpg(trial.pid, signal.SIGKILL)
        os.waitpid(trial.pid, 0)
    elif status == 0:
        return ""
    return "slow" if _slow_began(trial.copy).exists() else "fast"


_times = iter(range(1_000_000_000, 2_000_000_000))


def _write(path: Path, code: str) -> None:
    """With a time of its own, or Python would take what it compiled from another text of the same length."""
    path.write_text(code, "utf-8")
    moment = next(_times)
    os.utime(path, (moment, moment))
