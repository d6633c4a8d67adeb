"""A Python function as a tool: its arguments by its signature, what it does by its docstring."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError

_SAID = re.compile(r"^[ \t]+(\w+)(?: *\([^)]*\))?: +(.+)$", re.MULTILINE)
_PLAIN = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class NoTool(Exception):
    """Why a function cannot be called by flows, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class ToolSignature:
    """`arguments` validates them; `parameters` is their JSON Schema, an object."""

    description: str
    arguments: type[BaseModel]
    parameters: Mapping[str, Any]


def read_signature(function: Callable[..., Any]) -> ToolSignature:
    """What a model is told of it. Raises NoTool."""
    doc = inspect.getdoc(function) or ""
    said = dict(_SAID.findall(doc))
    try:
        hints = get_type_hints(function, include_extras=True)
        fields: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind not in _PLAIN or name.startswith("_"):
                raise NoTool(f"has an argument that has no plain name: `{parameter}`")
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[name] = (hints.get(name, str), Field(default, description=said.get(name)))
        arguments = create_model("Arguments", __config__=ConfigDict(extra="forbid"), **fields)
        schema = arguments.model_json_schema()
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        raise NoTool(f"has arguments that no JSON describes: {str(error).splitlines()[0]}") from None
    description = " ".join(doc.split("\n\n")[0].split())
    parameters = {"type": "object", "required": [], **schema, "additionalProperties": False}
    return ToolSignature(description, arguments, {key: part for key, part in parameters.items() if key != "title"})
