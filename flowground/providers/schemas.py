"""JSON Schemas without what a model's server refuses."""

from collections.abc import Mapping, Set
from typing import Any

_MAPS = {"properties", "$defs", "definitions"}
"""Keywords behind which names stand, and a schema behind each."""
_DEEPEST = 50


def trim_schema(schema: Any, keywords: Set[str], *, is_closed: bool, depth: int = 0) -> Any:
    """The schema with these keywords only; `is_closed` says of each object that it has no other properties.

    What goes is checked by whoever asked for an answer that fits: it only makes the model's work harder.
    """
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return schema if isinstance(schema, bool) else {}
    trimmed: dict[str, Any] = {}
    for word, value in schema.items():
        if word == "const" and word not in keywords:
            trimmed["enum"] = [value]
        elif word not in keywords:
            continue
        elif word in _MAPS and isinstance(value, Mapping):
            trimmed[word] = {name: trim_schema(item, keywords, is_closed=is_closed, depth=depth + 1)
                             for name, item in value.items()}  # fmt: skip
        elif isinstance(value, Mapping) and word not in ("default", "const", "example"):
            trimmed[word] = trim_schema(value, keywords, is_closed=is_closed, depth=depth + 1)
        elif isinstance(value, list | tuple) and word in ("anyOf", "oneOf", "allOf", "prefixItems"):
            trimmed[word] = [trim_schema(item, keywords, is_closed=is_closed, depth=depth + 1) for item in value]
        else:
            trimmed[word] = value
    if is_closed and (schema.get("type") == "object" or "properties" in schema):
        trimmed["additionalProperties"] = False
    return trimmed
