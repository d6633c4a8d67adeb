"""What is likely a mistake about the branches of a flow: it loads, and answers otherwise than its author meant."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flowground.components.base import Component
from flowground.flow import WHEN, Flow
from flowground.graph import Reference, Text
from flowground.wiring.references import split_references
from flowground.yaml_file.document import Problems

_Port = tuple[str, str]
"""A component that gives some of its outputs only, and one of them."""


def warn_of_branches(
    flow: Flow,
    components: Mapping[str, Component],
    connections: Mapping[str, Mapping[str, Text]],
    order: tuple[str, ...],
    problems: Problems,
) -> None:
    """Warns of a component that can never run, and of one that always runs and is joined with others that may not."""
    branches = _Branches(flow, components, connections, problems)
    for name in order:
        branches.check(name)


@dataclass(slots=True)
class _Branches:
    flow: Flow
    components: Mapping[str, Component]
    connections: Mapping[str, Mapping[str, Text]]
    problems: Problems

    _needs: dict[str, frozenset[_Port]] = field(default_factory=dict)
    """Of each component that was looked at, the ports without which it does not run."""
    _may_skip: set[str] = field(default_factory=set)

    def check(self, name: str) -> None:
        """To be called in an order in which each component comes after all that it refers to."""
        texts = self.connections.get(name, {})
        groups = split_references(texts)
        needed = [reference for group in groups for reference in group if not reference.is_optional]
        needs = frozenset(port for reference in needed for port in self._list_needs(reference))
        others = {component for component, _ in needs}
        if len(others) < len(needs):
            self._warn_never(name, needs)
        if needs or any(map(self._may_skip_by, groups)):
            self._may_skip.add(name)
        self._needs[name] = needs
        for key, text in texts.items():
            if len(text.sources) > 1 and key != WHEN:
                self._check_join(name, key, text)

    def _list_needs(self, reference: Reference) -> Iterator[_Port]:
        yield from self._needs.get(reference.component, ())
        if self.components[reference.component].branches and reference.output:
            yield reference.component, reference.output

    def _may_skip_by(self, references: Sequence[Reference]) -> bool:
        """Whether a component may be skipped by these of its references."""
        needed = [reference for reference in references if not reference.is_optional]
        if needed:
            return any(map(self._may_leave, needed))
        return bool(references) and all(map(self._may_leave, references))

    def _may_leave(self, reference: Reference) -> bool:
        source = self.components[reference.component]
        return source.may_leave_outputs or reference.component in self._may_skip

    def _check_join(self, name: str, key: str, text: Text) -> None:
        left = [reference for reference in text.sources if self._may_leave(reference)]
        if left and len(left) < len(text.sources):
            always = next(reference for reference in text.sources if reference not in left)
            says = (
                f"`{always.component}` runs always, since it refers to nothing that may be skipped: its text stands in "
                f"`{key}` beside that of the branch. A fixed text of a branch has `step: {{when: …}}`"
            )
            self._warn(name, key, always, says)

    def _warn_never(self, name: str, needs: frozenset[_Port]) -> None:
        first = next(component for component, _ in sorted(needs) if sum(component == other for other, _ in needs) > 1)
        ports = " and ".join(f"`${{{component}.{port}}}`" for component, port in sorted(needs) if component == first)
        says = f"`{name}` never runs: it needs {ports}, of which only one is given. Optional references end with `?`"
        self.problems.warn(self.flow.components[name].position, says, value=name)

    def _warn(self, name: str, key: str, reference: Reference, says: str) -> None:
        spec = self.flow.components[name]
        self.problems.warn(spec.find_place(key, reference.offset), says, value=key)
