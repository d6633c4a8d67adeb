"""What is wrong with a text that is no YAML, said so that its author can mend it."""

import re

import yaml

from flowground.flow.document import TOO_DEEP

_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A plain `${Name}` inside {…} or […], where YAML takes its brace for a mapping.
_BARE_REFERENCE = re.compile(r"""(?<!["'$])\$\{[^{}\n]*\}""")


def unprintable(text: str) -> tuple[int, int, str] | None:
    """Line, column and sentence of the first character that YAML does not allow."""
    found = _UNPRINTABLE.search(text)
    if found is None:
        return None
    before = text[: found.start()]
    line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
    code = f"U+{ord(found.group()):04X}"
    return line, column, f'The character {code} cannot stand in a file; in double quotes "\\u{code[2:]}" stands for it.'


def syntax_problem(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str, str | None]:
    """Line, column, sentence and, where it can be told, the right words of a syntax error."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    said = error.problem or error.context or "this is no YAML"
    if "maximum nesting" in said:  # the parser's own limit, which it meets while looking ahead
        return line, column, TOO_DEEP, None
    if "\t" in here[:column] and not here[: column - 1].strip():
        return line, column, "A tab cannot indent: use spaces.", None
    if "expected ',' or" in said or "flow" in (error.context or ""):
        start = error.context_mark.line if error.context_mark else line - 1
        for number, candidate in enumerate(lines[start:line], start + 1):
            if bare := _BARE_REFERENCE.search(candidate):
                message = "Inside {…} and […] a reference needs quotes."
                return number, bare.start() + 1, message, f'"{bare.group()}"'
        return (
            line,
            column,
            f"{_sentence(said)} A bracket or brace that was opened is not closed, or a comma is missing.",
            None,
        )
    if "mapping values are not allowed" in said:
        return (
            line,
            column,
            "This colon starts a value where none can stand: check the indentation, or quote the text.",
            None,
        )
    if "cannot start any token" in said:
        return line, column, f"{_sentence(said)} Quote the text.", None
    if "expected key" in said or "block end" in said:
        return line, column, f"{_sentence(said)} Check that this line is indented like its neighbours.", None
    return line, column, _sentence(said), None


def _sentence(said: str) -> str:
    return f"YAML: {said}."
