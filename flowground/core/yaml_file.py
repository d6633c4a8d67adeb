"""YAML files as trees that know each value's line and column, and the mistakes found in them.

The language is YAML's core: texts, numbers, true/false, null, lists, mappings. `yes`, `no`, `2024-01-01` and `12:30`
are texts, as in YAML 1.2 and in editors. The tree is built from the parser's events, and aliases count as what they
stand for, so no text can make it deep or large. At the end stand bases of the models for such files.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Annotated, Any, ClassVar, NamedTuple, NoReturn

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from flowground.core.errors import FlowError, Problem
from flowground.core.words import find_nearest, show

MAX_PROBLEMS = 50
"""Most mistakes of one file that are reported: the first ones are enough to begin with."""
KeyPath = tuple[str | int, ...]
"""Names and list positions that lead from the file's root to a value."""
MAX_VALUES = 20_000
"""Most keys and values of a file, each alias counted as what it stands for."""
MAX_DEPTH = 20
"""Most levels of nested lists and mappings; a flow needs five."""
TOO_DEEP = f"This is nested more than {MAX_DEPTH} levels deep."
WORDS = {"": None, "~": None} | {
    form: value
    for word, value in (("null", None), ("true", True), ("false", False))
    for form in (word, word.capitalize(), word.upper())
}
"""Plain words that are not texts. In YAML 1.1, which PyYAML follows, `yes`, `no`, `on` and `off` are booleans too."""
Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", json_schema_extra={"format": "color-hex"})]
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A plain `${Name}` inside {…} or […], where YAML reads the brace as a mapping.
_BARE_REFERENCE = re.compile(r"""(?<!["'$])\$\{[^{}\n]*\}""")
# Where PyYAML includes libyaml, it reads files some ten times faster.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ValueStart = yaml.ScalarEvent | yaml.CollectionStartEvent
_HTTP = re.compile(r"^https?://[^/?#\s]+(/[^?#\s]*)?$")
_SWITCHES = {"yes": True, "on": True, "no": False, "off": False}


class Position(NamedTuple):
    """A place in a file; lines and columns count from 1."""

    line: int
    column: int


class SourceLocation(NamedTuple):
    """Where a value stands: its name, the value itself, and its first character, where its text can be followed in the
    file."""

    key: Position
    value: Position
    text: Position | None = None
    is_block: bool = False

    def find_position(self, text: str, offset: int) -> Position:
        """The position of the character `offset` of the value's `text`, as exactly as it can be known."""
        if self.text is None:
            return self.value
        start = text.rfind("\n", 0, offset) + 1 if self.is_block else 0
        return Position(self.text.line + text.count("\n", 0, start), self.text.column + offset - start)


@dataclass(slots=True)
class Node:
    """A value with its position; a mapping's `keys` are the positions of its names. `size` counts the node and all
    nodes inside it."""

    value: Any
    position: Position
    text: Position | None = None
    is_block: bool = False
    keys: Mapping[str, Position] = field(default_factory=dict)
    size: int = 1

    def place(self, key: Position | None = None) -> SourceLocation:
        """The node's location; `key` is the position of its name."""
        return SourceLocation(key or self.position, self.position, self.text, self.is_block)

    def list_texts(self) -> "Iterator[Node]":
        """Every text inside the node, in the file's order."""
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
    """The mistakes of one file, collected so that all are reported at once, and warnings, which do not stop
    anything."""

    def __init__(self, file: str, found: Iterable[Problem] = ()) -> None:
        """`found` are mistakes that were found before."""
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
        """Adds a mistake; `value` is what the file has there, `suggestion` what it should have.

        Without a suggestion, the one of `choices` nearest to `value` is suggested; where no choice is near, the message
        ends with `otherwise`. Raises FlowError when there are too many mistakes to go on.
        """
        word = suggestion or (find_nearest(value, choices) if isinstance(value, str) else None)
        self._found.append(self._make(at, message if word else message + otherwise, value, word))
        if len(self._found) >= MAX_PROBLEMS:
            self.refuse()

    def warn(self, at: Position, message: str, *, value: Any = None, choices: Iterable[str] = ()) -> None:
        """Adds a warning about something that works and should be changed; after the first fifty, warnings are
        dropped."""
        if len(self._warnings) < MAX_PROBLEMS:
            word = find_nearest(value, choices) if isinstance(value, str) else None
            self._warnings.append(replace(self._make(at, message, value, word), is_warning=True))

    @property
    def found(self) -> tuple[Problem, ...]:
        """The mistakes so far."""
        return tuple(self._found)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The warnings in the file's order."""
        return tuple(sorted(self._warnings, key=attrgetter("line", "column")))

    def refuse(self) -> NoReturn:
        """Raises FlowError with every mistake, in the file's order."""
        raise FlowError(sorted(self._found, key=attrgetter("line", "column")))

    def __bool__(self) -> bool:
        """Whether there is a mistake; warnings do not count."""
        return bool(self._found)

    def _make(self, at: Position, message: str, value: Any, suggestion: str | None) -> Problem:
        sentence = message if message.endswith(".") else f"{message}."
        return Problem(self._file, at.line, at.column, sentence, None if value is None else show(value), suggestion)


