"""Which fields of a flow a caller may set, and why the others are shut."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowground.components.facts import fact_of, facts_of
from flowground.errors import nearest
from flowground.flow import Overridable
from flowground.flow.words import cut, list_names
from flowground.graph import Reference
from flowground.wiring import WiredFlow

_NAMED = 10
"""Parts of a connected text that are looked at for what fills it."""
_PROTECTED = "The field is protected and keeps the value set by the flow author"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one tweak cannot be; `mild` ones are warnings where the settings say so."""

    field: str
    message: str
    mild: bool = False


class Doors:
    """A flow's fields as one caller finds them.

    With `inside` False the caller sees the flow from outside: only what `api.overridable` lists is there, and no
    refusal tells of anything else.
    """

    def __init__(self, flow: WiredFlow, *, inside: bool) -> None:
        self._flow = flow
        self._inside = inside
        listed = flow.flow.api.overridable
        self._fields: dict[str, list[str]] | None = None
        shown = flow.display_names
        if not inside:
            opened = {entry.field.partition(".")[0] for entry in listed or ()}
            shown = {name: title for name, title in shown.items() if name in opened}
        self._named = {title: name for name, title in shown.items()} | {name: name for name in shown}
        self.listed: Mapping[str, Overridable] | None = None
        if listed is not None or not inside:
            self.listed = {entry.field: entry for entry in listed or ()}

    def component(self, key: str) -> str | None:
        """The id of the component with this id or display name, the last of several alike."""
        return self._named.get(key)

    def holders(self, key: str) -> list[str]:
        """The components that have a field of this name."""
        if self._fields is None:
            self._fields = {}
            for name, component in self._flow.components.items():
                for known in (*facts_of(type(component)), *(component.model_extra or ())):
                    self._fields.setdefault(known, []).append(name)
        return self._fields.get(key, [])

    def refusal(self, name: str, key: str) -> Refusal | None:
        """Why this field of a component cannot be set; None where it can."""
        field = f"{name}.{cut(key)}"
        if not self._inside and f"{name}.{key}" not in (self.listed or ()):
            return self._unlisted(key, field, mild=True)
        if not self._has(name, key):
            if key == "code":  # the field that Langflow's components have, and its words
                return Refusal(key, f"{_PROTECTED}: `{field}`.")
            return self._no_field(name, key)
        if text := self._flow.connections.get(name, {}).get(key):
            references = (part for part in text.parts[:_NAMED] if isinstance(part, Reference))
            source = " and ".join(dict.fromkeys(f"`{reference}`" for reference in references))
            return Refusal(key, f"`{field}` is filled by {source}: a tweak has no effect there.", mild=True)
        if self.listed is not None:
            return None if f"{name}.{key}" in self.listed else self._unlisted(key, field)
        facts = fact_of(type(self._flow.components[name]), key)
        return Refusal(key, f"{_PROTECTED}: `{field}`.") if facts and facts.protected else None

    def no_component(self, key: str) -> Refusal:
        """The answer to fields of a component that is not there."""
        if self.listed is not None:
            return self._unlisted(key, cut(key), mild=True)
        if self.holders(key):
            return Refusal(key, f"A tweak of `{key}` everywhere is a plain value, not an object.", mild=True)
        known = [*self._flow.components, *self._flow.display_names.values()]
        return Refusal(key, f"The flow has no component `{cut(key)}`{_meant(key, known)}", mild=True)

    def no_field_anywhere(self, key: str) -> Refusal:
        """The answer to a global tweak of a field that no component has, or none that this caller sees."""
        if self.listed is not None:
            return self._unlisted(key, cut(key), mild=True)
        known = {known for component in self._flow.components.values() for known in facts_of(type(component))}
        word = nearest(cut(key), sorted(known)) or nearest(cut(key), self._flow.components)
        hint = f": did you mean `{word}`?" if word else "."
        return Refusal(key, f"No component of the flow has a field `{cut(key)}`{hint}", mild=True)

    def _has(self, name: str, key: str) -> bool:
        component = self._flow.components[name]
        return key in facts_of(type(component)) or key in (component.model_extra or {})

    def _no_field(self, name: str, key: str) -> Refusal:
        if self.listed is not None:
            return self._unlisted(key, f"{name}.{cut(key)}", mild=True)
        component = self._flow.components[name]
        known = [*facts_of(type(component)), *(component.model_extra or ())]
        return Refusal(key, f"`{name}` has no field `{cut(key)}`{_meant(key, known)}", mild=True)

    def _unlisted(self, key: str, what: str, *, mild: bool = False) -> Refusal:
        names = list_names(f"`{name}`" for name in self.listed or ()) or "no field"
        return Refusal(key, f"`{what}` cannot be set here: the flow's author opened {names}.", mild)


def _meant(word: str, known: Iterable[str]) -> str:
    names = tuple(dict.fromkeys(known))
    found = nearest(cut(word), names)
    return f": did you mean `{found}`?" if found else f"; it has {list_names(names)}."
