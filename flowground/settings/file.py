"""A config file as plain data that knows where everything stands: mistakes are named by file, line and place."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.constructor import ConstructorError, SafeConstructor

from flowground.errors import ConfigError, FlowError
from flowground.providers import KINDS
from flowground.words import describe_kind, join_words, suggest
from flowground.yaml_file.document import Document, KeyPath, Problems
from flowground.yaml_file.reader import WORDS, Dialect, read_document

_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_TEXTS_IN_1_2 = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "timestamp", "value")}


class _Scalars(SafeConstructor, yaml.resolver.Resolver):
    """Reads words as YAML 1.2 does, like flow files; numbers still in every form of 1.1 (`1_000`, `0x1F`, `10:00`)."""

    def __init__(self) -> None:
        SafeConstructor.__init__(self)
        yaml.resolver.Resolver.__init__(self)

    def read(self, event: yaml.ScalarEvent) -> Any:
        """The value of one scalar, by its tag where it has one."""
        tag = event.tag
        mark: Any = event.start_mark  # libyaml's is as good as PyYAML's own, which alone its types know
        if tag in (None, "!"):
            tag = self.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]  # PyYAML's
            if tag in _TEXTS_IN_1_2 and not isinstance(WORDS.get(event.value), bool):
                return event.value
        try:
            return self.construct_object(yaml.ScalarNode(tag, event.value, mark))
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            kind = str(tag).rpartition(":")[2]
            raise ConstructorError(None, None, f"this is no {kind}", mark) from None


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`data` as the YAML says it."""

    name: str
    data: dict[str, Any]
    document: Document

    def say(self, place: KeyPath, message: str) -> str:
        """`config.yaml:12: limits.body_bytes: message`; the line of the nearest part of the place that is written."""
        written = self.document.find_existing(place)
        at = f"{self.name}:{self.document.place(written).key.line}" if written else self.name
        where = ".".join(str(part) for part in place)
        return f"{at}: {where}: {message}" if where else f"{at}: {message}"


def read_config(path: Path) -> ConfigFile:
    """The file's content; a missing or empty file is an empty mapping. Raises ConfigError, naming the line."""
    if not path.exists():
        return ConfigFile(path.name, {}, Document(None, Problems(path.name)))
    dialect = Dialect("config file", _Scalars().read, is_extended=True, said_twice="{path}: given twice")
    try:
        document = read_document(path.read_text("utf-8"), path.name, dialect)
        if document.problems:
            document.problems.refuse()
    except FlowError as error:
        lines = (f"{mistake.file}:{mistake.line}: {mistake.message.removesuffix('.')}" for mistake in error.problems)
        raise ConfigError("\n".join(lines)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from None
    data = document.root.read_plain() if document.root else None
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{path.name}:1: settings are a mapping, this is a {type(data).__name__}")
    return ConfigFile(path.name, data or {}, document)


def fill_variables(text: str) -> tuple[str | None, tuple[str, ...]]:
    """The text with `${env:NAME}` replaced, and the names that are not set; with such a name the text is None."""
    missing = tuple(name for name in _ENV.findall(text) if name not in os.environ)
    return (None if missing else _ENV.sub(lambda match: os.environ[match[1]], text)), missing


def find_variables(value: object, place: KeyPath = ()) -> Iterator[KeyPath]:
    """Where `${env:NAME}` still stands: places at which nothing replaces it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from find_variables(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_variables(item, (*place, index))
    elif isinstance(value, str) and _ENV.search(value):
        yield place


def find_mistakes(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[KeyPath, str]]:
    """Pydantic's findings in plain words, without the values; unknown settings with the nearest right one."""
    for problem in error.errors(include_url=False):
        place: KeyPath = problem["loc"]
        kind = KINDS.get(str(place[2])) if place[:1] == ("providers",) and len(place) > 2 else None
        if kind:  # pydantic puts an entry's kind between its name and its setting
            place = place[:2] + place[3:]
        match problem["type"]:
            case "extra_forbidden" if kind and (others := _find_kinds(str(place[-1]))):
                yield place, f"belongs to providers of type {join_words(others, 'or')}, this is {problem['loc'][2]}"
            case "extra_forbidden":
                known = _list_names(kind, place[2:]) if kind else _list_names(model, place)
                yield place, "unknown setting" + suggest(str(place[-1]), known)
            case "union_tag_not_found":
                yield place, "says neither `type` nor `base_url`" + suggest(str(place[-1]), KINDS)
            case "union_tag_invalid":
                yield (*place, "type"), f"should be {join_words(map(repr, KINDS), 'or')}"
            case _:
                yield place, _say_wrong(problem, kind or model, place[2:] if kind else place)


def _say_wrong(problem: ErrorDetails, model: type[BaseModel], place: KeyPath) -> str:
    """What is wrong with the value of the setting at `place` of `model`."""
    said = problem["msg"].removeprefix("Value error, ")
    match problem["type"]:
        case "value_error":
            return said
        case "missing":
            return "is missing"
        case "string_type":
            return "is a text: put it in quotes"
        case "tuple_type":
            given = problem["input"]  # no list holds secrets
            return f"is a list: write [{given}]" if isinstance(given, str) else "is a list: write [one, two]"
        case "model_type" | "dict_type" | "model_attributes_type":
            return "is a mapping: its settings stand below it, indented, as `name: value`"
        case "too_long" | "too_short" | "string_too_long" | "string_too_short":
            said = said.replace(" after validation", "").replace("items", "entries")
            return said.removeprefix("String ").removeprefix("Tuple ")
    return _say_bounds(model, place) or said.removeprefix("Input ")


def _say_bounds(model: type[BaseModel], place: KeyPath) -> str | None:
    """What the setting takes, as docs/settings.md has it; None for texts, of which that would say too little."""
    whole = model.model_json_schema()
    schema: Any = whole
    for part in place:
        for _ in range(2):  # an optional section: one of several, and that one's definition
            schema = next((one for one in schema.get("anyOf", ()) if one.get("type") != "null"), schema)
            schema = whole["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        inner = schema.get("items") if isinstance(part, int) else schema.get("properties", {}).get(part)
        schema = inner or schema.get("additionalProperties")
        if not isinstance(schema, dict):
            return None
    said = describe_kind(schema, whole.get("$defs", {}))
    return None if said == "text" else f"should be {said}"


def _find_kinds(setting: str) -> list[str]:
    """The kinds of provider that have such a setting."""
    return [name for name, kind in KINDS.items() if setting in kind.model_fields]


def _list_names(model: type[BaseModel], place: KeyPath) -> list[str]:
    """The settings that may stand beside the last part of a place."""
    kind: Any = model
    for part in place[:-1]:
        is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
        kind = kind.model_fields[str(part)].annotation if is_model else get_args(kind)[-1]
    return [name for name, field in kind.model_fields.items() if not field.exclude]
