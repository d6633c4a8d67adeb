"""A config file as plain data, with the line of every key: mistakes are named by file, line and place."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from flowground.errors import ConfigError, nearest
from flowground.flow.scalars import WORDS
from flowground.providers import KINDS

Place = tuple[int | str, ...]
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
# libyaml reads the file some ten times faster where PyYAML brings it.
_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXTS_IN_1_2 = {f"{_TAG}{kind}" for kind in ("bool", "timestamp", "value")}


class _ConfigLoader(_Loader):  # type: ignore[misc, valid-type]  # which of PyYAML's two is known at run time only
    """Reads words as YAML 1.2 does, like flow files; numbers still in every form of 1.1 (`1_000`, `0x1F`, `10:00`)."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        tag = str(super().resolve(kind, value, implicit))
        is_text = tag in _TEXTS_IN_1_2 and not isinstance(WORDS.get(value), bool)
        return f"{_TAG}str" if is_text else tag


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`data` as the YAML says it; `lines` gives the line, from 1, of each key and list item."""

    name: str
    data: dict[str, Any]
    lines: Mapping[Place, int]

    def mistake(self, place: Place, message: str) -> str:
        """`config.yaml:12: limits.body_bytes: message`; the line of the nearest part of the place that is written."""
        line = next((self.lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self.lines), None)
        at = f"{self.name}:{line}" if line else self.name
        where = ".".join(str(part) for part in place)
        return f"{at}: {where}: {message}" if where else f"{at}: {message}"


def read_config(path: Path) -> ConfigFile:
    """The file's content; a missing or empty file is an empty mapping. Raises ConfigError, naming the line."""
    if not path.exists():
        return ConfigFile(path.name, {}, {})
    try:
        loader = _ConfigLoader(path.read_text("utf-8"))
        node = loader.get_single_node()
        lines = dict(_lines(node, path.name))
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path.name}{line}: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path.name}: cannot be read: {error.strerror}") from None
    if data is not None and not isinstance(data, dict):
        raise ConfigError(f"{path.name}:1: settings are a mapping, this is a {type(data).__name__}")
    return ConfigFile(path.name, data or {}, lines)


def _lines(node: yaml.Node | None, name: str, place: Place = ()) -> Iterator[tuple[Place, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(f"{name}:{line}: {'.'.join(map(str, (*place, key.value)))}: given twice")
            seen.add(key.value)
            yield (*place, key.value), line
            yield from _lines(value, name, (*place, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item.start_mark.line + 1
            yield from _lines(item, name, (*place, index))


def fill_variables(text: str) -> tuple[str | None, tuple[str, ...]]:
    """The text with `${env:NAME}` replaced, and the names that are not set; with such a name the text is None."""
    missing = tuple(name for name in _ENV.findall(text) if name not in os.environ)
    return (None if missing else _ENV.sub(lambda match: os.environ[match[1]], text)), missing


def find_variables(value: object, place: Place = ()) -> Iterator[Place]:
    """Where `${env:NAME}` still stands: places at which nothing replaces it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from find_variables(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_variables(item, (*place, index))
    elif isinstance(value, str) and _ENV.search(value):
        yield place


def find_mistakes(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Place, str]]:
    """Pydantic's findings in plain words, without the values; unknown settings with the nearest right one."""
    for problem in error.errors(include_input=False, include_url=False):
        place: Place = problem["loc"]
        kind = KINDS.get(str(place[2])) if place[:1] == ("providers",) and len(place) > 2 else None
        if kind:  # pydantic puts an entry's kind between its name and its setting
            place = place[:2] + place[3:]
        match problem["type"]:
            case "extra_forbidden" if kind and (others := _kinds_with(str(place[-1]))):
                yield place, f"belongs to providers of type {join_words(others, 'or')}, this is {problem['loc'][2]}"
            case "extra_forbidden":
                word = nearest(str(place[-1]), _names(kind, place[2:]) if kind else _names(model, place))
                yield place, "unknown setting" + (f" (did you mean {word}?)" if word else "")
            case "union_tag_not_found":
                word = nearest(str(place[-1]), KINDS)
                yield place, "says neither `type` nor `base_url`" + (f" (did you mean {word}?)" if word else "")
            case "union_tag_invalid":
                yield (*place, "type"), f"should be {join_words(map(repr, KINDS), 'or')}"
            case _:
                yield place, problem["msg"].removeprefix("Value error, ").removeprefix("Input ")


def join_words(words: Iterable[str], last: str) -> str:
    """`a, b and c`, with `last` for the "and"."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def _kinds_with(setting: str) -> list[str]:
    """The kinds of provider that have such a setting."""
    return [name for name, kind in KINDS.items() if setting in kind.model_fields]


def _names(model: type[BaseModel], place: Place) -> list[str]:
    """The settings that may stand beside the last part of a place."""
    kind: Any = model
    for part in place[:-1]:
        is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
        kind = kind.model_fields[str(part)].annotation if is_model else get_args(kind)[-1]
    return [name for name, field in kind.model_fields.items() if not field.exclude]
