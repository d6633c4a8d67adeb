"""References between components: parsing, filling, the order that they imply, and circles, which are mistakes."""

import graphlib
import heapq
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from flowground.components.base import Component
from flowground.core.values import check_length
from flowground.core.yaml_file import Problems
from flowground.flows.flow import Flow

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}\n]*)\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """`${component}` or `${component.output}`, optional with `?` at its end; `offset` is its position in the text."""

    component: str
    output: str | None = None
    offset: int = 0
    is_optional: bool = False

    def __str__(self) -> str:
        port = f".{self.output}" if self.output is not None else ""
        return f"${{{self.component}{port}{'?' if self.is_optional else ''}}}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text with references in it.

    In a template, values that are filled in get their braces doubled, so that they hold no variables. In a URL they are
    percent-encoded, so that they cannot change its structure.
    """

    parts: tuple[str | Reference, ...]
    is_template: bool = False
    is_url: bool = False

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def sources(self) -> tuple[Reference, ...]:
        """The references of a text that is one whole reference, or a join; else none.

        A join is made of optional references only: it stands for those of them that have a value, in order.
        """
        found = self.references
        if len(found) < len(self.parts) or (len(found) > 1 and not all(part.is_optional for part in found)):
            return ()
        return found

    def fill(self, read: Callable[[Reference], str]) -> str:
        """The text with each reference replaced by the result of `read`. Raises RunError when the result is too
        long."""
        if len(self.parts) == 1 and (self.is_url or not self.is_template):
            (part,) = self.parts
            return part if isinstance(part, str) else read(part)
        parts = [part if isinstance(part, str) else self._escape(read(part)) for part in self.parts]
        check_length(sum(map(len, parts)))
        return "".join(parts)

    def _escape(self, value: str) -> str:
        if self.is_url:
            return quote(value, safe="")
        return value.replace("{", "{{").replace("}", "}}") if self.is_template else value


@dataclass(frozen=True, slots=True)
class FlowParts:
    """A flow that is being wired.

    `kinds` are the types of its components, without unknown ones, `components` those without mistakes; `connections`
    maps a component and a field to the text with references that fills it.
    """

    flow: Flow
    kinds: Mapping[str, type[Component]]
    components: Mapping[str, Component]
    connections: Mapping[str, Mapping[str, Text]]
    problems: Problems


def parse_text(value: str, *, is_template: bool = False, is_url: bool = False) -> Text | None:
    """The parts of a text with references; None when it holds none. `$${` stands for `${` and begins no reference.

    A text with such escapes only comes back as one plain part; in a template the brace stays escaped, so that no
    variable begins there. The content of `${…}` is not checked here.
    """
    if "${" not in value:
        return None
    parts: list[str | Reference] = []
    plain, end = "", 0
    for found in _REFERENCE.finditer(value):
        plain += value[end : found.start()]
        end = found.end()
        if found[1] is None:
            plain += "${{" if is_template else "${"
            continue
        if plain:
            parts.append(plain)
        parts.append(_read_reference(found[1].strip(), found.start()))
        plain = ""
    plain += value[end:]
    if plain:
        parts.append(plain)
    return Text(tuple(parts), is_template, is_url) if end else None


def run_order(waits_for: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names in an order where each comes after all it waits for; among equals in the mapping's order.

    Names in a circle, and those that wait for one, are left out.
    """
    names, sorter = tuple(waits_for), graphlib.TopologicalSorter(waits_for)
    place = {name: index for index, name in enumerate(names)}
    with suppress(graphlib.CycleError):  # the others are given all the same
        sorter.prepare()
    ready: list[int] = []
    order: list[str] = []
    while sorter.is_active():
        for name in sorter.get_ready():
            heapq.heappush(ready, place[name])
        order.append(names[heapq.heappop(ready)])
        sorter.done(order[-1])
    return tuple(order)


def find_circle(waits_for: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names of which each waits for the next and the last for the first, the first one as early in the mapping as can
    be; empty where there is no such circle."""
    try:
        graphlib.TopologicalSorter(waits_for).prepare()
    except graphlib.CycleError as error:
        circle = list(error.args[1][:0:-1])
        first = circle.index(min(circle, key=list(waits_for).index))
        return (*circle[first:], *circle[:first])
    return ()


def _read_reference(text: str, offset: int) -> Reference:
    component, dot, output = text.removesuffix("?").partition(".")
    return Reference(component, output if dot else None, offset, text.endswith("?"))
