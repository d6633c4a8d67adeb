"""A YAML file as a tree that knows where everything stands, and the mistakes that are found in it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, NoReturn

from flowground.errors import FlowError, Problem
from flowground.words import find_nearest, show

MAX_PROBLEMS = 50
"""More mistakes of one file are not told: the first ones are enough to begin with."""

KeyPath = tuple[str | int, ...]
"""Names and list positions that lead from the whole file to a value."""


class Position(NamedTuple):
    """A place in a file; lines and columns count from 1."""

    line: int
    column: int


class Place(NamedTuple):
    """Where a value stands: its name, itself, and its first character where its text can be followed in the file."""

    key: Position
    value: Position
    text: Position | None = None
    is_block: bool = False

    def find_position(self, text: str, offset: int) -> Position:
        """Where the character `offset` of the value's `text` stands, as exactly as can be told."""
        if self.text is None:
            return self.value
        start = text.rfind("\n", 0, offset) + 1 if self.is_block else 0
        return Position(self.text.line + text.count("\n", 0, start), self.text.column + offset - start)


@dataclass(slots=True)
class Node:
    """A value with its position; a mapping's `keys` say where each name stands. `size` counts it and what is inside."""

    value: Any
    position: Position
    text: Position | None = None
    is_block: bool = False
    keys: Mapping[str, Position] = field(default_factory=dict)
    size: int = 1

    def place(self, key: Position | None = None) -> Place:
        """Where it stands, `key` being the place of its name."""
        return Place(key or self.position, self.position, self.text, self.is_block)

    def list_texts(self) -> "Iterator[Node]":
        """Every text inside, in the file's order."""
        inside = self.value.values() if isinstance(self.value, dict) else self.value
        if isinstance(self.value, dict | list):
            for node in inside:
                yield from node.list_texts()
        elif isinstance(self.value, str):
            yield self

    def read_plain(self) -> Any:
        """The value as plain Python data."""
        if isinstance(self.value, dict):
            return {key: node.read_plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.read_plain() for node in self.value]
        return self.value


class Problems:
    """The mistakes of one file, gathered so that all are told at once, and beside them warnings, which stop nothing."""

    def __init__(self, file: str, found: Iterable[Problem] = ()) -> None:
        """`found` are mistakes that are known already."""
        self._file = file
        self._found = [*found]
        self._warnings: list[Problem] = []

    def add(
        self,
        at: Position,
        message: str,
        *,
        value: Any = None,
        choices: Iterable[str] = (),
        otherwise: str = "",
        suggestion: str | None = None,
    ) -> None:
        """Notes a mistake; `value` is what stands there, `suggestion` what should.

        Where there is no suggestion it is the one of `choices` that is nearest to `value`; where that is none,
        `otherwise` is said too. Raises FlowError when there are too many to go on.
        """
        word = suggestion or (find_nearest(value, choices) if isinstance(value, str) else None)
        self._found.append(self._make(at, message if word else message + otherwise, value, word))
        if len(self._found) >= MAX_PROBLEMS:
            self.refuse()

    def warn(self, at: Position, message: str, *, value: Any = None, choices: Iterable[str] = ()) -> None:
        """Notes what works, and should be changed all the same; after the first fifty nothing more."""
        if len(self._warnings) < MAX_PROBLEMS:
            word = find_nearest(value, choices) if isinstance(value, str) else None
            self._warnings.append(replace(self._make(at, message, value, word), is_warning=True))

    @property
    def found(self) -> tuple[Problem, ...]:
        """The mistakes so far."""
        return tuple(self._found)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """In the file's order."""
        return tuple(sorted(self._warnings, key=_find_place))

    def refuse(self) -> NoReturn:
        """Raises FlowError with every mistake, in the file's order."""
        raise FlowError(sorted(self._found, key=_find_place))

    def __bool__(self) -> bool:
        """Whether there is a mistake; a warning is none."""
        return bool(self._found)

    def _make(self, at: Position, message: str, value: Any, suggestion: str | None) -> Problem:
        said = message if message.endswith(".") else f"{message}."
        return Problem(self._file, at.line, at.column, said, None if value is None else show(value), suggestion)


def _find_place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


@dataclass(slots=True)
class Document:
    """One file; `root` is None where it says nothing."""

    root: Node | None
    problems: Problems

    def place(self, path: KeyPath) -> Place:
        """Where the value at `path` stands; of a path that is not there, the nearest part that is."""
        node, key = self.root, None
        for part in path:
            inner = _find_inside(node, part)
            if inner is None:
                break
            node, key = inner, node.keys.get(part) if node and isinstance(part, str) else None
        return node.place(key) if node else Place(Position(1, 1), Position(1, 1))

    def find_existing(self, path: KeyPath) -> KeyPath:
        """The part of `path` that is in the file."""
        node = self.root
        for count, part in enumerate(path):
            node = _find_inside(node, part)
            if node is None:
                return path[:count]
        return path


def _find_inside(node: Node | None, part: str | int) -> Node | None:
    if node is not None and isinstance(node.value, dict) and isinstance(part, str):
        return node.value.get(part)
    if node is not None and isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
        return node.value[part]  # type: ignore[no-any-return]  # a list's items are nodes
    return None
