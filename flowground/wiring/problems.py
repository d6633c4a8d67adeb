"""Mistakes of one flow file, gathered so that all are told at once."""

from collections.abc import Iterable
from typing import Any

from flowground.errors import FlowError, Problem, nearest
from flowground.flow import Position
from flowground.flow.document import MAX_PROBLEMS
from flowground.flow.words import show


class Problems:
    """What is wrong with one file so far."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: list[Problem] = []

    def add(
        self, at: Position, message: str, *, value: Any = None, choices: Iterable[str] = (), otherwise: str = ""
    ) -> None:
        """Notes a mistake; of `choices` the one nearest to `value` is suggested, else `otherwise` is said too.

        Raises FlowError when there are too many to go on.
        """
        word = nearest(value, choices) if isinstance(value, str) else None
        sentence = message if word else message + otherwise
        shown = None if value is None else show(value)
        self._found.append(
            Problem(self._file, at.line, at.column, sentence if sentence.endswith(".") else f"{sentence}.", shown, word)
        )
        if len(self._found) >= MAX_PROBLEMS:
            self.raise_any()

    def raise_any(self) -> None:
        """Raises FlowError with every mistake, in the file's order."""
        if self._found:
            raise FlowError(sorted(self._found, key=lambda problem: (problem.line, problem.column)))

    def __bool__(self) -> bool:
        return bool(self._found)
