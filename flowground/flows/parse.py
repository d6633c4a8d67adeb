"""A flow file's bytes -> Flow, with every mistake and its position.

A file with outdated words (`OLD_WORDS`) loads, with a warning that names the new word. An outdated word is accepted for
as long as docs/flow-format.md promises.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from flowground.core.errors import FlowError, Problem
from flowground.core.words import Schema, describe_kind, find_nearest, show
from flowground.core.yaml_file import (
    Dialect,
    Document,
    KeyPath,
    Node,
    Position,
    Problems,
    SourceLocation,
    read_document,
)
from flowground.flows.flow import ComponentSpec, Flow, Header, StepSection

FLOW_FILE = Dialect("flow file", most_values=20_000)
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


@dataclass(frozen=True, slots=True)
class OldWords:
    """Outdated word -> present word: `types` of components, and `fields` by the present name of their type."""

    types: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


OLD_WORDS = OldWords(
    types={
        "LanguageModelComponent": "LanguageModel",
        "Memory": "MessageHistory",
        "ParseData": "Parser",
        "ParserComponent": "Parser",
        "Prompt Template": "Prompt",
        "TypeConverterComponent": "TypeConverter",
    },
    fields={"Parser": {"data": "input_data"}},
)
"""Former words of Langflow for types with the same fields here: people who follow an old export or tutorial write them.
"""


def renew_words(root: Node, problems: Problems, old: OldWords) -> None:
    """Replaces outdated words in a file's tree, with a warning for each; a mapping that has both words stays as it
    is."""
    fields: dict[str, Mapping[str, str]] = {}
    for name, component in _list_inside(root, "components"):
        kind = component.value.get("type") if isinstance(component.value, dict) else None
        if kind is None or not isinstance(kind.value, str):
            continue
        if word := old.types.get(kind.value):
            problems.warn(kind.position, _explain_old_word(kind.value, word), value=kind.value)
            kind.value = word
        fields[name] = old.fields.get(kind.value, {})
        _renew_fields(component, fields[name], problems)
    overridable = dict(_list_inside(root, "api")).get("overridable")
    for entry in overridable.value if overridable and isinstance(overridable.value, list) else ():
        item = entry.value.get("field") if isinstance(entry.value, dict) else entry
        if item is None or not isinstance(item.value, str):
            continue
        name, _, field = item.value.partition(".")
        if word := fields.get(name, {}).get(field):
            problems.warn(item.position, _explain_old_word(item.value, f"{name}.{word}"), value=item.value)
            item.value = f"{name}.{word}"


def parse_flow(text: str | bytes, file: str, *, old_words: OldWords = OLD_WORDS) -> Flow:
    """The flow in a file's text; `file` is the file's name.

    A flow with `mistakes` lacks the parts that they are about; `wire` looks for more mistakes and then refuses the
    flow. Raises FlowError, and nothing else, where the file cannot be read at all.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    document = read_document(_decode(data, file), file, FLOW_FILE)
    problems, root = document.problems, document.root
    if root is None or root.value is None:
        problems.add(Position(1, 1), "The file is empty: a flow has `components:`.")
        problems.refuse()
    if not isinstance(root.value, dict):
        problems.add(root.position, "A flow is a mapping: `name: …`, `components: …`.", value=root.read_plain())
        problems.refuse()
    _refuse_secrets(root, problems)
    renew_words(root, problems, old_words)
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


def _renew_fields(component: Node, words: Mapping[str, str], problems: Problems) -> None:
    renewed = {key: word for key in component.value if (word := words.get(key)) and word not in component.value}
    if not renewed:
        return
    for key, word in renewed.items():
        problems.warn(component.keys[key], _explain_old_word(key, word), value=key)
    component.value = {renewed.get(key, key): node for key, node in component.value.items()}
    component.keys = {renewed.get(key, key): at for key, at in component.keys.items()}


def _list_inside(root: Node, key: str) -> list[tuple[str, Node]]:
    inner = root.value.get(key)
    return [*inner.value.items()] if inner is not None and isinstance(inner.value, dict) else []


