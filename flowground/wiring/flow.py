"""A flow whose components are validated and connected: what runs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from flowground.components.base import Component
from flowground.fields.callers import FlowPolicy
from flowground.flow import Flow
from flowground.graph import Text


@dataclass(frozen=True, slots=True)
class WiredFlow:
    """Everything a run needs, worked out once; shared by all runs of this version.

    `components` are validated, their connected fields hold a placeholder. `connections` maps a component and a field
    to the text with references that fills it. `waits_for` has direct dependencies only. `order` is one in which each
    component comes after all it waits for, the file's among equals. `outputs` are Chat and Text Outputs in that order.
    `streams_to` maps a streaming component to the Chat Outputs that show its text unchanged. `policy` says who may set
    which field, within what; the author's, whatever a request has changed in `components`.
    """

    flow: Flow
    components: Mapping[str, Component]
    connections: Mapping[str, Mapping[str, Text]]
    display_names: Mapping[str, str]
    waits_for: Mapping[str, frozenset[str]]
    order: tuple[str, ...]
    outputs: tuple[str, ...]
    streams_to: Mapping[str, tuple[str, ...]]
    policy: FlowPolicy

    @property
    def id(self) -> str:
        return self.flow.id

    @property
    def name(self) -> str:
        return self.flow.name

    @property
    def version(self) -> str:
        return self.flow.version


def replace_components(wired: WiredFlow, components: Mapping[str, Component]) -> WiredFlow:
    """The flow with other components of the same ids and types in place of some."""
    return replace(wired, components={**wired.components, **components}) if components else wired
