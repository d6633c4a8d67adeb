"""The component types, similar ones in one module, and their table, to which other packages may add types."""

from flowground.components import (
    agent,
    connectors,
    flows,
    io,
    knowledge,
    memory,
    models,
    records,
    routers,
    template,
    web,
)
from flowground.components.base import Component
from flowground.core.plugins import TypeTable
from flowground.core.words import show

_MODULES = (io, template, models, memory, routers, records, flows, agent, knowledge, web, connectors)
"""Those that have component types, in the order of docs/components.md."""
_OWN: dict[str, type[Component]] = {
    kind.type_name: kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Component) and "outputs" in vars(kind)
}


def _check(name: str, kind: object) -> type[Component]:
    """The component type. Raises ValueError for a class that is no component type of this name."""
    if not (isinstance(kind, type) and issubclass(kind, Component)):
        raise ValueError(f"it is {show(kind)}, and no subclass of Component")
    if not hasattr(kind, "outputs"):
        raise ValueError("its class says no outputs")
    if kind.type_name != name:
        raise ValueError(f"its `type_name` is {kind.type_name!r}, and not the entry point's name")
    kind.model_json_schema()
    return kind


COMPONENTS = TypeTable("flowground.components", _OWN, _check)
"""All values of `type:` in flow files, with their types."""
