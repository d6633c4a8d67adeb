"""What MCP servers say, read as what it is: the text of somebody who may mean harm."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST_DESCRIPTION = 1_000
"""Characters of a tool's description that a model is told."""
_LARGEST_SCHEMA = 20_000
"""Characters of the schema of a tool's arguments."""
_LONGEST_RESULT = 200_000
"""Characters of a result; models are told less (`runner.tools`)."""


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool of a server. `parameters` are a JSON Schema; `writes` is all that does not say that it only reads.

    `wrong` is why it cannot be used, as a sentence.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    writes: bool
    wrong: str | None = None


def read_tool(tool: Any) -> ServerTool:
    """A tool as its server lists it, bounded; its schema is not checked yet."""
    notes = tool.annotations
    schema = tool.input_schema if isinstance(tool.input_schema, dict) else {}
    wrong = None
    if len(json.dumps(schema)) > _LARGEST_SCHEMA:
        schema, wrong = {}, f"the schema of its arguments has more than {_LARGEST_SCHEMA:,} characters."
    elif schema.get("type") != "object":
        wrong = "its arguments are no object."
    said = " ".join(_clean(str(tool.description or "")).split())[:LONGEST_DESCRIPTION]
    return ServerTool(str(tool.name), said, schema, not (notes is not None and notes.read_only_hint is True), wrong)


def read_result(result: Any) -> str:
    """The text of a result: its parts, each on lines of its own; where it has none, its structured content."""
    text = "\n".join(part for block in result.content if (part := _read_block(block)))
    if not text and result.structured_content is not None:
        text = json.dumps(result.structured_content, ensure_ascii=False)
    return _clean(text[:_LONGEST_RESULT])


def _read_block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type}, {block.mime_type}: not shown]"
        case "resource":
            inner = block.resource
            return str(getattr(inner, "text", f"[{inner.uri}: not shown]"))
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
    return f"[{block.type}: not shown]"


def _clean(text: str) -> str:
    """Without characters that no text has, and those by which a text hides others."""
    return (
        "".join(char for char in text if char in "\n\t" or (char.isprintable() or char.isspace()))
        .encode("utf-8", "replace")
        .decode()
    )


def list_known(tools: Iterable[str]) -> str:
    """For a sentence: names of tools, the first twenty, each bounded."""
    known = [name[:64] for name in tools]
    return ", ".join(known[:20]) + (", …" if len(known) > 20 else "") if known else "none"
