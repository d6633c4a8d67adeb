"""Names in templates that no record will have: they load, and nothing stands for them."""

from collections.abc import Mapping

from flowground.components.base import Component
from flowground.components.records import RecordsComponent
from flowground.components.template import parse_template
from flowground.flow import Flow
from flowground.graph import Text
from flowground.words import list_names
from flowground.yaml_file.document import Problems

_Known = dict[tuple[str, str], frozenset[str] | None]
"""By component and output: the names in its records; None where the file does not tell."""


def warn_of_record_names(
    flow: Flow,
    components: Mapping[str, Component],
    connections: Mapping[str, Mapping[str, Text]],
    order: tuple[str, ...],
    problems: Problems,
) -> None:
    """Warns of each name in a template that its records cannot have, where the file tells which they have.

    In `order` each component comes after all that it refers to.
    """
    known: _Known = {}
    for name in order:
        component, texts = components[name], connections.get(name, {})
        if not isinstance(component, RecordsComponent):
            continue
        taken = _find_taken(component, texts, components, known)
        for port in component.list_outputs():
            known[name, port] = component.find_record_names(port, taken)
        template = component.find_template()
        if taken and template and template not in texts:
            _check_template(flow, name, component, template, taken, problems)


def _find_taken(
    component: RecordsComponent, texts: Mapping[str, Text], components: Mapping[str, Component], known: _Known
) -> frozenset[str] | None:
    """The names in the records that a component takes; of a join all that one of them may have.

    Items that are no records, such as texts, have none.
    """
    text, names = texts.get(component.records_field or ""), set[str]()
    if text is None and component.records_field:
        given = getattr(component, component.records_field)
        return frozenset(key for one in given if isinstance(one, Mapping) for key in one) or None
    for reference in text.sources if text else ():
        port = reference.output or next(iter(components[reference.component].list_outputs()))
        found = known.get((reference.component, port))
        if found is None:
            return None
        names |= found
    return frozenset(names) or None


def _check_template(
    flow: Flow, name: str, component: Component, key: str, taken: frozenset[str], problems: Problems
) -> None:
    spec, template = flow.components[name], getattr(component, key)
    for variable in parse_template(template).variables:
        if variable.name not in taken and variable.is_meant(()):
            says = f"No record has `{variable.name}`, they have {list_names(f'`{one}`' for one in sorted(taken))}"
            at = spec.places[key].find_position(template, variable.offset) if key in spec.places else spec.position
            problems.warn(at, f"{says}: nothing stands for it in `{key}`.", value=variable.name)
