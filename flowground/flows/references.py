"""Checks references: each must lead to a component of the flow, to one of its outputs, and to a kind of value that
fits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from flowground.components.base import Component
from flowground.core.values import ValueKind, explain_mismatch
from flowground.core.yaml_file import Problems
from flowground.flows.fields import find_type
from flowground.flows.flow import WHEN, Flow
from flowground.flows.graph import Reference, Text


@dataclass(frozen=True, slots=True)
class References:
    """Checks the references of a flow: `kinds` are the types of its components, `components` those without mistakes."""

    flow: Flow
    kinds: Mapping[str, type[Component]]
    components: Mapping[str, Component]
    problems: Problems

    def check_all(self, connections: Mapping[str, Mapping[str, Text]]) -> dict[str, frozenset[str]]:
        """The components that each component refers to; notes wrong references."""
        return {name: frozenset(self.check(name, connections.get(name, {}))) for name in self.flow.components}

    def check(self, name: str, texts: Mapping[str, Text]) -> Iterator[str]:
        """The components that the fields of this one wait for; notes wrong references."""
        for field, text in texts.items():
            kind = find_type(self.kinds[name], field)
            wanted = kind.wants if kind is not None and text.sources else "text"
            for reference in text.references:
                if reference.component not in self.flow.components:
                    says = f"`{reference}` names no component of this flow"
                    otherwise = "; a plain `${` is written `$${`"
                    self._note(name, field, reference, says, reference.component, self.flow.components, otherwise)
                    continue
                yield reference.component
                if reference.component in self.components:
                    self._check_port(name, field, reference, wanted)
                elif source := self.kinds.get(reference.component):
                    self._check_name(name, field, reference, source.outputs)

    def _check_port(self, name: str, field: str, reference: Reference, wanted: ValueKind) -> None:
        source = self.components[reference.component]
        ports = source.list_outputs()
        if not self._check_name(name, field, reference, ports):
            return
        if reference.output is None and source.branches:
            says = f"`{reference.component}` gives one of its outputs: say which, {_list_ports(reference, ports)}"
            self._note(name, field, reference, says, None)
            return
        given = ports[next(iter(ports)) if reference.output is None else reference.output]
        if why := explain_mismatch(given, wanted):
            says = f"`{reference}` is {given}, and `{field}` of {self.flow.components[name].type} takes {wanted}: {why}"
            self._note(name, field, reference, says, None)

    def _check_name(self, name: str, field: str, reference: Reference, ports: Iterable[str]) -> bool:
        if reference.output is None or reference.output in ports:
            return True
        target = self.flow.components[reference.component]
        says = f"`{reference.component}` ({target.type}) has no output {reference.output!r}"
        self._note(name, field, reference, says, reference.output, ports, f"; it has {', '.join(ports)}")
        return False

    def _note(
        self,
        name: str,
        field: str,
        reference: Reference,
        says: str,
        word: str | None,
        choices: Iterable[str] = (),
        otherwise: str = "",
    ) -> None:
        spec = self.flow.components[name]
        at = spec.find_place(field, reference.offset)
        self.problems.add(at, says, value=word or str(reference), choices=tuple(choices), otherwise=otherwise)


def split_references(texts: Mapping[str, Text]) -> tuple[Sequence[Reference], Sequence[Reference]]:
    """The references in a component's fields, and those in its `step.when`: the component runs where both allow it."""
    when = texts.get(WHEN)
    fields = [part for field, text in texts.items() if field != WHEN for part in text.references]
    return fields, when.references if when else ()


def _list_ports(reference: Reference, ports: Iterable[str]) -> str:
    return " or ".join(f"`${{{reference.component}.{port}}}`" for port in ports)