def _explain_old_word(old: str, word: str) -> str:
    return f"`{old}` is an old word for `{word}`: write `{word}`, the old one will go."


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
    given = {key: node.read_plain() for key, node in root.value.items() if key != "components"}
    try:
        return Header.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        for detail in details:
            _explain_header(document, given, detail)
        for detail in details:
            _leave_out(given, detail["loc"])
        return Header.model_validate(given)


def _leave_out(given: dict[str, Any], place: KeyPath) -> None:
    """Removes the section of the header with the mistake; in `tests`, only the one test becomes empty."""
    section, *below = place
    tests = given.get("tests")
    if section == "tests" and below and isinstance(tests, list):
        tests[int(below[0])] = {}
    else:
        given.pop(str(section), None)


def _explain_header(document: Document, given: dict[str, Any], detail: ErrorDetails) -> None:
    problems, loc, kind = document.problems, detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        known = [*_find_schema(loc[:-1]).get("properties", {}), *(["components"] if len(loc) == 1 else [])]
        name, where = str(loc[-1]), f"`{_join_path(loc[:-1])}`" if loc[:-1] else "a flow"
        message, others = f"There is no `{name}` in {where}", f"; it has {', '.join(known)}"
        meant = "components" if name in _LIKE_COMPONENTS and len(loc) == 1 else None
        at = document.place(loc).key
        problems.add(at, message, value=name, choices=known, otherwise=others, suggestion=meant)
    elif kind == "missing":
        problems.add(document.place(loc[:-1]).value, f"`{_join_path(loc)}` is missing.")
    elif kind == "value_error":
        says = detail["msg"].removeprefix("Value error, ")
        problems.add(document.place(loc).value, f"`{_join_path(loc)}`: {says}.")
    else:
        path = document.find_existing(loc)
        value: Any = given
        for part in path:
            value = value[part]
        message = f"`{_join_path(path)}` is {_describe_bounded(_find_schema(path))}, not {show(value)}."
        problems.add(document.place(path).value, message, value=value)


@cache
def _describe_header() -> Schema:
    return Header.model_json_schema()


def _find_schema(path: KeyPath) -> Schema:
    """The schema of the value at `path` of the header."""
    schema = _resolve(_describe_header())
    for part in path:
        inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        inner = inner or schema.get("additionalProperties")  # a mapping with free names
        schema = _resolve(inner if isinstance(inner, dict) else {})
    return schema


def _resolve(schema: Schema) -> Schema:
    if "anyOf" in schema:
        schema = next((part for part in schema["anyOf"] if part.get("type") != "null"), schema)
    if "$ref" in schema:
        schema = _describe_header()["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _describe_bounded(schema: Schema) -> str:
    kind = describe_kind(schema, _describe_header()["$defs"])
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
    specs = (_read_component(problems, name, inner, node.keys[name]) for name, inner in node.value.items())
    return {spec.id: spec for spec in specs if spec is not None}


def _read_component(problems: Problems, name: str, node: Node, at: Position) -> ComponentSpec | None:
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
        step = _read_step(problems, name, node.value["step"])
        del fields["step"]
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


def _read_step(problems: Problems, name: str, node: Node) -> StepSection:
    """The component's `step:`; notes what is wrong with it."""
    try:
        return StepSection.model_validate(node.read_plain())
    except ValidationError as error:
        known = tuple(StepSection.model_fields)
        for detail in error.errors(include_url=False, include_context=False):
            key = str(detail["loc"][0]) if detail["loc"] else ""
            if detail["type"] == "extra_forbidden":
                says, otherwise = f"There is no `{key}` in `step`", f"; it has {', '.join(known)}"
                problems.add(node.keys[key], says, value=key, choices=known, otherwise=otherwise)
            elif key:
                schema = StepSection.model_json_schema()["properties"][key]
                value = node.value[key]
                says = f"`step.{key}` of `{name}` is {_describe_bounded(schema)}, not {show(value.read_plain())}"
                problems.add(value.position, says, value=value.read_plain(), choices=schema.get("enum", ()))
            else:
                says = f"`step` of `{name}` is a mapping: `{{on_error: continue, fallback: …}}`"
                problems.add(node.position, says, value=node.read_plain())
        return StepSection()
