"""Values that flow between components, of four kinds, and their conversions.

| kind | what | in Python |
| --- | --- | --- |
| `text` | a string | `str` |
| `data` | any JSON | what `json.loads` returns |
| `records` | a list of JSON objects; by convention with `text`, `source`, `score`, `page` | a sequence of mappings |
| `files` | references to stored files, never paths | a sequence of `FileReference` |

Nobody changes a value after it was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from msgspec import Struct

from flowground.core.errors import RunError
from flowground.core.messages import join_surrogates
from flowground.core.words import show

ValueKind = Literal["text", "data", "records", "files"]
KINDS: tuple[ValueKind, ...] = get_args(ValueKind)
Value = Any
"""A value of some kind; a component's port says which."""
Record = Mapping[str, Any]
LONGEST = 3_000_000
"""Most bytes of one value, most characters of a text: otherwise a small request could ask for all memory."""
LONGEST_ANSWER = 500_000
"""Most characters of an answer of a model or an output: models write less, and each answer is kept in memory."""
MOST_RECORDS = 20_000
"""Most records of one value: they are handled one by one, and nothing else runs meanwhile."""
MOST_LEVELS = 200
"""Most levels of nested lists and objects in what people send or models write: it is encoded again later, by encoders
that reach some 250 or 900 levels."""
_MISMATCHES: Mapping[tuple[ValueKind, ValueKind], str] = {
    ("text", "data"): "text becomes data only by a component that says so",
    ("text", "records"): "text becomes records only by a component that says so",
    ("text", "files"): "text is no file",
    ("data", "files"): "data is no file",
    ("records", "files"): "records are no files",
    ("files", "data"): "a File component reads files",
    ("files", "records"): "a File component reads files",
}
"""Kinds that cannot become one another, with the reason."""


@dataclass(frozen=True, slots=True)
class FileReference:
    """A stored file. `size` is in bytes, `sha256` in hexadecimal digits."""

    id: str
    name: str
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PastMessage:
    """One message of a conversation, as a later run reads it.

    `files` were sent with it and still exist; `gone` are the names of deleted ones. `sender_name` is "" where the role
    says who wrote it. `at` is in seconds since 1970.
    """

    role: Literal["user", "assistant"]
    text: str
    files: tuple[FileReference, ...] = ()
    gone: tuple[str, ...] = ()
    sender_name: str = ""
    at: float = field(default=0, compare=False)


class AddedMessage(Struct, frozen=True, array_like=True):
    """A message that a run adds to its conversation, beside its answers; `sender` in Langflow's words."""

    text: str
    sender: Literal["Machine", "User"]
    sender_name: str


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a message that is about to be stored. `kept` is the id of the stored row: the row moves into the
    message where both have the same id, and is copied otherwise."""

    reference: FileReference
    kept: str


def explain_mismatch(source: ValueKind, target: ValueKind) -> str | None:
    """Why a value of one kind cannot stand where the other is wanted; None where it can."""
    return _MISMATCHES.get((source, target))


def convert(value: Value, source: ValueKind, target: ValueKind) -> Value:
    """The value as another kind. Raises RunError where the value cannot be converted."""
    if source == target or (source, target) == ("records", "data"):
        return value
    if target == "text":
        return write_text(value, source)
    if (source, target) == ("data", "records"):
        return _read_records(value)
    raise RunError(f"A value of kind {source} stands where {target} are wanted: {_MISMATCHES[source, target]}.")


def write_text(value: Value, kind: ValueKind) -> str:
    """Any value as text, as it appears inside a longer text."""
    if kind == "text":
        return str(value)
    match kind:
        case "data":
            return _write_data(value)
        case "records":
            return "\n\n".join(_write_record(record) for record in value)
        case "files":
            return ", ".join(file.name for file in value)


def check_size(value: Value, kind: ValueKind, *, most: int = LONGEST) -> None:
    """Raises RunError where a value has too many bytes or records, or a text too many characters."""
    if kind == "text":
        if len(value) > most:
            raise RunError(f"The component makes a text of over {most:,} characters.")
        return
    if kind == "records":
        _check_count(value)
    if kind != "files" and measure(value) > most:
        raise RunError(f"The component makes a value of over {most:,} bytes.")


def measure(value: Value) -> int:
    """The bytes of data or records as compact JSON."""
    return len(_encode(value))


def has_too_many_levels(value: Any) -> bool:
    """Whether lists and objects are nested in more than `MOST_LEVELS` levels. Visits each value once."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        opened = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [inner for part in opened for inner in part]
        if not level:
            return False
    return True


def check_length(characters: int) -> None:
    """Raises RunError when a text made of others would have more than `LONGEST` characters."""
    if characters > LONGEST:
        raise RunError(f"The flow makes a text of over {LONGEST:,} characters.")


def _write_data(value: Value) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode()


def _write_record(record: Record) -> str:
    text = record.get("text")
    return text if isinstance(text, str) else _encode(record).decode()


def _encode(value: Value) -> bytes:
    """Compact JSON. Raises RunError for a value that JSON cannot hold."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        if "surrogates" in str(error):
            return orjson.dumps(_join_surrogates(value))
        raise RunError(f"The component makes a value that is no JSON: {error}.") from None


def _join_surrogates(value: Value) -> Value:
    if isinstance(value, str):
        return join_surrogates(value)
    if isinstance(value, Mapping):
        return {join_surrogates(key): _join_surrogates(inner) for key, inner in value.items()}
    return [_join_surrogates(inner) for inner in value] if isinstance(value, Sequence) else value


def _check_count(records: Sequence[object]) -> None:
    if len(records) > MOST_RECORDS:
        raise RunError(f"There are more than {MOST_RECORDS:,} records.")


def _read_records(value: Value) -> Sequence[Record]:
    if isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in value):
        _check_count(value)
        return value
    raise RunError(f"A list of objects is wanted here, not {show(value)}.")


def is_blank(value: Any) -> bool:
    """Whether a field with this value is empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def find_zone(name: str) -> ZoneInfo | None:
    """The time zone of that name; None for an unknown name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