@dataclass(slots=True)
class Document:
    """One file; `root` is None where the file is empty."""

    root: Node | None
    problems: Problems

    def place(self, path: KeyPath) -> SourceLocation:
        """The location of the value at `path`; for a missing path, of its nearest existing part."""
        node, key = self.root, None
        for part in path:
            inner = _find_inside(node, part)
            if inner is None:
                break
            node, key = inner, node.keys.get(part) if node and isinstance(part, str) else None
        return node.place(key) if node else SourceLocation(Position(1, 1), Position(1, 1))

    def find_existing(self, path: KeyPath) -> KeyPath:
        """The part of `path` that exists in the file."""
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


def _read_core(event: yaml.ScalarEvent) -> Any:
    """A scalar by the core schema of YAML 1.2."""
    text = event.value
    if event.style or event.tag is not None:  # quoted, or a block
        return text
    if text in WORDS:
        return WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if len(text) <= 40 and _FLOAT.fullmatch(text) else text


def read_document(text: str, file: str, kind: str = "flow file", *, most: float = MAX_VALUES) -> Document:
    """The tree of a file's text, with the mistakes that leave it readable; `kind` is people's name for such a file,
    `most` bounds its keys and values. Raises FlowError where it is not readable."""
    document = Document(None, Problems(file))
    if found := find_unprintable(text):
        document.problems.add(*found)
        document.problems.refuse()
    try:
        document.root = _Reader(document.problems, text, kind, most).read()
    except yaml.MarkedYAMLError as error:
        at, message, suggestion = explain_syntax(error, text)
        document.problems.add(at, message, suggestion=suggestion)
        document.problems.refuse()
    return document


class _Reader:
    """Turns the parser's events into nodes."""

    def __init__(self, problems: Problems, text: str, kind: str, most: float) -> None:
        self._problems = problems
        self._kind, self._most = kind, most
        self._lines = text.splitlines()
        self._events: Iterator[yaml.Event] = iter(_Loader(text).get_event, None)
        self._anchors: dict[str, Node | None] = {}
        self._values = 0

    def read(self) -> Node | None:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    says = f"A {self._kind} holds one document: what follows this `---` belongs elsewhere."
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
        if event.tag is not None:
            says = f"Tags are not used in {self._kind}s; for a text, quotes are enough."
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
        node = Node(_read_core(event), _find_position(event))
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
        while not isinstance(name := next(self._events), yaml.MappingEndEvent):
            key = self._read_key(name, path)
            value = self._read_node(next(self._events), (*path, key or ""))
            node.size += 1 + value.size
            if key is not None and key in values:
                self._note(name, f"`{key}` is given twice; the first is on line {keys[key].line}.", key)
            elif key is not None:
                values[key], keys[key] = value, _find_position(name)
        return node

    def _read_key(self, event: yaml.Event, path: KeyPath) -> str | None:
        """A name; None for a key that is a mistake."""
        if isinstance(event, yaml.ScalarEvent) and event.tag is None:
            self._values += 1
            if event.anchor:
                self._anchors[event.anchor] = self._read_scalar(event)
            if event.value != "<<" or event.style:
                return str(event.value)
            self._note(event, f"Merge keys are not used in {self._kind}s: write the fields out.", "<<")
            return None
        self._read_node(event, (*path, ""))
        self._note(event, "A name is plain text here, nothing composed.")
        return None

    def _refuse_size(self, event: yaml.Event) -> NoReturn:
        self._note(event, f"The file has more than {self._most:,} values, aliases counted as what they stand for.")
        self._problems.refuse()

    def _note(self, event: yaml.Event, message: str, value: str | None = None) -> None:
        self._problems.add(_find_position(event), message, value=value)


