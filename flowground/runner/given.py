"""What the components of a run gave so far: read by the references of those that come after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from flowground.components.base import Component, Output
from flowground.errors import RunError
from flowground.fields.types import list_types
from flowground.fields.values import change_component, find_misfits, say_misfit
from flowground.flow import WHEN
from flowground.graph import Reference, Text
from flowground.values import ValueKind, convert, write_text
from flowground.wiring import WiredFlow
from flowground.wiring.references import split_references


@dataclass(slots=True)
class Given:
    """`outputs` are of the components that ran; the others were skipped, or wait."""

    wired: WiredFlow
    outputs: dict[str, Output] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    """Values as text, by component and port, as they are asked for."""

    def has(self, reference: Reference) -> bool:
        """Whether the reference leads to something: its component ran, and gave that output."""
        output = self.outputs.get(reference.component)
        return output is not None and self.wired.find_port(reference) in output.values

    def is_skipped(self, name: str) -> bool:
        """Whether the component is skipped, since what it refers to was, or what it runs with."""
        return any(map(self._is_without, split_references(self.wired.connections.get(name, {}))))

    def _is_without(self, references: Sequence[Reference]) -> bool:
        """Whether one that is needed leads to nothing; of optional ones, all of them."""
        is_given = [self.has(reference) for reference in references]
        if any(not given and not reference.is_optional for reference, given in zip(references, is_given, strict=True)):
            return True
        return bool(references) and all(reference.is_optional for reference in references) and not any(is_given)

    def fill(self, name: str) -> Component:
        """The component with its connected fields filled. Raises RunError for a value that does not fit."""
        component, connected = self.wired.components[name], self.wired.connections.get(name)
        if not connected:
            return component
        if WHEN in connected:
            connected = {key: text for key, text in connected.items() if key != WHEN}
        if wants := self.wired.wants.get(name):
            component = self._fill_values(component, {key: (connected[key], kind) for key, kind in wants.items()})
            connected = {key: text for key, text in connected.items() if key not in wants}
        return component.model_copy(update={key: text.fill(self.read_text) for key, text in connected.items()})

    def _fill_values(self, component: Component, connected: Mapping[str, tuple[Text, ValueKind]]) -> Component:
        values = {}
        for key, (text, kind) in connected.items():
            found = [reference for reference in text.sources if self.has(reference)]
            if len(found) > 1:
                raise RunError(f"`{key}` joins branches of which one may run, and several did.")
            for reference in found:
                port = self.wired.find_port(reference)
                given = self.outputs[reference.component].values[port]
                values[key] = convert(given, self.wired.ports[reference.component][port], kind)
        try:
            return change_component(component, values)
        except ValidationError as error:
            key, limits = next(iter(find_misfits(error).items()))
            kind_of_field = list_types(type(component))[key]
            raise RunError(f"{say_misfit(f'`{key}`', kind_of_field, values.get(key), limits)}.") from None

    def read_text(self, reference: Reference) -> str:
        """What a reference stands for inside a text; "" where it leads to what was skipped.

        Raises RunError for a value that JSON cannot say.
        """
        output = self.outputs.get(reference.component)
        if output is None:
            return ""
        port = self.wired.find_port(reference)
        kind = self.wired.ports[reference.component][port]
        if kind == "text":
            return str(output.values.get(port, ""))
        if port not in output.values:
            return ""
        place = reference.component, port
        if place not in self.texts:
            self.texts[place] = write_text(output.values[port], kind)
        return self.texts[place]
