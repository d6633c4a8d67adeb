"""Values as literals of a language, quoted by that language's own rules; templates whose gaps take them; and where the
token of a snippet comes from: the environment, or the code itself.

What cannot be seen (control characters, U+2028, right-to-left overrides) is written as an escape in all of them, so
that the code on the screen is the code that runs.
"""

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

VARIABLE = "FLOWGROUND_API_KEY"
PLACEHOLDER = "YOUR_TOKEN"
NO_TOKEN = f"Set the environment variable {VARIABLE} to an application token."

Shell = Literal["bash", "powershell"]
"""`bash` stands for zsh, fish and sh too."""

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_EXACT_IN_JAVASCRIPT = 2**53


@dataclass(frozen=True, slots=True)
class Name:
    """A variable of the script, in the place of a value."""

    name: str


@dataclass(frozen=True, slots=True)
class Style:
    """How a language writes scalars, keys, indentation, the comma after the last item, and braces on one line."""

    scalar: Callable[[Any], str]
    key: Callable[[str], str]
    indent: str
    last_comma: str
    room: str = ""


def write_literal(value: Any, style: Style, *, depth: int = 0) -> str:
    """A JSON value, one item a line, as it continues a line that is indented `depth` times."""
    if isinstance(value, Name):
        return value.name
    if not value or not isinstance(value, dict | list):
        return str(value) if value in ([], {}) else style.scalar(value)
    inner = style.indent * (depth + 1)
    if isinstance(value, dict):
        begin, end = "{}"
        items = [f"{style.key(key)}: {write_literal(item, style, depth=depth + 1)}" for key, item in value.items()]
    else:
        begin, end = "[]"
        items = [write_literal(item, style, depth=depth + 1) for item in value]
    lines = f",\n{inner}".join(items)
    return f"{begin}\n{inner}{lines}{style.last_comma}\n{style.indent * depth}{end}"


def write_short_literal(value: dict[str, Any], style: Style) -> str:
    """An object on one line where it holds one scalar, else as `write_literal` writes it."""
    [*keys] = value
    if len(keys) != 1 or isinstance(value[keys[0]], dict | list):
        return write_literal(value, style)
    return f"{{{style.room}{style.key(keys[0])}: {write_literal(value[keys[0]], style)}{style.room}}}"


def fill(template: str, **values: str) -> str:
    """The template with each `«name»` replaced; what a value holds is never read again."""
    return re.sub(r"«(\w+)»", lambda gap: values[gap[1]], template)


def write_export_line(token: str | None = None, *, shell: Shell = "bash") -> str:
    """The line to run before the code; without a token, with a word in its place."""
    value = token or PLACEHOLDER
    if shell == "powershell":
        return f"$env:{VARIABLE} = {quote_powershell(value)}"
    return f"export {VARIABLE}={shlex.quote(value)}"


def quote_powershell(text: str) -> str:
    """A literal in single quotes. PowerShell takes typographic single quotes for plain ones: all are doubled."""
    return "'" + "".join(character * 2 if character in "'‘’‚‛" else character for character in text) + "'"


def write_python_scalar(value: Any) -> str:
    """`repr`, in double quotes where both kinds need no escape."""
    said = repr(value)
    return f'"{said[1:-1]}"' if isinstance(value, str) and said[0] == "'" and '"' not in said else said


def write_json_scalar(value: Any) -> str:
    return "".join(map(_escape_unseen, json.dumps(value, ensure_ascii=False)))


def write_javascript_scalar(value: Any) -> str:
    """JSON, made safe inside a `<script>` element. An integer that a JavaScript number would round becomes a string,
    which the API reads as a number."""
    if isinstance(value, int) and abs(value) > _EXACT_IN_JAVASCRIPT:
        value = str(value)
    return re.sub(r"<(?=[/!]|script)", r"\\u003C", write_json_scalar(value), flags=re.IGNORECASE)


def _write_javascript_key(key: str) -> str:
    if key == "__proto__":
        return '["__proto__"]'
    return key if _IDENTIFIER.fullmatch(key) else write_javascript_scalar(key)


def _escape_unseen(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


PYTHON = Style(write_python_scalar, write_python_scalar, "    ", ",")
JAVASCRIPT = Style(write_javascript_scalar, _write_javascript_key, "  ", ",", room=" ")
JSON = Style(write_json_scalar, write_json_scalar, "  ", "")
ASCII_JSON = Style(json.dumps, json.dumps, "  ", "")
