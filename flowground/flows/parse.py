"""A flow file's bytes -> Flow, with every mistake and its position.

A file with outdated words (`OLD_TYPES`, `OLD_FIELDS`) loads, with a warning that names the new word. An outdated word
is accepted for as long as docs/flow-format.md promises.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flowground.core.errors import FlowError, Problem
from flowground.core.words import Schema, describe_kind, find_nearest, find_schema, show
from flowground.core.yaml_file import (
    Document,
    KeyPath,
    Node,
    Position,
    Problems,
    SourceLocation,
    read_document,
)
from flowground.flows.flow import ComponentSpec, Flow, Header, StepSection

MOST_BYTES = 1_048_576
"""The size limit of a flow file, in bytes."""
MOST_COMPONENTS = 500
"""The limit of components: a run steps through all of them on the event loop."""
RESERVED = frozenset({"static", "media", "component", "app", "_stcore"})
"""Addresses of the server itself, which no flow can have."""
ADDRESS = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
COMPONENT_ID = re.compile(r"(?!env:)(?![-+]?[0-9]+$)[^\s.{}?$](?:[^\n\r\t.{}?$]{0,126}[^\s.{}?$])?")
"""Any words, without the characters that have a meaning in a reference."""
ENV = re.compile(r"(?<!\$)\$\{env:([^{}\n]*)\}")
"""The place of a secret: it names an environment variable."""
_LIKE_COMPONENTS = {"steps", "nodes"}
"""Words of other tools for `components`."""


OLD_TYPES: Mapping[str, str] = {
    "LanguageModelComponent": "LanguageModel",
    "Memory": "MessageHistory",
    "ParseData": "Parser",
    "ParserComponent": "Parser",
    "Prompt Template": "Prompt",
    "TypeConverterComponent": "TypeConverter",
}
"""Former words of Langflow for types with the same fields here: people who follow an old export or tutorial write them.
"""
OLD_FIELDS: Mapping[str, Mapping[str, str]] = {"Parser": {"data": "input_data"}}
"""Type -> outdated word for a field -> the present one."""


def parse_flow(text: str | bytes, file: str) -> Flow:
    """The flow in a file's text; `file` is the file's name.

    A flow with `mistakes` lacks the parts that they are about; `wire` looks for more mistakes and then refuses the
    flow. Raises FlowError, and nothing else, where the file cannot be read at all.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    document = read_document(_decode(data, file), file)
    problems, root = document.problems, document.root
    if root is None or root.value is None:
        problems.add(Position(1, 1), "The file is empty: a flow has `components:`.")
        problems.refuse()
    if not isinstance(root.value, dict):
        problems.add(root.position, "A flow is a mapping: `name: …`, `components: …`.", value=root.read_plain())
        problems.refuse()
    _refuse_secrets(root, problems)
    _renew_words(root.value.get("components"), problems)
    header = _read_header(document, root)
    components = _read_components(document, root)
    flow_id = _read_id(document, header, file)
    if header.api.endpoint_name is not None:
        _check_address(document, ("api", "endpoint_name"), header.api.endpoint_name, "endpoint name")
    if not components or len(components) < len(root.value["components"].value):
        problems.refuse()  # references to components that cannot be read are no mistakes
    listed = [("api", "overridable", index, "field") for index in range(len(header.api.overridable or ()))]
    places = {_join_path(path[:3]): document.place(path) for path in [("id",), ("api", "endpoint_name"), *listed]}
    return Flow(
        id=flow_id,
        name=header.name or re.sub(r"[-_.]+", " ", flow_id).title(),
        description=header.description,
        owners=header.owners,
        components=components,
        chat=header.chat,
        api=header.api,
        tests=header.tests,
        version=hashlib.sha256(data).hexdigest()[:12],
        file=file,
        places=places | (_place_all(tests, "tests") if (tests := root.value.get("tests")) else {}),
        warnings=problems.warnings,
        mistakes=problems.found,
        knowledge=header.knowledge,
    )


def describe_size(file: str, size: int) -> Problem:
    """The mistake of a file over the size limit."""
    message = f"The file has {size:,} bytes; {MOST_BYTES:,} is the limit."
    return Problem(file, 1, 1, message)


def is_uuid(address: str) -> bool:
    """Whether an address is a UUID, whose letters may be of either case."""
    return UUID.fullmatch(address) is not None


