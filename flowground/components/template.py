"""Templates: text with `{variables}`. No expressions: a value is put in as it is, and never looked at again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

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
        """The text; raises KeyError for a variable without a value."""
        return "".join(part if isinstance(part, str) else values[part.name] for part in self.parts)


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
