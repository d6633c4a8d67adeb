"""The components of a flow file: an id, a type, and fields that are kept raw."""

import re

from flowground.errors import nearest
from flowground.flow.document import Document, Node, Place, Position
from flowground.flow.format import ComponentSpec, Header
from flowground.flow.words import show

MOST_COMPONENTS = 500
"""A run steps through all of them on the event loop."""
COMPONENT_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


def read_components(document: Document) -> dict[str, ComponentSpec]:
    """By id, in the file's order, without those that are none; notes what is wrong."""
    assert document.root is not None  # noqa: S101 - the caller looked
    node: Node | None = document.root.value.get("components")
    if node is None or node.value is None or node.value == {}:
        place = document.place(("components",)) if node else None
        position = place.key if place else document.root.position
        # A misspelt `components` is told already, as an unknown word of the flow.
        unknown = [key for key in document.root.value if key not in Header.model_fields]
        if node is not None or nearest("components", unknown) is None:
            document.problem(position, "A flow has `components:`, at least an output; there are none.")
        return {}
    if not isinstance(node.value, dict):
        document.problem(node.position, "`components` is a mapping: `Name: {type: …}`.", value=node.plain())
        return {}
    if len(node.value) > MOST_COMPONENTS:
        name = list(node.value)[MOST_COMPONENTS]
        document.problem(node.keys[name], f"A flow has at most {MOST_COMPONENTS} components.", value=name)
        return {}
    specs = (_component(document, name, inner, node.keys[name]) for name, inner in node.value.items())
    return {spec.id: spec for spec in specs if spec is not None}


def _component(document: Document, name: str, node: Node, at: Position) -> ComponentSpec | None:
    if not COMPONENT_ID.fullmatch(name):
        rule = "letters, digits, `_` and `-`, up to 64 of them, beginning with a letter"
        legal = re.sub(r"[^A-Za-z0-9_-]+", "", name)
        document.problem(
            at,
            f"{show(name)} cannot be a component's id: it is {rule}.",
            value=name,
            suggestion=legal if COMPONENT_ID.fullmatch(legal) else None,
        )
    if not isinstance(node.value, dict):
        document.problem(node.position, f"The component `{name}` is a mapping: `{{type: …}}`.", value=node.plain())
        return None
    fields = node.plain()
    kind, shown = fields.pop("type", None), fields.pop("display_name", None)
    for key, given in (("type", kind), ("display_name", shown)):
        if not isinstance(given, str) and key in node.value:
            message = f"`{key}` of `{name}` is text, not {show(given)}."
            document.problem(node.value[key].position, message, value=given)
    if "type" not in node.value:
        word = nearest("type", fields)
        document.problem(
            node.keys[word] if word else at,
            f"The component `{name}` has no `type`.",
            value=word,
            suggestion="type" if word else None,
        )
    if not isinstance(kind, str):
        return None
    places = {key: Place(node.keys[key], inner.position, inner.text, inner.block) for key, inner in node.value.items()}
    return ComponentSpec(name, kind, shown if isinstance(shown, str) else None, fields, at, places)
