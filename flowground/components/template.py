"""Templates: text with `{variables}`. No expressions: a value is put in as it is, and never looked at again."""

import itertools
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from flowground.components.base import Mistake
from flowground.values import Record, check_length, write_text
from flowground.words import list_names

LONGEST_TEMPLATE = 256_000
"""Characters of a template itself."""
MOST_VARIABLES = 1_000
"""Places in one template where a variable stands; one that stands twice counts twice."""
_VARIABLE = re.compile(r"(?<!\{)(?:\{\{)*(\{([^\W\d]\w*)\})")
"""A name in braces after no brace or an even number of them: each two before it are one plain brace."""


@dataclass(frozen=True, slots=True)
class Variable:
    """`{name}`; `offset` is where it stands in its template."""

    name: str
    offset: int

    @property
    def plain(self) -> str:
        """How it stands in its template."""
        return f"{{{self.name}}}"

    def is_meant(self, values: Container[str]) -> bool:
        """Whether it is a variable, and no plain text in braces."""
        return self.name in values or self.name.isascii()


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

    @property
    def names(self) -> tuple[str, ...]:
        """The variables' names, each once."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Variable)))

    def renew(self, source: str) -> "Template":
        """This template, or the one of a text that was filled for a run."""
        return self if self.source is source else parse_template(source)

    def fill(self, values: Mapping[str, str]) -> str:
        """The text. Raises KeyError for a variable without a value, RunError when it would be over `LONGEST`.

        One with letters beyond ASCII stays as it is where it has none: such names came later, and older templates have
        them in plain braces.
        """
        parts = [
            part if isinstance(part, str) else values[part.name] if part.is_meant(values) else part.plain
            for part in self.parts
        ]
        check_length(sum(map(len, parts)))
        return "".join(parts)


def parse_template(source: str) -> Template:
    """`{name}` is a variable, `{{` and `}}` stand for single braces; others (JSON in a prompt) stay as they are.

    After `MOST_VARIABLES` and one more the rest is left as it is: too many are a mistake, told by `find_mistake`.
    """
    parts: list[str | Variable] = []
    end = 0
    for found in itertools.islice(_VARIABLE.finditer(source), MOST_VARIABLES + 1):
        if plain := source[end : found.start(1)]:
            parts.append(_unescape(plain))
        parts.append(Variable(found[2], found.start(1)))
        end = found.end()
    if plain := source[end:]:
        parts.append(_unescape(plain))
    return Template(source, tuple(parts))


def _unescape(plain: str) -> str:
    return plain.replace("{{", "{").replace("}}", "}")


def find_mistake(template: Template, field: str) -> Mistake | None:
    """What is wrong with a template that has too many variables; None where it has not."""
    places = [part for part in template.parts if isinstance(part, Variable)]
    if len(places) <= MOST_VARIABLES:
        return None
    says = f"The template has more than {MOST_VARIABLES:,} variables, repeated ones counted."
    return Mistake(field, says, offset=places[MOST_VARIABLES].offset)


class RecordTemplate:
    """A template that each of some records fills: a name stands for the record's value, and for nothing without one."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._unmet = set(template.names)

    def fill(self, record: Record) -> str:
        """The text. Raises RunError when it would be over `LONGEST`."""
        if self._unmet:
            self._unmet -= record.keys()
        names = self._template.names
        return self._template.fill({name: write_text(record[name], "data") if name in record else "" for name in names})

    def note_unmet(self) -> str:
        """What is likely mistyped, once all records were there: the names that no one of them had; "" for none."""
        if not self._unmet:
            return ""
        names = list_names(f"`{name}`" for name in self._template.names if name in self._unmet)
        return f"No record has {names}: nothing stands there in the template."
