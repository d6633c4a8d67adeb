"""Who may set a field, and what may fill it, are marked apart."""

from collections.abc import Mapping
from typing import ClassVar

from flowground.components.base import Component, declare
from flowground.core.values import ValueKind
from flowground.flows.fields import list_types


class Split(Component):
    """A key, a name that callers may set and no reference, a text that a reference may fill and no caller."""

    type_name: ClassVar[str] = "Split"
    title: ClassVar[str] = "Split"
    outputs: ClassVar[Mapping[str, ValueKind]] = {"text": "text"}
    key: str = declare("", "Key", "A key.", secret=True)
    name: str = declare("", "Name", "A name.", literal=True)
    text: str = declare("", "Text", "A text.", protected=True)


def test_what_a_reference_fills_and_what_a_caller_sets_are_marked_apart() -> None:
    marks = {field.name: (field.takes_references, field.callers_may_set) for field in list_types(Split).values()}
    assert marks == {"key": (False, False), "name": (False, True), "text": (True, False)}
