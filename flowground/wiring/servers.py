"""MCP components of a flow: whether config.yaml names their servers and tools, and whether anything calls them."""

from collections.abc import Mapping

from flowground.components.base import Component
from flowground.components.connectors import MCP
from flowground.flow import Flow
from flowground.mcp_servers.settings import McpServerEntry
from flowground.wiring.tools import WiredTool
from flowground.words import find_nearest
from flowground.yaml_file.document import Problems

Servers = Mapping[str, McpServerEntry]
"""`mcp_servers` of config.yaml."""


def check_servers(
    flow: Flow,
    components: Mapping[str, Component],
    tools: Mapping[str, tuple[WiredTool, ...]],
    servers: Servers | None,
    problems: Problems,
) -> None:
    """Notes servers and tools that are not there, and components that cannot run; `tools` are those of agents.

    `servers` None: they are not known here.
    """
    called = {tool.component for each in tools.values() for tool in each}
    for name, component in components.items():
        if not isinstance(component, MCP):
            continue
        spec = flow.components[name]
        if component.arguments is None and "arguments" not in spec.fields and name not in called:
            says = f"`{name}` is called by nobody: name it in the `tools` of an agent, or give it `arguments`"
            problems.add(spec.position, says, value=name)
        if servers is None:
            continue
        entry = servers.get(component.server)
        if entry is None:
            if find_nearest(component.server, servers):  # else another config.yaml may name it
                says = f"There is no MCP server `{component.server}`"
                problems.add(spec.places["server"].value, says, value=component.server, choices=servers)
            continue
        for tool in component.tools if entry.tools else ():
            if tool not in entry.tools:
                says = f"`tools` of the MCP server `{component.server}` in config.yaml do not name `{tool}`"
                problems.add(spec.places["tools"].value, says, value=tool, choices=entry.tools)
