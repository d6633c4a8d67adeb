"""Names, values and kinds of values in words for people: in mistakes of files, refused tweaks and the docs."""

import difflib
import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]
"""A JSON Schema, as pydantic makes it."""
_MARKS = re.compile(r"[*_`#>\[~+-]")
_MARKDOWN = tuple(
    (re.compile(pattern, re.MULTILINE), kept)
    for pattern, kept in (
        (r"^ {0,3}(?:```|~~~).*$", ""),
        (r"^\s{0,3}(?:#{1,6}|>|[*+-])\s+", ""),
        (r"!?\[([^\]\n]*)\]\([^)\s]*\)", r"\1"),
        (r"(\*{1,3}|~~|`+)(?=\S)([^*~`\n]+)(?<=\S)\1", r"\2"),
        (r"(?<!\w)(_{1,2})(?=\S)([^_\n]+)(?<=\S)\1(?!\w)", r"\2"),
    )
)
"""Expressions for Markdown's own characters, and what is kept of each match."""
_ACCENTS = re.compile("[\u0300-\u036f]+")
_SHOWN = 60
"""Most characters of a shown value."""
_NAMED = 20
"""Most names in a list."""
_COMPARED = 50
"""Most choices that are compared with a word: one comparison takes some 20 µs, and a request may hold twenty wrong
words."""
_FORMATS = {"path": "a path", "password": "a secret", "color-hex": 'a colour in quotes, like "#4f46e5"'}
_PLAIN = {"string": "text", "boolean": "true or false", "null": "nothing", "object": "a mapping"}


def round_seconds(value: float) -> str:
    """An estimate in words: 0.2 → "1 s", 6.2 → "6 s", 75 → "2 min", 4000 → "67 min"."""
    return f"{max(1, round(value))} s" if value < 59.5 else f"{math.ceil(value / 60)} min"


def find_nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, ignoring case; None when no choice is close.

    Of more than 50 choices only those with the same first letter and about the same length are compared, 50 at most.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    if len(by_lower) > _COMPARED:
        begin, size = word[:1].lower(), len(word)
        close = (item for item in by_lower.items() if item[0][:1] == begin and abs(len(item[0]) - size) <= 3)
        by_lower = dict(itertools.islice(close, _COMPARED))
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def suggest(word: str, choices: Iterable[str], *, otherwise: str = "") -> str:
    """The end of a sentence that refuses `word`: the nearest choice if there is one, else `otherwise`."""
    nearest = find_nearest(word, choices)
    return f" (did you mean {nearest}?)" if nearest else otherwise


def show(value: Any) -> str:
    """A value as JSON would write it, cut to one short line."""
    begin = _cut_value(value, [_SHOWN])
    try:
        text = json.dumps(begin, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(begin)
    return cut(text)


def _cut_value(value: Any, left: list[int]) -> Any:
    """The beginning of a value, as much as can be shown; `left` counts the characters that still fit, one for each
    value."""
    left[0] -= 1
    if isinstance(value, str):
        return value[: _SHOWN + 1]
    if isinstance(value, dict):
        pairs = itertools.takewhile(lambda _: left[0] >= 0, value.items())
        return {key[: _SHOWN + 1]: _cut_value(inner, left) for key, inner in pairs}
    if isinstance(value, list | tuple):
        return [_cut_value(inner, left) for inner in itertools.takewhile(lambda _: left[0] >= 0, value)]
    return value


def cut(text: str, most: int = _SHOWN) -> str:
    """The text with at most `most` characters, and without characters that cannot be encoded.

    A cut text ends with "…", and never with a blank before it.
    """
    short = text if len(text) <= most else text[: most - 1].rstrip() + "…"
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


def end_sentence(text: str) -> str:
    """Somebody else's text, with a full stop where it has no ending."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def fold(text: str) -> str:
    """The text for comparisons: lower case, without accents; "Größe" and "GROSSE" become equal."""
    if text.isascii():
        return text.lower()
    parts = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return parts if parts.isascii() else "".join(part for part in parts if not unicodedata.combining(part))


def has_words(text: str, wanted: Iterable[str]) -> bool:
    """Whether each of these folded words stands somewhere in the text."""
    folded = fold(text)
    return all(word in folded for word in wanted)


def strip_markdown(text: str) -> str:
    """A short Markdown text without emphasis, headings, bullets, fences and link addresses."""
    if not _MARKS.search(text):
        return text
    for pattern, kept in _MARKDOWN:
        text = pattern.sub(kept, text)
    return text


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: "1 run", "1,204 runs"; `many` is the plural where an s is not enough."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def read_name(text: str, *, most: int) -> str | None:
    """A person's input as a name, its blanks single; None where it is empty, longer than `most`, or not printable."""
    name = " ".join(text.split())
    return name if 0 < len(name) <= most and name.isprintable() else None


def list_names(names: Iterable[str]) -> str:
    """Names with commas between them, the first twenty of many."""
    known = list(itertools.islice(names, _NAMED + 1))
    return ", ".join(known) if len(known) <= _NAMED else ", ".join(known[:_NAMED]) + ", …"


def join_words(words: Iterable[str], last: str) -> str:
    """`a, b and c`, with `last` in place of "and"."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def describe_kind(schema: Schema, defs: Schema | None = None) -> str:
    """What a schema asks for, in words: "a number from 0 to 2", "text", "one of Ascending, Descending"."""
    defs = schema.get("$defs", {}) if defs is None else defs
    if "$ref" in schema:
        return describe_kind(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        kinds = [describe_kind(part, defs) for part in schema["anyOf"] if part.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        choices = schema.get("enum", [schema.get("const")])
        return "one of " + ", ".join(choice if isinstance(choice, str) else show(choice) for choice in choices)
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return ("a number" if kind == "number" else "a whole number") + _write_range(schema)
    if kind == "array":
        return f"a list ({describe_kind(schema['items'], defs)} each)" if schema.get("items") else "a list"
    return _FORMATS.get(schema.get("format", "")) or _PLAIN.get(str(kind), "a value")


def find_schema(whole: Schema, path: Iterable[str | int]) -> Schema:
    """The part of a JSON Schema that describes the value at `path`, null aside; an empty one where there is none."""
    defs = whole.get("$defs", {})
    schema = _resolve(whole, defs)
    for part in path:
        inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        inner = inner or schema.get("additionalProperties")  # a mapping with free names
        schema = _resolve(inner if isinstance(inner, dict) else {}, defs)
    return schema


def _resolve(schema: Schema, defs: Schema) -> Schema:
    if "anyOf" in schema:
        schema = next((part for part in schema["anyOf"] if part.get("type") != "null"), schema)
    found: Schema = defs[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found


def _write_range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_write_number(low)} to {_write_number(high)}"
    limits = (("of at least", low), ("above", above), ("of at most", high), ("below", below))
    bounds = " and ".join(f"{word} {_write_number(limit)}" for word, limit in limits if limit is not None)
    return f" {bounds}" if bounds else ""


def _write_number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def write_size(size: float) -> str:
    """A size in bytes with a fitting unit, in powers of 1000: 0 kB, 1.2 kB, 10.2 MB."""
    unit, power = ("GB", 1e9) if size >= 1e9 else ("MB", 1e6) if size >= 1e6 else ("kB", 1e3)
    return f"{size / power:.1f}".removesuffix(".0") + f" {unit}"
