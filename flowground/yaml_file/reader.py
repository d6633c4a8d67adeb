"""A YAML text -> its tree.

The language is YAML's core: texts, numbers, true/false, null, lists, mappings. `yes`, `no`, `2024-01-01` and `12:30`
are texts, as in YAML 1.2 and in editors; a `Dialect` says what a kind of file may have besides. Aliases are allowed
within the limit on what they amount to. Built from the parser's events, so no text can make the tree deep or large.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from flowground.yaml_file.document import Document, KeyPath, Node, Position, Problems
from flowground.yaml_file.syntax import MAX_DEPTH, TOO_DEEP, explain_syntax, find_unprintable

# libyaml reads a file some ten times faster, where PyYAML brings it.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
"""Plain words that are no texts. In YAML 1.1, which PyYAML follows, `yes`, `no`, `on` and `off` are booleans too."""
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")

_ValueStart = yaml.ScalarEvent | yaml.CollectionStartEvent
_YAML = "tag:yaml.org,2002:"
"""What YAML's own tags begin with."""


def read_core(event: yaml.ScalarEvent) -> Any:
    """A scalar as YAML 1.2's core schema reads it."""
    text = event.value
    if event.style or event.tag is not None:  # quoted, or a block
        return text
    if text in WORDS:
        return WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if len(text) <= 40 and _FLOAT.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one kind of file may say. `name` is what people call such a file.

    `most_values` bounds keys and values, each alias counted as what it stands for. Where it `is_extended`, YAML's own
    tags, those of scalars read by `read_scalar`, merge keys, and aliases as keys may stand there. `said_twice` is said
    of a key that comes again: `key`, `path`, `line`.
    """

    name: str
    read_scalar: Callable[[yaml.ScalarEvent], Any] = read_core
    most_values: float = math.inf
    is_extended: bool = False
    said_twice: str = "`{key}` is given twice; the first is on line {line}."


def parse_events(text: str) -> Iterator[yaml.Event]:
    """What YAML's parser finds, one after the other. Raises yaml.YAMLError."""
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=_Loader)
    return events


def read_document(text: str, file: str, dialect: Dialect) -> Document:
    """The tree of a file's text, with the mistakes that leave it readable. Raises FlowError where it cannot be read."""
    document = Document(None, Problems(file))
    if found := find_unprintable(text):
        document.problems.add(*found)
        document.problems.refuse()
    try:
        document.root = _Reader(document.problems, text, dialect).read()
    except yaml.MarkedYAMLError as error:
        at, message, suggestion = explain_syntax(error, text)
        document.problems.add(at, message, suggestion=suggestion)
        document.problems.refuse()
    return document


