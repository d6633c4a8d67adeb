"""The flow file: YAML with positions, its fields still raw. What they mean is the component types' business."""

from flowground.flow.addresses import is_uuid
from flowground.flow.document import Place, Position
from flowground.flow.format import ApiSection, ChatSection, ComponentSpec, Flow, Overridable
from flowground.flow.parse import parse_flow, too_large

__all__ = [
    "ApiSection",
    "ChatSection",
    "ComponentSpec",
    "Flow",
    "Overridable",
    "Place",
    "Position",
    "is_uuid",
    "parse_flow",
    "too_large",
]
