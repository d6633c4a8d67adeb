"""How far a field may go: the tighter of what its model and the flow's author say."""

import math

from flowground.components.facts import Facts
from flowground.flow import Overridable
from flowground.flow.words import Schema

_FINE, _COARSE = 0.01, 0.1


def bounds_of(facts: Facts, entry: Overridable | None) -> tuple[float | None, float | None]:
    """The least and the greatest value that will be taken; whole numbers for a whole field."""
    if not facts.number:
        return None, None
    numbers = [part for part in _parts(facts.schema) if part.get("type") in ("number", "integer")]
    least = 1 if facts.whole else _FINE
    lows = [part["minimum"] for part in numbers if "minimum" in part]
    lows += [part["exclusiveMinimum"] + least for part in numbers if "exclusiveMinimum" in part]
    highs = [part["maximum"] for part in numbers if "maximum" in part]
    highs += [part["exclusiveMaximum"] - least for part in numbers if "exclusiveMaximum" in part]
    if entry is not None:
        lows += [] if entry.min is None else [entry.min]
        highs += [] if entry.max is None else [entry.max]
    low, high = max(lows, default=None), min(highs, default=None)
    if facts.whole:
        return None if low is None else math.ceil(low), None if high is None else math.floor(high)
    return None if low is None else float(low), None if high is None else float(high)


def choices_of(facts: Facts, entry: Overridable | None) -> tuple[str | float | bool, ...] | None:
    """The values to choose from, in the author's order; None where anything in bounds will do."""
    found: list[tuple[str | float | bool, ...]] = []
    if entry is not None and entry.choices is not None:
        found.append(entry.choices)
    for part in _parts(facts.schema):
        if "enum" in part or "const" in part:
            found.append(tuple(part.get("enum", (part.get("const"),))))
    if not found:
        return None
    first, *others = found
    low, high = bounds_of(facts, entry)
    return tuple(
        int(choice) if facts.whole else choice
        for choice in first
        if all(choice in other for other in others) and _between(choice, low, high)
    )


def step_of(facts: Facts, low: float | None, high: float | None) -> float | None:
    """How far one press of an arrow goes; None for what is no number."""
    if not facts.number or facts.whole:
        return 1 if facts.number else None
    return _FINE if low is not None and high is not None and high - low <= 2 else _COARSE


def _between(choice: str | float | bool, low: float | None, high: float | None) -> bool:
    if low is None and high is None:
        return True
    return isinstance(choice, int | float) and (low is None or choice >= low) and (high is None or choice <= high)


def _parts(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf", [schema]))
