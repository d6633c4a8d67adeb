"""A flow file as a tree that knows where everything stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowground.errors import FlowError, Problem
from flowground.flow.words import show

MAX_DEPTH = 20
"""Levels of lists and mappings inside each other; a flow needs five."""
TOO_DEEP = f"This is nested more than {MAX_DEPTH} levels deep."

MAX_PROBLEMS = 50
"""More mistakes of one file are not told: the first ones are enough to begin with."""

Path = tuple[str | int, ...]
"""Names and list positions that lead from the whole file to a value."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; lines and columns count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its name, itself, and its first character where its text can be followed in the file."""

    key: Position
    value: Position
    text: Position | None = None
    block: bool = False

    def at(self, text: str, offset: int) -> Position:
        """Where the character `offset` of the value's `text` stands, as exactly as can be told."""
        if self.text is None:
            return self.value
        start = text.rfind("\n", 0, offset) + 1 if self.block else 0
        return Position(self.text.line + text.count("\n", 0, start), self.text.column + offset - start)


@dataclass(slots=True)
class Node:
    """A value with its position; a mapping's `keys` say where each name stands. `size` counts it and what is inside."""

    value: Any
    position: Position
    text: Position | None = None
    block: bool = False
    keys: Mapping[str, Position] = field(default_factory=dict)
    size: int = 1

    def texts(self) -> "Iterator[Node]":
        """Every text inside, in the file's order."""
        inside = self.value.values() if isinstance(self.value, dict) else self.value
        if isinstance(self.value, dict | list):
            for node in inside:
                yield from node.texts()
        elif isinstance(self.value, str):
            yield self

    def plain(self) -> Any:
        """The value as plain Python data."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(slots=True)
class Document:
    """One file. `problems` collects what is wrong with it; `root` is None for a file that says nothing."""

    file: str
    root: Node | None
    problems: list[Problem]

    def place(self, path: Path) -> Place:
        """Where the value at `path` stands; of a path that is not there, the nearest part that is."""
        node, key = self.root, None
        for part in path:
            inner = _inside(node, part)
            if inner is None:
                break
            node, key = inner, node.keys.get(part) if node and isinstance(part, str) else None
        if node is None:
            return Place(Position(1, 1), Position(1, 1))
        return Place(key or node.position, node.position, node.text, node.block)

    def existing(self, path: Path) -> Path:
        """The part of `path` that is in the file."""
        node = self.root
        for count, part in enumerate(path):
            node = _inside(node, part)
            if node is None:
                return path[:count]
        return path

    def problem(self, position: Position, message: str, *, value: Any = None, suggestion: str | None = None) -> None:
        """Notes a mistake; `value` is what stands there. Raises FlowError when there are too many to go on."""
        shown = None if value is None else show(value)
        self.problems.append(Problem(self.file, position.line, position.column, message, shown, suggestion))
        if len(self.problems) >= MAX_PROBLEMS:
            raise self.error()

    def error(self) -> FlowError:
        """All mistakes, in the file's order."""
        return FlowError(sorted(self.problems, key=lambda problem: (problem.line, problem.column)))


def _inside(node: Node | None, part: str | int) -> Node | None:
    if node is not None and isinstance(node.value, dict) and isinstance(part, str):
        return node.value.get(part)
    if node is not None and isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
        return node.value[part]  # type: ignore[no-any-return]  # a list's items are nodes
    return None
