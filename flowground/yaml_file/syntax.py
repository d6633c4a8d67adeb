"""What is wrong with a text that is no YAML, said so that its author can mend it."""

import re

import yaml

from flowground.yaml_file.document import Position

MAX_DEPTH = 20
"""Levels of lists and mappings inside each other; a flow needs five."""
TOO_DEEP = f"This is nested more than {MAX_DEPTH} levels deep."

_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A plain `${Name}` inside {…} or […], where YAML takes its brace for a mapping.
_BARE_REFERENCE = re.compile(r"""(?<!["'$])\$\{[^{}\n]*\}""")


def find_unprintable(text: str) -> tuple[Position, str] | None:
    """Place and sentence of the first character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    at = Position(text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start()))
    code = f"U+{ord(found.group()):04X}"
    return at, f'The character {code} cannot stand in a file; in double quotes "\\u{code[2:]}" stands for it.'


def explain_syntax(error: yaml.MarkedYAMLError, text: str) -> tuple[Position, str, str | None]:
    """Place, sentence and, where it can be told, the right words of a syntax error."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    said = error.problem or error.context or "this is no YAML"
    message = f"YAML: {said}."
    if "maximum nesting" in said:  # the parser's own limit, which it meets while looking ahead
        message = TOO_DEEP
    elif "\t" in here[:column] and not here[: column - 1].strip():
        message = "A tab cannot indent: use spaces."
    elif "expected ',' or" in said or "flow" in (error.context or ""):
        start = error.context_mark.line if error.context_mark else line - 1
        for number, candidate in enumerate(lines[start:line], start + 1):
            if bare := _BARE_REFERENCE.search(candidate):
                at = Position(number, bare.start() + 1)
                return at, "Inside {…} and […] a reference needs quotes.", f'"{bare.group()}"'
        message += " A bracket or brace that was opened is not closed, or a comma is missing."
    elif "mapping values are not allowed" in said:
        message = "This colon starts a value where none can stand: check the indentation, or quote the text."
    elif "cannot start any token" in said:
        message += " Quote the text."
    elif "expected key" in said or "block end" in said:
        message += " Check that this line is indented like its neighbours."
    return Position(line, column), message, None
