"""Templates: text with `{variables}`. No expressions: a value is put in as it is, and never looked at again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flowground.errors import RunError

LONGEST = 10_000_000
"""Characters of what a template makes: it may come with a request, and a small one could ask for all memory."""
_PART = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """`{name}`; `offset` is where it stands in its template."""

    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Template:
    """A template in parts, made once and filled often."""

    source: str
    parts: tuple[str | Variable, ...]

    @property
    def variables(self) -> tuple[Variable, ...]:
        """Each variable once, where it stands first."""
        first: dict[str, Variable] = {}
        for part in self.parts:
            if isinstance(part, Variable):
                first.setdefault(part.name, part)
        return tuple(first.values())

    def fill(self, values: Mapping[str, str]) -> str:
        """The text. Raises KeyError for a variable without a value, RunError when it would be over `LONGEST`."""
        parts = [part if isinstance(part, str) else values[part.name] for part in self.parts]
        check_length(sum(map(len, parts)))
        return "".join(parts)


def check_length(characters: int) -> None:
    """Raises RunError when a text made of templates would be over `LONGEST`."""
    if characters > LONGEST:
        raise RunError(f"The template makes a text of over {LONGEST:,} characters.")


def parse_template(source: str) -> Template:
    """`{name}` is a variable, `{{` and `}}` stand for single braces; others (JSON in a prompt) stay as they are."""
    parts: list[str | Variable] = []
    plain, end = "", 0
    for found in _PART.finditer(source):
        plain += source[end : found.start()]
        end = found.end()
        if found[1] is None:
            plain += found[0][0]
            continue
        if plain:
            parts.append(plain)
        parts.append(Variable(found[1], found.start()))
        plain = ""
    plain += source[end:]
    if plain:
        parts.append(plain)
    return Template(source, tuple(parts))
