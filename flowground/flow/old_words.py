"""Words of flow files that have a better one now: a file that has one loads, and its author is told the new word.

A word that is to go gets its line here, and stays for as long as docs/flow-format.md promises.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowground.yaml_file.document import Node, Problems


@dataclass(frozen=True, slots=True)
class OldWords:
    """`types` are component types, `fields` the fields of each type by its present name: old word -> the one now."""

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
"""Langflow's words of before for what has the same fields here: who writes a flow by an old export or tutorial types
them."""


def renew_words(root: Node, problems: Problems, old: OldWords) -> None:
    """Writes the present words into a file's tree, and notes a warning for each; what has both words stays as it is."""
    fields: dict[str, Mapping[str, str]] = {}
    for name, component in _list_inside(root, "components"):
        kind = component.value.get("type") if isinstance(component.value, dict) else None
        if kind is None or not isinstance(kind.value, str):
            continue
        if word := old.types.get(kind.value):
            problems.warn(kind.position, _say(kind.value, word), value=kind.value)
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
            problems.warn(item.position, _say(item.value, f"{name}.{word}"), value=item.value)
            item.value = f"{name}.{word}"


def _renew_fields(component: Node, words: Mapping[str, str], problems: Problems) -> None:
    renewed = {key: word for key in component.value if (word := words.get(key)) and word not in component.value}
    if not renewed:
        return
    for key, word in renewed.items():
        problems.warn(component.keys[key], _say(key, word), value=key)
    component.value = {renewed.get(key, key): node for key, node in component.value.items()}
    component.keys = {renewed.get(key, key): at for key, at in component.keys.items()}


def _list_inside(root: Node, key: str) -> list[tuple[str, Node]]:
    inner = root.value.get(key)
    return [*inner.value.items()] if inner is not None and isinstance(inner.value, dict) else []


def _say(old: str, word: str) -> str:
    return f"`{old}` is an old word for `{word}`: write `{word}`, the old one will go."
