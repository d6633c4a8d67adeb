"""Which tests notice a fault soonest: those that enter the function it is in, found by watching all of them once."""

import ast
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

Entered = Mapping[str, Collection[int]]
"""File -> the first lines of functions that were entered."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What `Watcher` found: seconds of each test, and what it entered, its fixtures' share included."""

    seconds: Mapping[str, float]
    entered: Mapping[str, Entered]

    @classmethod
    def read(cls, file: Path) -> "Chosen":
        return cls(**json.loads(file.read_text("utf-8")))

    def tests_of(self, path: str, source: str, line: int) -> list[str]:
        """Those that enter the function at this line; of a line outside functions, those that enter any of the file."""
        first = _first_line(source, line)
        found = [test for test, files in self.entered.items() if first in files.get(path, ())]
        return found if first else [test for test, files in self.entered.items() if files.get(path)]

    @property
    def all_seconds(self) -> float:
        return sum(self.seconds.values())

    @property
    def files(self) -> list[str]:
        return list(dict.fromkeys(test.partition("::")[0] for test in self.entered))


def _first_line(source: str, line: int) -> int | None:
    """Of the innermost function at a line, as its code says it."""
    spans = [
        (min([item.lineno, *(each.lineno for each in item.decorator_list)]), item.end_lineno or 0)
        for item in ast.walk(ast.parse(source))
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return max((first for first, last in spans if first <= line <= last), default=None)


class Watcher:
    """A plugin of pytest: notes for each test what it enters, and writes it into a file for `Chosen`."""

    def __init__(self, root: Path, code: Collection[str], file: Path) -> None:
        self._names = {str(root / path): path for path in code}
        self._file = file
        self._seconds: dict[str, float] = {}
        self._by_test: dict[str, dict[str, set[int]]] = {}
        self._by_fixtures: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        self._noted: dict[str, set[int]] = defaultdict(set)
        threading.settrace(self._note)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        began = time.monotonic()
        with self._watching(self._by_fixtures[item.nodeid.partition("::")[0]]):
            done = yield
        self._seconds[item.nodeid] = time.monotonic() - began
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        with self._watching(self._by_test.setdefault(item.nodeid, defaultdict(set))):
            return (yield)

    def pytest_sessionfinish(self) -> None:
        entered = {
            test: {
                path: sorted(files[path] | self._by_fixtures[test.partition("::")[0]][path])
                for path in self._names.values()
            }
            for test, files in self._by_test.items()
        }
        self._file.write_text(json.dumps({"seconds": self._seconds, "entered": entered}), "utf-8")

    @contextmanager
    def _watching(self, into: dict[str, set[int]]) -> Generator[None, None, None]:
        before, self._noted = self._noted, into
        traced = sys.gettrace()
        sys.settrace(self._note)
        yield
        sys.settrace(traced)
        self._noted = before

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        name = self._names.get(frame.f_code.co_filename)
        if name and event == "call":
            self._noted[name].add(frame.f_code.co_firstlineno)


class Order:
    """A plugin of pytest: runs these tests first, and the others only where these pass; slow ones after all fast ones.

    What a test file does when it is imported, and what is cached by then, is entered by tests that do not show it.
    """

    def __init__(self, first: Collection[str], *, slow_began: Path) -> None:
        self._first = set(first)
        self._slow_began = slow_began

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items.sort(key=lambda item: (_is_slow(item), item.nodeid not in self._first))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if _is_slow(item):
            self._slow_began.touch()


def _is_slow(item: pytest.Item) -> bool:
    return item.get_closest_marker("slow") is not None
