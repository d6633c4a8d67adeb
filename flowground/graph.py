"""References between components: reading them, filling them, the order they give, and the circles they may not make."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}\n]*)\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """`${component}` or `${component.output}`; `offset` is where it stands in its text."""

    component: str
    output: str | None = None
    offset: int = 0

    def __str__(self) -> str:
        return f"${{{self.component}.{self.output}}}" if self.output is not None else f"${{{self.component}}}"


@dataclass(frozen=True, slots=True)
class Text:
    """A text with references in it. In a template what is filled in has its braces doubled: it holds no variables."""

    parts: tuple[str | Reference, ...]
    template: bool = False

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def source(self) -> str | None:
        """The component whose text this is, when it is exactly one reference."""
        (first, *rest) = self.parts
        return first.component if isinstance(first, Reference) and not rest else None

    def fill(self, values: Mapping[str, str]) -> str:
        """The text with each reference replaced by its component's value."""
        if len(self.parts) == 1 and not self.template:
            (part,) = self.parts
            return part if isinstance(part, str) else values[part.component]
        return "".join(part if isinstance(part, str) else self._filled(values[part.component]) for part in self.parts)

    def _filled(self, value: str) -> str:
        return value.replace("{", "{{").replace("}", "}}") if self.template else value


def parse_text(value: str) -> Text | None:
    """The parts of a text with references; None when it holds none. `$${` stands for `${` and begins no reference.

    A text with nothing but such escapes comes back as one plain part. What stands in `${…}` is not checked here.
    """
    if "${" not in value:
        return None
    parts: list[str | Reference] = []
    plain, end = "", 0
    for found in _REFERENCE.finditer(value):
        plain += value[end : found.start()]
        end = found.end()
        if found[1] is None:
            plain += "${"
            continue
        if plain:
            parts.append(plain)
        component, dot, output = found[1].strip().partition(".")
        parts.append(Reference(component, output if dot else None, found.start()))
        plain = ""
    plain += value[end:]
    if plain:
        parts.append(plain)
    return Text(tuple(parts)) if end else None


def run_order(waits_for: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names in an order where each comes after all it waits for; the mapping's order among equals.

    Names in a circle, and those that wait for one, are left out.
    """
    left = {name: set(needed) for name, needed in waits_for.items()}
    order: list[str] = []
    done: set[str] = set()
    while ready := next((name for name, needed in left.items() if needed <= done), None):
        del left[ready]
        order.append(ready)
        done.add(ready)
    return tuple(order)


def cycles(waits_for: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Circles of names that wait for each other: each begins with its first name in the mapping's order.

    Every name in a circle stands in at least one of them; the list is empty when `run_order` is complete.
    """
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for name in waits_for:
        if name not in seen and (circle := _way_back(waits_for, name)):
            found.append(circle)
            seen.update(circle)
    return found


def _way_back(waits_for: Mapping[str, Iterable[str]], start: str) -> tuple[str, ...] | None:
    """The shortest way from `start` to itself."""
    ways: list[tuple[str, ...]] = [(start,)]
    visited: set[str] = set()
    for way in ways:  # grows while it is read
        for name in waits_for.get(way[-1], ()):
            if name == start:
                return way
            if name not in visited:
                visited.add(name)
                ways.append((*way, name))
    return None
