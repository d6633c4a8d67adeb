"""One component of a flow file -> its validated model and its connections; and checks of MCP components."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from flowground.components.base import Component, Mistake
from flowground.components.connectors import MCP
from flowground.components.template import VariablesTool
from flowground.core.words import find_nearest, list_names
from flowground.core.yaml_file import Position, Problems, SourceLocation
from flowground.flows.field_values import describe_misfit, find_misfits
from flowground.flows.fields import FieldType, find_type, list_types
from flowground.flows.flow import WHEN, ComponentSpec
from flowground.flows.graph import FlowParts, Text, parse_text
from flowground.flows.parse import ENV
from flowground.flows.tools import WiredTool
from flowground.tools.settings import McpServerEntry

_ALIKE = {"system_prompt": "system_message", "system_message": "system_prompt", "query": "search_query"}
"""Field names of similar types, to suggest one for the other."""
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Servers = Mapping[str, McpServerEntry]
"""`mcp_servers` of config.yaml."""


def wire_component(
    spec: ComponentSpec, kind: type[Component], problems: Problems, arguments: Iterable[FieldType] = ()
) -> tuple[Component | None, Mapping[str, Text]]:
    """The validated component and the texts with references that fill its fields; notes mistakes. `arguments` are the
    fields that a model sets.

    The component is None where its fields do not validate; the connections are there all the same.
    """
    wiring = _Wiring(spec, kind, problems)
    wiring.read_fields()
    wiring.read_when()
    wiring.values |= {known.name: _make_placeholder(known) for known in arguments if known.is_required}
    component = wiring.validate()
    if component is not None and not wiring.is_wrong:
        for mistake in component.list_mistakes():
            wiring.note_mistake(mistake)
    return component, wiring.connections


def check_servers(parts: FlowParts, tools: Mapping[str, tuple[WiredTool, ...]], servers: Servers | None) -> None:
    """Notes unknown MCP servers and tools, and MCP components that can never run; `tools` are those of agents.

    `servers` is None where config.yaml is not known; then only the last of these is checked.
    """
    problems, called = parts.problems, {tool.component for each in tools.values() for tool in each}
    for name, component in parts.components.items():
        if not isinstance(component, MCP):
            continue
        spec = parts.flow.components[name]
        if component.arguments is None and "arguments" not in spec.fields and name not in called:
            says = f"`{name}` is called by nobody: name it in the `tools` of an agent, or give it `arguments`"
            problems.add(spec.position, says, value=name)
        if servers is None:
            continue
        entry = servers.get(component.server)
        if entry is None:
            if find_nearest(component.server, servers):  # otherwise another config.yaml may have the server
                says = f"There is no MCP server `{component.server}`"
                problems.add(spec.places["server"].value, says, value=component.server, choices=servers)
            continue
        for tool in component.tools if entry.tools else ():
            if tool not in entry.tools:
                says = f"`tools` of the MCP server `{component.server}` in config.yaml do not name `{tool}`"
                problems.add(spec.places["tools"].value, says, value=tool, choices=entry.tools)


@dataclass(slots=True)
class _Wiring:
    """Reads one component: `values` become its model; `is_wrong` is set when a mistake was noted."""

    spec: ComponentSpec
    kind: type[Component]
    problems: Problems
    connections: dict[str, Text] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    is_wrong: bool = False

    def read_fields(self) -> None:
        """Separates secrets and references from the fields."""
        types = list_types(self.kind)
        for name, value in self.spec.fields.items():
            field = types.get(name) or find_type(self.kind, name)
            if field is None:
                known = [*types, "display_name"]
                says, otherwise = f"{self.spec.type} has no field `{name}`", f"; it has {list_names(known)}"
                at, meant = self.spec.places[name].key, self._find_alike(name)
                self._note(at, says, value=name, choices=known, otherwise=otherwise, suggestion=meant)
                continue
            self.values[name] = value
            if isinstance(value, str) and "${" in value:
                if found := ENV.search(value):
                    self._fill_secret(field, value, found)
                elif text := parse_text(value, is_template=field.is_template, is_url=field.is_url):
                    self._connect(field, value, text)
            elif field.is_secret and isinstance(value, dict):
                self.values[name] = {key: self._fill_inner_secret(field, inner) for key, inner in value.items()}
            elif isinstance(value, dict | list) and (inner := _find_reference(value)):
                says = f"`{inner}` inside `{name}` of {self.spec.type} is plain text: a reference fills a whole field"
                if issubclass(self.kind, VariablesTool) and name in self.kind.filled_inside:
                    says += f"; write `{{name}}` there and `name: {inner}` beside `{name}`"
                self.problems.warn(self.spec.places[name].value, says, value=inner)

    def read_when(self) -> None:
        """Separates the references of `step.when`."""
        when = self.spec.step.when
        text = parse_text(when)
        if text and text.sources:
            self.connections[WHEN] = text
        elif when:
            says = f"`{WHEN}` of `{self.spec.id}` is one reference, `${{Route.other}}`, or a join of optional ones"
            self._note(self.spec.places[WHEN].value, says, value=when)

    def validate(self) -> Component | None:
        """The component; None where its fields do not fit."""
        values = {name: value for name, value in self.values.items() if value is not None}
        try:
            return self.kind.model_validate(values, strict=True)
        except ValidationError as error:
            for name, limits in find_misfits(error).items():
                self._note_misfit(name, limits)
            return None

    def note_mistake(self, mistake: Mistake) -> None:
        """Notes a mistake that the component itself found."""
        spec = self.spec
        place = spec.places.get(mistake.field) or SourceLocation(spec.position, spec.position)
        raw = spec.fields.get(mistake.field)
        is_declared = mistake.field in list_types(self.kind)
        at = place.find_position(raw, mistake.offset) if is_declared and isinstance(raw, str) else place.key
        close = mistake.choices or tuple(name for name in spec.fields if mistake.missing and name != mistake.field)
        value, meant = mistake.missing or mistake.field, self._find_alike(mistake.field)
        self._note(at, mistake.message, value=value, choices=close, suggestion=meant)

    def _find_alike(self, name: str) -> str | None:
        """The field of this type that is easily confused with the unknown one; None where there is none."""
        types = list_types(self.kind)
        return _ALIKE[name] if name not in types and _ALIKE.get(name) in types else None

    def _note(self, at: Position, message: str, **more: Any) -> None:
        self.is_wrong = True
        self.problems.add(at, message, **more)

    def _fill_secret(self, field: FieldType, value: str, found: "re.Match[str]") -> None:
        place = self.spec.places[field.name]
        if not field.is_secret:
            says = f"`${{env:…}}` is read in secret fields only, and `{field.name}` of {self.spec.type} is none"
            self._note(place.find_position(value, found.start()), says, value=found[0])
        elif value != found[0]:
            self._note(place.value, f"A secret is `${{env:NAME}}` as a whole: `{field.name}` is not")
        else:
            self.values[field.name] = self._fill_inner_secret(field, value)

    def _fill_inner_secret(self, field: FieldType, value: Any) -> Any:
        """One text of a mapping, in which `${env:NAME}` may be a part: `Bearer ${env:NAME}`."""
        if not isinstance(value, str) or "${" not in value:
            return value
        place, found = self.spec.places[field.name].value, ENV.search(value)
        if not found or not _ENV_NAME.fullmatch(found[1]) or "${" in value.replace(found[0], "", 1):
            says = f"What is filled into `{field.name}` is one `${{env:NAME}}`, with plain text around it at most"
            self._note(place, says)
        elif found[1] not in os.environ:
            self._note(place, f"The environment variable {found[1]} is not set", value=found[0])
        else:
            return value.replace(found[0], os.environ[found[1]])
        return value

    def _connect(self, field: FieldType, value: str, text: Text) -> None:
        if not text.references:
            self.values[field.name] = "".join(part for part in text.parts if isinstance(part, str))
        elif not field.takes_references:
            self._refuse_reference(field, value, text, f"is {'protected' if field.is_text else field.kind}")
        elif field.wants == "text":
            self.connections[field.name] = text
            self.values[field.name] = _blank_references(text) if field.is_template or field.is_url else ""
        elif text.sources:
            self.connections[field.name] = text
            self.values[field.name] = _make_placeholder(field) if field.is_required else None
        else:
            self._refuse_reference(
                field, value, text, f"is {field.kind}, and takes one reference and nothing beside it"
            )

    def _refuse_reference(self, field: FieldType, value: str, text: Text, why: str) -> None:
        del self.values[field.name]
        says = f"`{field.name}` of {self.spec.type} {why}"
        if not field.takes_references:
            advice = f"write `{{name}}` there and `name: {text.references[0]}` beside it" if field.is_template else ""
            says += f": it is written in the file, {advice or 'no reference can fill it'}"
        first = text.references[0]
        self._note(self.spec.places[field.name].find_position(value, first.offset), says, value=str(first))

    def _note_misfit(self, name: str, limits: Mapping[str, Any]) -> None:
        spec, field, value = self.spec, find_type(self.kind, name), self.spec.fields.get(name)
        assert field is not None  # noqa: S101 - unknown fields were taken out
        if value is None:
            at = spec.places[name].key if name in spec.places else spec.position
            self._note(at, f"{spec.id} ({spec.type}) needs `{name}`")
            return
        hint = (
            "; without quotes it would be one" if isinstance(value, str) and _would_fit_unquoted(value, field) else ""
        )
        if field.is_text and isinstance(value, int | float):
            hint = "; in quotes it would be"
        is_long = isinstance(value, str) and "max_length" in limits
        self._note(
            spec.places[name].value,
            describe_misfit(f"`{name}` of {spec.type}", field, value, limits) + hint,
            value=None if field.is_secret or is_long else value,
            choices=[choice for choice in field.choices or () if isinstance(choice, str)],
        )


def _make_placeholder(field: FieldType) -> Any:
    """The value of a required field until a run fills it."""
    if field.wants == "text":
        return ""
    is_list = field.wants != "data" or field.schema.get("type") == "array"
    return [] if is_list else {}


def _find_reference(value: Any) -> str | None:
    """The first reference in a text somewhere inside a list or mapping."""
    if isinstance(value, str):
        text = parse_text(value)
        return str(text.references[0]) if text and text.references else None
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in inside if (found := _find_reference(item))), None)


def _blank_references(text: Text) -> str:
    """The template with its references replaced by spaces, so that offsets of variables stay right."""
    return "".join(part if isinstance(part, str) else " " * len(str(part)) for part in text.parts)


def _would_fit_unquoted(value: str, field: FieldType) -> bool:
    if field.is_number:
        return re.fullmatch(r"-?[0-9]+" + ("" if field.is_whole else r"(\.[0-9]+)?"), value) is not None
    return field.kind == "true or false" and value in ("true", "false")
