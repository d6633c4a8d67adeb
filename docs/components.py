"""docs/components.md, written from the component types and the sections of a flow file."""

from inspect import getdoc

from docs.tables import field_list, field_rows
from flowground.components import COMPONENTS
from flowground.components.base import Component, ToolComponent
from flowground.core.yaml_file import Section
from flowground.flows.fields import takes_variables
from flowground.flows.flow import ApiSection, ChatSection, Header, Overridable, StepSection
from flowground.flows.parse import OLD_FIELDS, OLD_TYPES
from flowground.knowledge.section import KnowledgeSection, SplitSection

_SECTIONS: dict[str, type[Section]] = {
    "The file": Header,
    "chat": ChatSection,
    "api": ApiSection,
    "api.overridable": Overridable,
    "knowledge": KnowledgeSection,
    "knowledge.split": SplitSection,
    "A component's step": StepSection,
}
_INTRODUCTION = """# Components and settings of a flow file

Generated from `flowground/components/` and `flowground/flows/` by `make fix`; `make check` compares.
How they work together is in [flow-format.md](flow-format.md).

Every component has `type` and, if you like, `display_name` and `step`. Brackets say what a field takes, and its default
or that it is needed. A field of text may hold references: `${Name}` is what the component `Name` gives, as text, alone
or inside other text; any other field takes one whole reference whose kind of value fits. Callers set *protected* fields
only where the author lists them in `api.overridable`, and *fixed* ones never: outputs are made from them, or other
flows are named. *Secret* ones may hold `${env:NAME}`, and nobody is shown them. A tweak sets a list or mapping as JSON.
"""


def components_page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    parts += [_component_part(kind) for kind in COMPONENTS.values()]
    parts += [_section_part(title, section) for title, section in _SECTIONS.items()]
    return "\n".join(parts)


_INPUT = (
    "*the id of a Text Input*",
    "text",
    "–",
    "The text for that input; its own when left out.",
)
_ANY_FREE = ("*another name*", "text", "–", "Fields beyond these may be given, as texts.")
_FREE = {
    "Prompt": ("*a variable's name*", "text", "needed", "One for each `{variable}` of the template."),
    "APIRequest": (
        "*a variable's name*",
        "text",
        "–",
        "One for each `{variable}`; an agent's model gives those left out.",
    ),
    "Retrieve": (
        "*a variable's name*",
        "text",
        "–",
        "One for each `{name}` in `filters`; an agent's model gives those left out.",
    ),
    "PythonFunction": ("*an argument's name*", "text", "–", "That argument of the function."),
    "SQL": (
        "*a value's name*",
        "text",
        "–",
        "One for each `{name}`; an agent's model gives those left out.",
    ),
    "RunFlow": _INPUT,
    "ForEach": _INPUT,
}
"""What fields of any name mean, by the type that takes them."""


def _component_part(kind: type[Component]) -> str:
    outputs = ", ".join(f"`{output}` ({given})" for output, given in kind.outputs.items())
    rows = list(field_rows(kind).values())
    if takes_variables(kind):
        rows.append(_FREE.get(kind.type_name, _ANY_FREE))
    given = f"{'Output' if len(kind.outputs) == 1 else 'Outputs'}: {outputs or 'one for each of its own fields'}."
    facts = f"Display name: {kind.title}. {given}"
    if kind.calls_out:
        facts += " May have `step.on_error`."
    if issubclass(kind, ToolComponent):
        facts += " May be an agent's tool."
    old = [old for old, now in OLD_TYPES.items() if now == kind.type_name]
    old += [f"{old} (for {now})" for old, now in OLD_FIELDS.get(kind.type_name, {}).items()]
    if old:
        facts += f" Old words: {', '.join(old)}."
    return f"## {kind.type_name}\n\n{getdoc(kind)}\n\n{facts}\n\n{field_list(rows)}\n"


def _section_part(title: str, section: type[Section]) -> str:
    rows = [("`components`", "a mapping", "needed", "The flow's steps.")] if section is Header else []
    return f"## {title}\n\n{getdoc(section)}\n\n{field_list([*rows, *field_rows(section).values()])}\n"
