"""A flow file's text -> its tree.

The language is YAML's core: texts, numbers, true/false, null, lists, mappings. `yes`, `no`, `2024-01-01` and `12:30`
are texts, as in YAML 1.2 and in editors. Tags, merge keys and several documents in one file are refused; aliases are
allowed within the limit on what they amount to. Built from the parser's events, so no text can make it deep or large.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from flowground.flow.document import MAX_DEPTH, TOO_DEEP, Document, Node, Position
from flowground.flow.scalars import WORDS
from flowground.flow.syntax import syntax_problem, unprintable

MAX_NODES = 20_000
"""Keys and values of a file, each alias counted as what it stands for."""

# libyaml reads a file some ten times faster, where PyYAML brings it.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def read_document(text: str, file: str) -> Document:
    """The tree of a file's text, with the mistakes that leave it readable. Raises FlowError where it cannot be read."""
    document = Document(file, None, [])
    if found := unprintable(text):
        document.problem(Position(*found[:2]), found[2])
        raise document.error()
    try:
        document.root = _Reader(document, text).read()
    except yaml.MarkedYAMLError as error:
        line, column, message, suggestion = syntax_problem(error, text)
        document.problem(Position(line, column), message, suggestion=suggestion)
        raise document.error() from None
    return document


class _Reader:
    """Turns the parser's events into nodes."""

    def __init__(self, document: Document, text: str) -> None:
        self._document = document
        self._lines = text.splitlines()
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
        self._anchors: dict[str, Node | None] = {}
        self._nodes = 0

    def read(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._problem(event, "A flow file holds one document: what follows this `---` belongs elsewhere.")
                    break
                root = self._node(next(self._events), 0)
        return root

    def _node(self, event: yaml.Event, depth: int) -> Node:
        self._count(event, 1)
        if depth > MAX_DEPTH:
            self._stop(event, TOO_DEEP)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)  # noqa: S101 - nothing else begins a node
        if event.tag is not None:
            self._problem(event, "Tags are not used in flow files; for a text, quotes are enough.", event.tag)
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._list(event, depth)
        else:
            node = self._mapping(event, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = str(event.anchor)
        node = self._anchors.get(name)
        if node is None:
            inside = name in self._anchors
            says = f"`*{name}` stands inside what it stands for." if inside else f"Nothing is marked `&{name}` above."
            self._stop(event, says, f"*{name}")
        self._count(event, node.size)
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Node:
        node = Node(_value(event), _position(event))
        if event.style == "|":
            node.text, node.block = self._block_start(node.position.line), True
        elif event.start_mark and event.end_mark and event.start_mark.line == event.end_mark.line:
            quote = 1 if event.style in ("'", '"') else 0
            node.text = Position(node.position.line, node.position.column + quote)
        return node

    def _block_start(self, first: int) -> Position:
        """A literal block's first line, and the column after its indentation."""
        lines = (self._lines[number] for number in range(first, len(self._lines)))
        indents = (len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
        return Position(first + 1, next(indents, 0) + 1)

    def _list(self, event: yaml.Event, depth: int) -> Node:
        node = Node([], _position(event))
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            node.value.append(self._node(item, depth + 1))
        node.size += sum(item.size for item in node.value)
        return node

    def _mapping(self, event: yaml.Event, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        node = Node(values, _position(event), keys=keys)
        while not isinstance(name := next(self._events), yaml.MappingEndEvent):
            key = self._key(name, depth)
            value = self._node(next(self._events), depth + 1)
            node.size += 1 + value.size
            if key is None:
                continue
            if key in values:
                self._problem(name, f"`{key}` is given twice; the first is on line {keys[key].line}.", key)
                continue
            values[key], keys[key] = value, _position(name)
        return node

    def _key(self, event: yaml.Event, depth: int) -> str | None:
        if isinstance(event, yaml.ScalarEvent) and event.tag is None:
            self._count(event, 1)
            if event.anchor:
                self._anchors[event.anchor] = self._scalar(event)
            if event.value == "<<" and not event.style:
                self._problem(event, "Merge keys are not used in flow files: write the fields out.", "<<")
                return None
            return str(event.value)
        self._node(event, depth + 1)
        self._problem(event, "A name is plain text here, nothing composed.")
        return None

    def _count(self, event: yaml.Event, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(event, f"The file has more than {MAX_NODES:,} values, aliases counted as what they stand for.")

    def _problem(self, event: yaml.Event, message: str, value: str | None = None) -> None:
        self._document.problem(_position(event), message, value=value)

    def _stop(self, event: yaml.Event, message: str, value: str | None = None) -> NoReturn:
        self._problem(event, message, value)
        raise self._document.error()


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _value(event: yaml.ScalarEvent) -> Any:
    """A scalar as YAML 1.2's core schema reads it."""
    text = event.value
    if event.style or event.tag is not None:  # quoted, or a block
        return text
    if text in WORDS:
        return WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if len(text) <= 40 and _FLOAT.fullmatch(text) else text
