"""How names, values and kinds of values are said to people: in mistakes of files, in refused tweaks, in the docs."""

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
"""What is Markdown's own in a text, and what of it is kept."""
_ACCENTS = re.compile("[\u0300-\u036f]+")
_SHOWN = 60
_NAMED = 20
_COMPARED = 50
"""Comparing two words costs some 20 µs, and a request may hold twenty wrong ones."""
_FORMATS = {"path": "a path", "password": "a secret", "color-hex": 'a colour in quotes, like "#4f46e5"'}
_PLAIN = {"string": "text", "boolean": "true or false", "null": "nothing", "object": "a mapping"}


def round_seconds(value: float) -> str:
    """For what is guessed. 0.2 → "1 s", 6.2 → "6 s", 75 → "2 min", 4000 → "67 min"."""
    return f"{max(1, round(value))} s" if value < 59.5 else f"{math.ceil(value / 60)} min"


def find_nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, ignoring case, or None when nothing is close.

    Of more than 50 choices those that begin like it and are about as long are looked at, and 50 of them at most.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    if len(by_lower) > _COMPARED:
        begin, size = word[:1].lower(), len(word)
        close = (item for item in by_lower.items() if item[0][:1] == begin and abs(len(item[0]) - size) <= 3)
        by_lower = dict(itertools.islice(close, _COMPARED))
    found = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def suggest(word: str, choices: Iterable[str], *, otherwise: str = "") -> str:
    """What ends a sentence that refuses `word`: the choice most like it, if one is close."""
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
    """As much of a value as can be shown; `left` holds the characters that there is room for, each value takes one."""
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
    """A text that can be shown and sent: at most so many characters, and none that is no character.

    Where it is cut, the "…" follows a word or a part of one, no blank.
    """
    short = text if len(text) <= most else text[: most - 1].rstrip() + "…"
    return short.encode("utf-8", "backslashreplace").decode("utf-8")


def end_sentence(text: str) -> str:
    """What somebody else said, with a full stop where it has no end."""
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def fold(text: str) -> str:
    """The text as it is compared: small letters, without accents; "Größe" and "GROSSE" are alike."""
    if text.isascii():
        return text.lower()
    parts = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return parts if parts.isascii() else "".join(part for part in parts if not unicodedata.combining(part))


def has_words(text: str, wanted: Iterable[str]) -> bool:
    """Whether each of these words, which are folded, stands somewhere in the text."""
    folded = fold(text)
    return all(word in folded for word in wanted)


def strip_markdown(text: str) -> str:
    """The words of a short text in Markdown: without emphasis, headings, bullets, fences and addresses of links."""
    if not _MARKS.search(text):
        return text
    for pattern, kept in _MARKDOWN:
        text = pattern.sub(kept, text)
    return text


def count(number: int, one: str, many: str | None = None) -> str:
    """ "1 run", "1,204 runs"; `many` where that is more than an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def read_name(text: str, *, most: int) -> str | None:
    """A name that a person gave, its blanks single. None where it is empty, longer than `most`, or not printable."""
    name = " ".join(text.split())
    return name if 0 < len(name) <= most and name.isprintable() else None


def list_names(names: Iterable[str]) -> str:
    """Names with commas between them; of many the first twenty."""
    known = list(itertools.islice(names, _NAMED + 1))
    return ", ".join(known) if len(known) <= _NAMED else ", ".join(known[:_NAMED]) + ", …"


def join_words(words: Iterable[str], last: str) -> str:
    """`a, b and c`, with `last` for the "and"."""
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


def _write_range(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {_write_number(low)} to {_write_number(high)}"
    limits = (("of at least", low), ("above", above), ("of at most", high), ("below", below))
    said = " and ".join(f"{word} {_write_number(limit)}" for word, limit in limits if limit is not None)
    return f" {said}" if said else ""


def _write_number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"


def write_size(size: int) -> str:
    """Bytes in the unit a person would take, powers of 1000."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{max(1, size // 1000)} kB"