def _renew_words(components: Node | None, problems: Problems) -> None:
    """Replaces outdated words in the components, with a warning for each; one that has both words stays as it is."""

    def warn(at: Position, old: str, word: str) -> None:
        problems.warn(at, f"`{old}` is an old word for `{word}`: write `{word}`, the old one will go.", value=old)

    nodes = components.value.values() if components and isinstance(components.value, dict) else ()
    for node in nodes:
        kind = node.value.get("type") if isinstance(node.value, dict) else None
        if kind is None or not isinstance(kind.value, str):
            continue
        if word := OLD_TYPES.get(kind.value):
            warn(kind.position, kind.value, word)
            kind.value = word
        for old, word in OLD_FIELDS.get(kind.value, {}).items():
            if old in node.value and word not in node.value:
                warn(node.keys[old], old, word)
                node.value[word], node.keys[word] = node.value.pop(old), node.keys.pop(old)


def _decode(data: bytes, file: str) -> str:
    if len(data) > MOST_BYTES:
        raise FlowError([describe_size(file, len(data))])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"The byte 0x{data[error.start]:02X} is no UTF-8: save the file in that encoding."
        raise FlowError([Problem(file, line, column, message)]) from None


def _refuse_secrets(root: Node, problems: Problems) -> None:
    """Notes each `${env:…}` outside the components; inside, `wiring` knows which fields are secret."""
    for key, node in root.value.items():
        for text in node.list_texts() if key != "components" else ():
            if found := ENV.search(text.value):
                says = "`${env:…}` is read in secret fields of components only, and this is none."
                problems.add(text.place().find_position(text.value, found.start()), says, value=found[0])


def _read_id(document: Document, header: Header, file: str) -> str:
    """The `id:`, else the file's name without its ending; notes what is wrong with the id."""
    if header.id is not None:
        _check_address(document, ("id",), header.id, "id")
        return header.id
    stem = file.removesuffix(".yaml").removesuffix(".yml")
    given = document.root.value.get("id") if document.root else None
    if (given is None or given.value is None) and (wrong := _find_wrong_address(stem)):
        word = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-._")
        message = f"The file's name {stem!r} cannot be the flow's id: {wrong} Rename the file, or give `id:`."
        document.problems.add(Position(1, 1), message, value=stem, suggestion=word)
    return stem


def _check_address(document: Document, path: KeyPath, address: str, kind: str) -> None:
    """Notes what is wrong with the address at `path`; `kind` is what people call it."""
    if wrong := _find_wrong_address(address):
        says = f"{address!r} cannot be an {kind}: {wrong}"
        document.problems.add(document.place(path).value, says, value=address)


def _find_wrong_address(address: str) -> str | None:
    """What is wrong with an id or endpoint name, as a sentence; None where it is valid."""
    if address in RESERVED:
        return "the word is one of the server's own addresses."
    if ADDRESS.fullmatch(address) or is_uuid(address):
        return None
    return (
        "it is small letters, digits, `.`, `_` and `-`, up to 64 of them, beginning with a letter or digit, or a UUID."
    )


def _read_header(document: Document, root: Node) -> Header:
    """Everything except the components. Mistakes are noted, and the parts with mistakes left out."""
    fields = {key: node.read_plain() for key, node in root.value.items() if key != "components"}
    try:
        return Header.model_validate(fields)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        for detail in details:
            _explain_mistake(document, Header, fields, detail)
        for detail in details:
            section, *below = detail["loc"]
            if section == "tests" and below and isinstance(fields.get("tests"), list):
                fields["tests"][int(below[0])] = {}  # only the one test is left out
            else:
                fields.pop(str(section), None)
        return Header.model_validate(fields)


def _explain_mistake(
    document: Document, model: type[BaseModel], given: Any, detail: ErrorDetails, below: KeyPath = ()
) -> None:
    """Notes a mistake that the model finds in the value `given`, which stands at `below` in the file."""
    problems, loc, kind = document.problems, detail["loc"], detail["type"]
    whole, place = (*below, *loc), document.place((*below, *loc))
    if kind == "extra_forbidden":
        known = [*_find_schema(model, loc[:-1]).get("properties", {}), *(["components"] if len(whole) == 1 else [])]
        name, where = str(loc[-1]), f"`{_join_path(whole[:-1])}`" if whole[:-1] else "a flow"
        message, others = f"There is no `{name}` in {where}", f"; it has {', '.join(known)}"
        meant = "components" if name in _LIKE_COMPONENTS and len(whole) == 1 else None
        problems.add(place.key, message, value=name, choices=known, otherwise=others, suggestion=meant)
    elif kind == "missing":
        problems.add(document.place(whole[:-1]).value, f"`{_join_path(whole)}` is missing.")
    elif kind == "value_error":
        problems.add(place.value, f"`{_join_path(whole)}`: {detail['msg'].removeprefix('Value error, ')}.")
    else:
        path = document.find_existing(whole)[len(below) :]
        value: Any = given
        for part in path:
            value = value[part]
        schema = _find_schema(model, path)
        message = f"`{_join_path((*below, *path))}` is {_describe_bounded(schema)}, not {show(value)}."
        problems.add(place.value, message, value=value, choices=schema.get("enum", ()))


