"""A flow file's bytes -> Flow, or every mistake in them with its place."""

import hashlib
import re
from typing import Any

from pydantic import ValidationError

from flowground.errors import FlowError, Problem, nearest
from flowground.flow.document import Document, Node, Path, Place, Position, read_document
from flowground.flow.format import ADDRESS, COMPONENT_ID, RESERVED, UUID, ComponentSpec, Flow, Header
from flowground.flow.words import Schema, kind_of, show

_ADDRESS_RULE = "small letters, digits, `.`, `_` and `-`, up to 64 of them, beginning with a letter or digit"
_HEADER_SCHEMA = Header.model_json_schema()


def parse_flow(text: str | bytes, file: str, *, max_bytes: int) -> Flow:
    """The flow in a file's text; `file` is the file's name. Raises FlowError with every mistake, and nothing else."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    document = read_document(_decode(data, file, max_bytes), file)
    if document.root is None or document.root.value is None:
        document.problem(Position(1, 1), "The file is empty: a flow has `components:`.")
        raise document.error()
    if not isinstance(document.root.value, dict):
        document.problem(
            document.root.position, "A flow is a mapping: `name: …`, `components: …`.", value=document.root.plain()
        )
        raise document.error()
    header = _header(document)
    components = _components(document)
    flow_id = _flow_id(document, header, file)
    if header and header.api.endpoint_name is not None:
        _check_address(document, ("api", "endpoint_name"), header.api.endpoint_name, "endpoint name")
    if document.problems or header is None:
        raise document.error()
    return Flow(
        id=flow_id,
        name=header.name or re.sub(r"[-_.]+", " ", flow_id).title(),
        description=header.description,
        owners=header.owners,
        components=components,
        chat=header.chat,
        api=header.api,
        version=hashlib.sha256(data).hexdigest()[:12],
        file=file,
        places=_places(document, len(header.api.overridable or ())),
    )


def _places(document: Document, overridable: int) -> dict[str, Place]:
    places = {
        f"api.overridable.{index}": document.place(("api", "overridable", index, "field"))
        for index in range(overridable)
    }
    return places | {"id": document.place(("id",)), "api.endpoint_name": document.place(("api", "endpoint_name"))}


def _decode(data: bytes, file: str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise FlowError([too_large(file, len(data), max_bytes)])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"The byte 0x{data[error.start]:02X} is no UTF-8: save the file in that encoding."
        raise FlowError([Problem(file, line, column, message)]) from None


def too_large(file: str, size: int, max_bytes: int) -> Problem:
    """The mistake of a file over the limit."""
    message = f"The file has {size:,} bytes; {max_bytes:,} is the limit (`limits.flow_bytes` in config.yaml)."
    return Problem(file, 1, 1, message)


def _header(document: Document) -> Header | None:
    """All but the components. Sections with nothing behind their name are their defaults."""
    assert document.root is not None  # noqa: S101 - the caller looked
    given = _without_nothing({key: node.plain() for key, node in document.root.value.items() if key != "components"})
    try:
        return Header.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            _header_problem(document, detail["loc"], detail["type"])
        return None


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(inner) for key, inner in value.items() if inner is not None}
    return value


def _header_problem(document: Document, loc: Path, kind: str) -> None:
    if kind == "extra_forbidden":
        known = [*_schema_at(loc[:-1]).get("properties", {}), *(["components"] if len(loc) == 1 else [])]
        name, where = str(loc[-1]), f"`{_dotted(loc[:-1])}`" if loc[:-1] else "a flow"
        word = nearest(name, known)
        message = f"There is no `{name}` in {where}" + ("." if word else f"; it has {', '.join(known)}.")
        document.problem(document.place(loc).key, message, value=name, suggestion=word)
    elif kind == "missing":
        document.problem(document.place(loc[:-1]).value, f"`{_dotted(loc)}` is missing.")
    else:
        path = document.existing(loc)
        value = _value_at(document, path)
        message = f"`{_dotted(path)}` is {_bounded(_schema_at(path))}, not {show(value)}."
        document.problem(document.place(path).value, message, value=value)


def _schema_at(path: Path) -> Schema:
    """The schema of the value at `path` of the header."""
    schema: Schema = _HEADER_SCHEMA
    for part in path:
        schema = _resolved(schema)
        schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
    return _resolved(schema)


def _resolved(schema: Schema) -> Schema:
    if "anyOf" in schema:
        schema = next((part for part in schema["anyOf"] if part.get("type") != "null"), schema)
    if "$ref" in schema:
        schema = _HEADER_SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _bounded(schema: Schema) -> str:
    kind = kind_of(schema, _HEADER_SCHEMA["$defs"])
    if schema.get("type") == "string" and "maxLength" in schema:
        return f"{kind} of 1 to {schema['maxLength']} characters"
    if schema.get("type") == "array" and "maxItems" in schema:
        return f"{kind}, up to {schema['maxItems']}"
    return kind


def _value_at(document: Document, path: Path) -> Any:
    value = document.root.plain() if document.root else None
    for part in path:
        value = value[part]
    return value


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)


def _flow_id(document: Document, header: Header | None, file: str) -> str:
    if header is not None and header.id is not None:
        _check_address(document, ("id",), header.id, "id")
        return header.id
    stem = file.removesuffix(".yaml").removesuffix(".yml")
    if header is not None and (wrong := address_mistake(stem)):
        word = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
        message = f"The file's name {stem!r} cannot be the flow's id: {wrong} Rename the file, or give `id:`."
        document.problem(Position(1, 1), message, value=stem, suggestion=word or None)
    return stem


def _check_address(document: Document, path: Path, address: str, kind: str) -> None:
    if wrong := address_mistake(address):
        document.problem(document.place(path).value, f"{address!r} cannot be an {kind}: {wrong}", value=address)


def address_mistake(address: str) -> str | None:
    """What is wrong with an id or endpoint name, as a sentence; None when it will do."""
    if address in RESERVED:
        return "the word is one of the server's own addresses."
    if ADDRESS.fullmatch(address) or is_uuid(address):
        return None
    return f"it is {_ADDRESS_RULE}, or a UUID."


def is_uuid(address: str) -> bool:
    """Whether an address is a UUID, in which capitals do not count."""
    return UUID.fullmatch(address) is not None


def _components(document: Document) -> dict[str, ComponentSpec]:
    assert document.root is not None  # noqa: S101 - the caller looked
    node: Node | None = document.root.value.get("components")
    if node is None or node.value is None or node.value == {}:
        place = document.place(("components",)) if node else None
        position = place.key if place else document.root.position
        word = nearest("components", [key for key in document.root.value if key not in Header.model_fields])
        if word is None:
            document.problem(position, "A flow has `components:`, at least an output; there are none.")
        return {}
    if not isinstance(node.value, dict):
        document.problem(node.position, "`components` is a mapping: `Name: {type: …}`.", value=node.plain())
        return {}
    specs = (_component(document, name, inner, node.keys[name]) for name, inner in node.value.items())
    return {spec.id: spec for spec in specs if spec is not None}


def _component(document: Document, name: str, node: Node, at: Position) -> ComponentSpec | None:
    if not COMPONENT_ID.fullmatch(name):
        rule = "letters, digits, `_` and `-`, up to 64 of them, beginning with a letter"
        word = re.sub(r"[^A-Za-z0-9_-]+", "", name)
        document.problem(
            at,
            f"{show(name)} cannot be a component's id: it is {rule}.",
            value=name,
            suggestion=word if COMPONENT_ID.fullmatch(word) else None,
        )
    if not isinstance(node.value, dict):
        document.problem(node.position, f"The component `{name}` is a mapping: `{{type: …}}`.", value=node.plain())
        return None
    fields = node.plain()
    kind, shown = fields.pop("type", None), fields.pop("display_name", None)
    for key, value in (("type", kind), ("display_name", shown)):
        if not isinstance(value, str) and (value is not None or key in node.value):
            message = f"`{key}` of `{name}` is text, not {show(value)}."
            document.problem(node.value[key].position, message, value=value)
    if "type" not in node.value:
        word = nearest("type", fields)
        document.problem(
            node.keys[word] if word else at,
            f"The component `{name}` has no `type`.",
            value=word,
            suggestion="type" if word else None,
        )
    if not isinstance(kind, str):
        return None
    places = {key: Place(node.keys[key], inner.position, inner.text, inner.block) for key, inner in node.value.items()}
    return ComponentSpec(name, kind, shown if isinstance(shown, str) else None, fields, at, places)
