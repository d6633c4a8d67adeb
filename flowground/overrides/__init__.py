"""Temporary overrides: fields of a flow that a person changes for their own calls. Nothing reaches the flow file.

override_fields(flow, inside=caller.sees_inside)   what can be changed, and what is locked and why
changed(flow, values, inside=…)                    what differs from the author's, as tweaks; checked as the API does
for_message(flow, changed, …)                      the tweaks of a call that brings its own message
to_link(changed), from_link(text)                  overrides as a word that travels in an address
"""

from flowground.overrides.change import Values, changed, for_message
from flowground.overrides.fields import ComponentFields, Kind, OverrideField, override_fields
from flowground.overrides.link import from_link, to_link

__all__ = [
    "ComponentFields",
    "Kind",
    "OverrideField",
    "Values",
    "changed",
    "for_message",
    "from_link",
    "override_fields",
    "to_link",
]
