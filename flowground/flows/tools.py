"""The tools of agents: which components of the flow they are, and how each is described to the model."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from inspect import getdoc
from typing import Any, Literal

from flowground.components.agent import Agent, ToolUse
from flowground.components.base import Component, ToolComponent
from flowground.components.connectors import MCP
from flowground.components.template import VariablesTool
from flowground.flows.fields import FieldType, list_types, read_variable
from flowground.flows.flow import ComponentSpec, Flow
from flowground.flows.graph import FlowParts
from flowground.providers.base import ToolSpec

_LONGEST_NAME = 64
_KEPT = ("type", "enum", "const", "anyOf", "items", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


@dataclass(frozen=True, slots=True)
class WiredTool:
    """A component as one agent's tool. `arguments` are the fields that the model sets.

    `writes`: a call may change something outside this process. `is_described`: the author wrote the description.
    `offered`: the tool's own name, where the component stands for several tools of an MCP server. `confirm`: the
    author's choice whether a person allows each call; with `always`, a permission for a whole chat is not offered.
    `is_changed`: the request has set fields of the component, so that earlier permissions do not count.
    """

    component: str
    spec: ToolSpec
    arguments: tuple[str, ...]
    writes: bool = False
    is_described: bool = False
    offered: str | None = None
    confirm: bool | Literal["always"] | None = None
    is_changed: bool = False

    @property
    def confirms(self) -> bool:
        """Whether a person must allow each call."""
        return self.writes if self.confirm is None else bool(self.confirm)

    def renew(self, components: Mapping[str, Component]) -> "WiredTool":
        """The tool after its component was replaced, if `components` has a new one for it."""
        component = components.get(self.component)
        if component is None:
            return self
        return replace(self, writes=self.writes if self.offered else component.writes, is_changed=True)


def find_tool_names(flow: Flow) -> frozenset[str]:
    """Ids in the `tools` of agents, whether or not they name a component."""
    found = set()
    for spec in flow.components.values():
        entries = spec.fields.get("tools") if spec.type == Agent.type_name else None
        for entry in entries if isinstance(entries, list) else ():
            name = entry.get("use") if isinstance(entry, dict) else entry
            if isinstance(name, str):
                found.add(name)
    return frozenset(found)


def list_arguments(spec: ComponentSpec, kind: type[Component]) -> list[FieldType]:
    """The fields that a model sets where the component is a tool: those it may set and the author left unset."""
    if not issubclass(kind, ToolComponent):
        return []
    known = (
        replace(field, is_required=field.is_required or bool(field.schema.get("model_must_set")))
        for field in list_types(kind).values()
        if field.model_may_set
    )
    variables = kind.list_variables(spec.fields) if issubclass(kind, VariablesTool) else {}
    made = (
        replace(read_variable(name), is_required=True, schema=schema, description=schema["description"])
        for name, schema in variables.items()
    )
    return [field for field in (*known, *made) if field.name not in spec.fields]


@dataclass(frozen=True, slots=True)
class Tools:
    """Wires the tools of all agents of a flow; `used` are the components that references lead to."""

    parts: FlowParts
    used: frozenset[str]

    def wire(self) -> Mapping[str, tuple[WiredTool, ...]]:
        """The tools by agent; notes wrong entries."""
        agents = {name: one for name, one in self.parts.components.items() if isinstance(one, Agent) and one.uses}
        return {name: self._wire_agent(name, agent.uses) for name, agent in agents.items()}

    def _wire_agent(self, agent: str, uses: Iterable[ToolUse]) -> tuple[WiredTool, ...]:
        tools: dict[str, WiredTool] = {}
        for use in uses:
            for tool in self._wire_use(agent, use):
                if other := tools.get(tool.spec.name):
                    says = f"`{other.component}` and `{tool.component}` are both called `{tool.spec.name}`"
                    self._note(agent, f"{says}: give one a `name`", use.use)
                tools[tool.spec.name] = tool
        return tuple(tools.values())

    def _wire_use(self, agent: str, use: ToolUse) -> Iterable[WiredTool]:
        known, kind = self.parts.flow.components, self.parts.kinds.get(use.use)
        spec = known.get(use.use)
        if spec is None or use.use == agent:
            says = "An agent cannot be its own tool" if spec else f"`{use.use}` names no component of this flow"
            self._note(agent, says, use.use, () if spec else known)
            return ()
        if kind is None:
            return ()
        if not issubclass(kind, ToolComponent):
            kinds = self.parts.kinds.items()
            fitting = [name for name, other in kinds if issubclass(other, ToolComponent) and name != agent]
            self._note(agent, f"`{use.use}` ({spec.type}) cannot be a tool", use.use, fitting)
            return ()
        arguments = list_arguments(spec, kind)
        if use.use in self.used and (arguments or issubclass(kind, MCP)):
            instead = f"set its `{arguments[0].name}`, or " if arguments else ""
            says = (
                f"`{use.use}` is referred to, so it also runs by itself: {instead}write a second component for the tool"
            )
            self._note(agent, says, use.use)
        if issubclass(kind, MCP):
            return self._wire_server_tools(agent, use, spec)
        return (self._wire_tool(use, spec, kind, arguments),)

    def _wire_server_tools(self, agent: str, use: ToolUse, spec: ComponentSpec) -> Iterable[WiredTool]:
        component = self.parts.components.get(use.use)
        offered = component.list_offered() if isinstance(component, MCP) else {}
        if len(offered) > 1 and (use.name or use.description):
            self._note(agent, f"`{use.use}` has several tools: `name` and `description` are for one", use.use)
        about = use.description or (spec.step.description if len(offered) == 1 else None)
        for name, tool in offered.items():
            named = ToolSpec(use.name or name, about or "", {"type": "object", "properties": {}})
            yield WiredTool(
                use.use, named, (), writes=True, is_described=about is not None, offered=tool, confirm=use.confirm
            )

    def _wire_tool(
        self, use: ToolUse, spec: ComponentSpec, kind: type[Component], arguments: Iterable[FieldType]
    ) -> WiredTool:
        name = use.name or re.sub(r"[^A-Za-z0-9_]", "_", use.use)[:_LONGEST_NAME]
        text = use.description or spec.step.description
        tool = ToolSpec(name, text or _read_sentence(kind), _write_parameters(arguments))
        component = self.parts.components.get(use.use)
        writes = component is not None and component.writes
        return WiredTool(
            use.use, tool, tuple(known.name for known in arguments), writes, text is not None, confirm=use.confirm
        )

    def _note(self, agent: str, says: str, value: str, choices: Iterable[str] = ()) -> None:
        at = self.parts.flow.components[agent].places["tools"].value
        self.parts.problems.add(at, says, value=value, choices=choices)


def _read_sentence(kind: type[Component]) -> str:
    return " ".join((getdoc(kind) or kind.title).split("\n\n")[0].split())


def _write_parameters(arguments: Iterable[FieldType]) -> dict[str, Any]:
    properties = {known.name: _write_schema(known) for known in arguments}
    required = [known.name for known in arguments if known.is_required]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _write_schema(known: FieldType) -> dict[str, Any]:
    said = {word: known.schema[word] for word in _KEPT if word in known.schema}
    return {**said, "title": known.title, "description": known.description}