class _Reader:
    """Turns the parser's events into nodes."""

    def __init__(self, problems: Problems, text: str, dialect: Dialect) -> None:
        self._problems = problems
        self._dialect = dialect
        self._lines = text.splitlines()
        self._events = parse_events(text)
        self._anchors: dict[str, Node | None] = {}
        self._values = 0
        self._most = dialect.most_values

    def read(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    says = f"A {self._dialect.name} holds one document: what follows this `---` belongs elsewhere."
                    self._note(event, says)
                    break
                root = self._read_node(next(self._events), ())
        return root

    def _read_node(self, event: yaml.Event, path: KeyPath) -> Node:
        self._values += 1
        if self._values > self._most:
            self._refuse_size(event)
        if len(path) > MAX_DEPTH:
            self._note(event, TOO_DEEP)
            self._problems.refuse()
        if isinstance(event, yaml.AliasEvent):
            return self._find_alias(event)
        assert isinstance(event, _ValueStart)  # noqa: S101 - nothing else begins a node
        if event.tag is not None and not self._may_tag(event):
            says = f"Tags are not used in {self._dialect.name}s; for a text, quotes are enough."
            self._note(event, says, event.tag)
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            node = self._read_scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._read_list(event, path)
        else:
            node = self._read_mapping(event, path)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _may_tag(self, event: _ValueStart) -> bool:
        """Any tag of a scalar, and the one that a list or a mapping has anyhow."""
        own = f"{_YAML}seq" if isinstance(event, yaml.SequenceStartEvent) else f"{_YAML}map"
        return self._dialect.is_extended and (isinstance(event, yaml.ScalarEvent) or event.tag in ("!", own))

    def _find_alias(self, event: yaml.AliasEvent) -> Node:
        name = str(event.anchor)
        node = self._anchors.get(name)
        if node is None:
            inside = name in self._anchors
            says = f"`*{name}` stands inside what it stands for." if inside else f"Nothing is marked `&{name}` above."
            self._note(event, says, f"*{name}")
            self._problems.refuse()
        self._values += node.size
        if self._values > self._most:
            self._refuse_size(event)
        return node

    def _read_scalar(self, event: yaml.ScalarEvent) -> Node:
        node = Node(self._dialect.read_scalar(event), _find_position(event))
        if event.style == "|":
            node.text, node.is_block = self._find_block_start(node.position.line), True
        elif event.start_mark and event.end_mark and event.start_mark.line == event.end_mark.line:
            quote = 1 if event.style in ("'", '"') else 0
            node.text = Position(node.position.line, node.position.column + quote)
        return node

    def _find_block_start(self, first: int) -> Position:
        """A literal block's first line, and the column after its indentation."""
        lines = (self._lines[number] for number in range(first, len(self._lines)))
        indents = (len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
        return Position(first + 1, next(indents, 0) + 1)

    def _read_list(self, event: yaml.Event, path: KeyPath) -> Node:
        node = Node([], _find_position(event))
        while not isinstance(item := next(self._events), yaml.SequenceEndEvent):
            node.value.append(self._read_node(item, (*path, len(node.value))))
        node.size += sum(item.size for item in node.value)
        return node

    def _read_mapping(self, event: yaml.Event, path: KeyPath) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, Position] = {}
        node = Node(values, _find_position(event), keys=keys)
        merged: list[Node] = []
        while not isinstance(name := next(self._events), yaml.MappingEndEvent):
            key = self._read_key(name, path)
            value = self._read_node(next(self._events), (*path, key or ""))
            node.size += 1 + value.size
            if key is None:
                merged.append(value)
            elif key in values:
                where = ".".join(map(str, (*path, key)))
                self._note(name, self._dialect.said_twice.format(key=key, path=where, line=keys[key].line), key)
            else:
                values[key], keys[key] = value, _find_position(name)
        for other in merged if self._dialect.is_extended else ():
            self._merge(node, other)
        return node

    def _read_key(self, event: yaml.Event, path: KeyPath) -> str | None:
        """A name; None for a merge key, and for what is no name and a mistake."""
        if self._dialect.is_extended and isinstance(event, yaml.AliasEvent):
            named = self._find_alias(event).value
            if isinstance(named, str):
                return named
        if isinstance(event, yaml.ScalarEvent) and (
            event.tag is None or (self._dialect.is_extended and event.tag in ("!", f"{_YAML}str"))
        ):
            self._values += 1
            if event.anchor:
                self._anchors[event.anchor] = self._read_scalar(event)
            if event.value != "<<" or event.style or event.tag is not None:
                return str(event.value)
            if not self._dialect.is_extended:
                self._note(event, f"Merge keys are not used in {self._dialect.name}s: write the fields out.", "<<")
            return None
        self._read_node(event, (*path, ""))
        self._note(event, "A name is plain text here, nothing composed.")
        return None

    def _merge(self, node: Node, other: Node) -> None:
        """Adds what a merge key brings, one mapping or a list of them; what is there stays."""
        for part in other.value if isinstance(other.value, list) else [other]:
            if not isinstance(part.value, dict):
                self._problems.add(part.position, "Behind `<<` stands a mapping, or a list of them.")
                return
            node.value = part.value | node.value
            node.keys = {**part.keys, **node.keys}

    def _refuse_size(self, event: yaml.Event) -> NoReturn:
        self._note(event, f"The file has more than {self._most:,} values, aliases counted as what they stand for.")
        self._problems.refuse()

    def _note(self, event: yaml.Event, message: str, value: str | None = None) -> None:
        self._problems.add(_find_position(event), message, value=value)


def _find_position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
