"""docs/components.md, written from the component types and the sections of a flow file."""

from inspect import getdoc

from docs.tables import field_rows, field_table
from flowground.components import COMPONENTS
from flowground.components.base import Component
from flowground.fields.types import takes_variables
from flowground.flow import ApiSection, ChatSection, Header, Overridable, StepSection
from flowground.yaml_file.section import Section

_SECTIONS: dict[str, type[Section]] = {
    "The file": Header,
    "chat": ChatSection,
    "api": ApiSection,
    "api.overridable": Overridable,
    "A component's step": StepSection,
}
_INTRODUCTION = """# Components and settings of a flow file

Generated from `flowground/components/` and `flowground/flow/` by `make fix`; `make check` compares.
How they work together is in [flow-format.md](flow-format.md).

Every component has `type` and, if you like, `display_name` and `step`. A field of text may hold references:
`${Name}` is what the component `Name` gives, as text, alone or inside other text; any other field takes one
whole reference whose kind of value fits. *Protected* fields are not open to tweaks unless the flow's author
lists them in `api.overridable`.
"""


def components_page() -> str:
    """The whole page."""
    parts = [_INTRODUCTION]
    parts += [_component_part(kind) for kind in COMPONENTS.values()]
    parts += [_section_part(title, section) for title, section in _SECTIONS.items()]
    return "\n".join(parts)


def _component_part(kind: type[Component]) -> str:
    outputs = ", ".join(f"`{output}` ({given})" for output, given in kind.outputs.items())
    rows = list(field_rows(kind).values())
    if takes_variables(kind):
        rows.append(("*a variable's name*", "text", "needed", "One for each `{variable}` of the template."))
    facts = f"Display name: {kind.title}. {'Output' if len(kind.outputs) == 1 else 'Outputs'}: {outputs}."
    return f"## {kind.type_name}\n\n{getdoc(kind)}\n\n{facts}\n\n{field_table('field', rows)}\n"


def _section_part(title: str, section: type[Section]) -> str:
    rows = [("`components`", "a mapping", "needed", "The flow's steps.")] if section is Header else []
    return f"## {title}\n\n{getdoc(section)}\n\n{field_table('name', [*rows, *field_rows(section).values()])}\n"
