"""What each field of a flow takes, and who may set it: the author, a caller, a model. Nothing else decides.

types_of(component type)      what a type says of its fields
FlowPolicy(flow, …)           the fields of one flow, compiled when it is wired; who may set what, and why not
check_values(component, …)    judges values: coercion, bounds, choices, and the words of a refusal
"""

from flowground.fields.callers import FlowPolicy, Refusal
from flowground.fields.policy import FieldPolicy, Widget, find_wrong_bounds
from flowground.fields.types import FieldType, takes_variables, type_of, types_of
from flowground.fields.values import change_component, check_bounds, check_values, find_misfits, say_misfit, unwrap

__all__ = [
    "FieldPolicy",
    "FieldType",
    "FlowPolicy",
    "Refusal",
    "Widget",
    "change_component",
    "check_bounds",
    "check_values",
    "find_misfits",
    "find_wrong_bounds",
    "say_misfit",
    "takes_variables",
    "type_of",
    "types_of",
    "unwrap",
]