def _find_position(event: yaml.Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def find_unprintable(text: str) -> tuple[Position, str] | None:
    """Position and message of the first character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    at = Position(text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start()))
    code = f"U+{ord(found.group()):04X}"
    return at, f'The character {code} cannot stand in a file; in double quotes "\\u{code[2:]}" stands for it.'


def explain_syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[Position, str, str | None]:
    """Position, message and, where it is known, the right words for a syntax error."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    problem = error.problem or error.context or "this is no YAML"
    message = f"YAML: {problem}."
    if "maximum nesting" in problem:  # the parser's own limit, which it reaches first when it looks ahead
        message = TOO_DEEP
    elif "\t" in here[:column] and not here[: column - 1].strip():
        message = "A tab cannot indent: use spaces."
    elif "expected ',' or" in problem or "flow" in (error.context or ""):
        start = error.context_mark.line if error.context_mark else line - 1
        for number, candidate in enumerate(lines[start:line], start + 1):
            if bare := _BARE_REFERENCE.search(candidate):
                at = Position(number, bare.start() + 1)
                return at, "Inside {…} and […] a reference needs quotes.", f'"{bare.group()}"'
        message += " A bracket or brace that was opened is not closed, or a comma is missing."
    elif "mapping values are not allowed" in problem:
        message = "This colon starts a value where none can stand: check the indentation, or quote the text."
    elif "cannot start any token" in problem:
        message += " Quote the text."
    elif "expected key" in problem or "block end" in problem:
        message += " Check that this line is indented like its neighbours."
    return Position(line, column), message, None


class Section(BaseModel):
    """A mapping of known names. A name without a value (`chat:` above comments only) means the default."""

    # `defer_build`: pydantic builds the model when it is first used, not at each start.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)
    forgives_empty: ClassVar[bool] = False
    """Whether an unknown name without a value is accepted."""

    @model_validator(mode="before")
    @classmethod
    def _read_nothing_as_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return {} if data is None else data
        known = data if cls.forgives_empty else cls.model_fields
        return {key: value for key, value in data.items() if value is not None or key not in known}


class ConfigSection(Section):
    """A mapping of settings: numbers and booleans read `yes`, `no`, `on` and `off` as YAML 1.1 does, off being 0."""

    model_config = ConfigDict(allow_inf_nan=True)
    forgives_empty: ClassVar[bool] = True

    @model_validator(mode="before")
    @classmethod
    def _read_switches(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        numbers = {name for name, field in cls.model_fields.items() if field.annotation in (bool, int, float)}
        switches = {key: value.lower() for key, value in data.items() if key in numbers and isinstance(value, str)}
        return data | {key: _SWITCHES[word] for key, word in switches.items() if word in _SWITCHES}


def check_http_address(example: str) -> AfterValidator:
    """A validator for `Annotated[str, …]`: an http or https address without a query; a slash at its end is removed."""

    def check(value: str) -> str:
        if not _HTTP.match(value):
            raise ValueError(f"must look like {example}")
        return value.rstrip("/")

    return AfterValidator(check)


def check_pattern(pattern: str, says: str) -> AfterValidator:
    """A validator for `Annotated[str, …]`: a text that matches; `says` is the message for one that does not."""

    def check(value: str) -> str:
        if not re.search(pattern, value):
            raise ValueError(says)
        return value

    return AfterValidator(check)


def make_lighter(color: str) -> str:
    """The colour half way to white, for links on a dark page, where a button's colour is too dark to read."""
    parts = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{(part + 255) // 2:02x}" for part in parts)


def write_link_color(color: str) -> str:
    """A CSS value: the colour itself on a light page, its lighter shade on a dark one."""
    return f"light-dark({color}, {make_lighter(color)})"