@lru_cache(256)
def _find_schema(model: type[BaseModel], path: KeyPath) -> Schema:
    """The schema of the value at `path`, with the definitions that it refers to."""
    whole = model.model_json_schema()
    return {"$defs": whole.get("$defs", {}), **find_schema(whole, path)}


def _describe_bounded(schema: Schema) -> str:
    kind = describe_kind(schema)
    if schema.get("type") == "string" and "maxLength" in schema:
        return f"{kind} of 1 to {schema['maxLength']} characters"
    if schema.get("type") == "array" and "maxItems" in schema:
        return f"{kind}, up to {schema['maxItems']}"
    return kind


def _place_all(node: Node, path: str, key: Position | None = None) -> dict[str, SourceLocation]:
    """The places of a value and of everything inside it, by dotted path."""
    places = {path: node.place(key)}
    if isinstance(node.value, dict):
        for name, inner in node.value.items():
            places |= _place_all(inner, f"{path}.{name}", node.keys[name])
    for index, inner in enumerate(node.value if isinstance(node.value, list) else ()):
        places |= _place_all(inner, f"{path}.{index}")
    return places


def _join_path(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)


def _read_components(document: Document, root: Node) -> dict[str, ComponentSpec]:
    """Components by id, in the file's order, without those that cannot be read; notes what is wrong."""
    problems = document.problems
    node: Node | None = root.value.get("components")
    if node is None or node.value is None or node.value == {}:
        # A misspelt `components` has been noted already, as an unknown key of the flow.
        unknown = [key for key in root.value if key not in Header.model_fields]
        if node is not None or not (_LIKE_COMPONENTS & {*unknown} or find_nearest("components", unknown)):
            at = root.keys["components"] if node else root.position
            problems.add(at, "A flow has `components:`, at least an output; there are none.")
        return {}
    if not isinstance(node.value, dict):
        problems.add(node.position, "`components` is a mapping: `Name: {type: …}`.", value=node.read_plain())
        return {}
    if len(node.value) > MOST_COMPONENTS:
        name = list(node.value)[MOST_COMPONENTS]
        problems.add(node.keys[name], f"A flow has at most {MOST_COMPONENTS} components.", value=name)
        return {}
    specs = (_read_component(document, name, inner, node.keys[name]) for name, inner in node.value.items())
    return {spec.id: spec for spec in specs if spec is not None}


def _read_component(document: Document, name: str, node: Node, at: Position) -> ComponentSpec | None:
    problems = document.problems
    is_named = COMPONENT_ID.fullmatch(name) and name.isprintable()
    if not is_named:
        rule = "up to 128 letters on one line, without `.`, `{`, `}`, `?` and `$`, and no number"
        legal = re.sub(r"[.{}?$]|[^\x20-\x7e]", "", name).strip()
        word = legal if COMPONENT_ID.fullmatch(legal) else None
        problems.add(at, f"{show(name)} cannot be a component's id: it is {rule}.", value=name, suggestion=word)
    if not isinstance(node.value, dict):
        problems.add(node.position, f"The component `{name}` is a mapping: `{{type: …}}`.", value=node.read_plain())
        return None
    fields = node.read_plain()
    kind, shown = fields.pop("type", None), fields.pop("display_name", None)
    step = StepSection()
    if "step" in fields and not isinstance(fields["step"], str):  # a text is the value of a template's variable
        step = _read_step(document, name, fields.pop("step"))
    for key, given in (("type", kind), ("display_name", shown)):
        if not isinstance(given, str) and key in node.value:
            message = f"`{key}` of `{name}` is text, not {show(given)}."
            problems.add(node.value[key].position, message, value=given)
    if "type" not in node.value:
        word = find_nearest("type", fields)
        message, suggestion = f"The component `{name}` has no `type`.", "type" if word else None
        problems.add(node.keys[word] if word else at, message, value=word, suggestion=suggestion)
    if not isinstance(kind, str) or not is_named:
        return None
    places = {key: inner.place(node.keys[key]) for key, inner in node.value.items()}
    if "step" not in fields and "step" in node.value and isinstance(node.value["step"].value, dict):
        below = node.value["step"]
        places |= {f"step.{key}": inner.place(below.keys[key]) for key, inner in below.value.items()}
    return ComponentSpec(name, kind, shown if isinstance(shown, str) else None, fields, at, places, step)


def _read_step(document: Document, name: str, given: Any) -> StepSection:
    """The component's `step:`; notes what is wrong with it."""
    try:
        return StepSection.model_validate(given)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            _explain_mistake(document, StepSection, given, detail, ("components", name, "step"))
        return StepSection()
