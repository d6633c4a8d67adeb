"""Which fields of a flow a caller may set, which values the fields take, and the sentences of refusal.

`FlowPolicy` decides about fields, `check_values` and `check_bounds` about values.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from flowground.components.base import INPUT, LONGEST_TEXT, Component
from flowground.components.schemas import read_json_text
from flowground.core.caller import Caller, Right
from flowground.core.errors import RunError
from flowground.core.values import write_text
from flowground.core.words import cut, find_nearest, list_names, show
from flowground.flows.fields import FieldPolicy, FieldType, compile_component, find_message_kind, is_asked, list_types
from flowground.flows.graph import FlowParts, Reference

_NAMED = 10
"""The most parts of a text with references that are searched for what fills the field."""
IGNORED = "session_id"
"""A tweak that Langflow ignores: the request has a field of this name."""
_UNCHANGED: Mapping[str, Sequence[Any]] = {
    "sender": ("User", "Machine"), "sender_name": ("User", "AI"), "should_store_message": (True,), "max_tokens": (0,),
    "data_template": ("{text}",), "clean_data": (True,), "max_retries": (5,), "timeout": (700,),
    "json_mode": (False,), "verbose": (True,), "handle_parsing_errors": (True,),
}  # fmt: skip
"""Langflow's fields with the initial values of its components: its snippets always send all of them."""
_PROTECTED = "The field is protected and keeps the value set by the flow author"
_AROUND = {"value", "load_from_db"}
"""Keys of the object that Langflow's clients put around a value."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one tweak is refused; with `may_warn`, settings can turn the refusal into a warning.

    `lacks` is the right with which another token of the same owner might set the field, or would get a fuller answer.
    """

    field: str
    message: str
    may_warn: bool = False
    lacks: Right | None = None


class FlowPolicy:
    """The policies of all fields of one version of a flow, and the refusals that callers get.

    What a caller sees and what a caller may set are separate questions. Callers who see the flow from outside learn
    about the fields in `api.overridable` and about no others, even where they may set more: refusals repeat what the
    caller sent, and are alike for fields that do not exist, are protected or are connected.
    """

    def __init__(self, parts: FlowParts, titles: Mapping[str, str]) -> None:
        """`api.overridable` has been checked before; the last of two entries for one field counts."""
        listed = parts.flow.api.overridable
        entries = {entry.field: entry for entry in listed or ()}
        self.opened = None if listed is None else tuple(entries)
        self._owners = parts.flow.owners
        self.fields: Mapping[str, Mapping[str, FieldPolicy]] = {
            name: compile_component(parts, name, entries) for name in parts.components
        }
        places = (entry.partition(".") for entry in entries)
        opened = [self.fields[name][key] for name, _, key in places]
        kinds = {name: type(component) for name, component in parts.components.items()}
        self.inputs = tuple((kinds[one.component].input_kind, one) for one in opened if one.name == INPUT)
        """Opened fields that a request's message fills, each with the kind of input that its component takes."""
        self._titles = titles
        self._kinds = {*kinds.values()}
        message = find_message_kind(self._kinds)
        self.asked = tuple(
            field
            for field, entry in zip(opened, entries.values(), strict=True)
            if is_asked(entry, kinds[field.component], message=message)
        )
        """The opened fields that the playground asks people for, in the author's order."""
        self.required = tuple(field for field in self.asked if field.is_required)
        """The asked fields that must have a value before a run begins."""
        self._listed = {field.component for field in opened}

    @cached_property
    def holders(self) -> Mapping[str, Sequence[str]]:
        """The components that have a field of this name."""
        holders: dict[str, list[str]] = {}
        for name, fields in self.fields.items():
            for key in fields:
                holders.setdefault(key, []).append(name)
        return holders

    @cached_property
    def _named(self) -> Mapping[bool, Mapping[str, str]]:
        """Component ids by display name and by id: under True those of all components, under False those of opened
        fields.
        """
        known = {True: self._titles, False: {name: self._titles[name] for name in self._titles if name in self._listed}}
        return {
            names_all: {title: name for name, title in names.items()} | {name: name for name in names}
            for names_all, names in known.items()
        }

    def list_fields(self, caller: Caller) -> dict[str, dict[str, FieldPolicy]]:
        """The fields that the caller may see, by component in the file's order; components without such a field are
        left out.
        """
        seen = {
            name: {key: policy for key, policy in fields.items() if caller.sees_inside or policy.opened}
            for name, fields in self.fields.items()
        }
        return {name: fields for name, fields in seen.items() if fields}

    def find_component(self, key: str, caller: Caller) -> str | None:
        """The id of the component with this id or display name; the last of several with the same display name."""
        may_name = caller.sets_unprotected and self.opened is None
        names_all = caller.sees_inside or may_name or caller.unlocks != "none"
        return self._named[names_all].get(key)

    def is_secret(self, name: str, key: str) -> bool:
        """Whether a field's value must not be shown or written down."""
        policy = self.fields.get(name, {}).get(key)
        return policy is not None and policy.type.is_secret

    def may_set(self, policy: FieldPolicy, caller: Caller) -> bool:
        """Whether this caller may set this field to some value. All callers of the code rely on this answer alone."""
        if policy.closed:
            return self._may_unlock(policy, caller)
        return policy.opened is not None or caller.sets_unprotected

    def _may_unlock(self, policy: FieldPolicy, caller: Caller) -> bool:
        """Whether this is a person at a page who owns the flow, and the field is neither secret nor fixed in the
        file."""
        field = policy.type
        if policy.closed == "filled" or field.is_secret or field.is_fixed or field.wants == "files":
            return False
        if caller.role != "admin" and self._owners is not None and caller.person not in self._owners:
            return False
        return caller.unlocks == "protected" or (caller.unlocks == "unlisted" and field.callers_may_set)

    def refuse(self, name: str, key: str, *, caller: Caller, sent: str | None = None) -> Refusal | None:
        """The refusal of a field of a component, which the caller called `sent`; None where the caller may set the
        field.
        """
        policy = self.fields[name].get(key)
        if policy is not None and self.may_set(policy, caller):
            return None
        if not caller.sees_inside:
            return self._refuse_unseen(key, f"{cut(sent or name)}.{cut(key)}", caller)
        what = f"{name}.{cut(key)}"
        if policy is None:
            return self._refuse_unknown(name, key, what)
        if policy.filled_by:
            references = (part for part in policy.filled_by.parts[:_NAMED] if isinstance(part, Reference))
            source = " and ".join(dict.fromkeys(f"`{reference}`" for reference in references))
            return Refusal(key, f"`{what}` is filled by {source}: a tweak has no effect there.", may_warn=True)
        if policy.closed == "unlisted":
            return self._refuse_unlisted(key, what)
        if policy.closed:
            return Refusal(key, f"{_PROTECTED}: `{what}`.")
        return self._refuse_token(key, what)

    def asks_nothing(self, name: str | None, key: str, value: Any, caller: Caller) -> bool:
        """Whether a tweak of a field that the caller may not set changes nothing. `name` is the component, if it is
        known.

        Empty values and the initial values of Langflow's components always pass, whatever the flow has: the answer
        reveals nothing. A caller who sees the field may also repeat its value; of a model, its name alone or in
        Langflow's list.
        """
        fields = self.fields[name] if name is not None else {}
        policy = fields.get("model" if key == "model_name" and key not in fields else key)
        if key == IGNORED or is_empty(value):
            return True
        own = _UNCHANGED.get(key, ())
        if policy is not None and (caller.sees_inside or policy.opened):
            own = (0 if key == "max_tokens" else None, policy.value)
            if policy.name == "model":
                own = (policy.value, str(policy.value or "").partition(":")[2])
                first = value[0] if isinstance(value, list) and len(value) == 1 else value
                value = first.get("name") if isinstance(first, Mapping) else first
        return any(isinstance(value, bool) == isinstance(one, bool) and value == one for one in own)

    def refuse_component(self, key: str, caller: Caller) -> Refusal:
        """The refusal of a tweak for a component that does not exist."""
        if self.opened is not None or not caller.sees_inside:
            return self._refuse_unseen(key, cut(key), caller)
        if key in self.holders:
            return Refusal(key, f"A tweak of `{key}` everywhere is a plain value, not an object.", may_warn=True)
        known = [*self.fields, *self._titles.values()]
        return Refusal(key, f"The flow has no component `{cut(key)}`{_suggest(key, known)}", may_warn=True)

    def refuse_everywhere(self, key: str, caller: Caller) -> Refusal:
        """The refusal of a global tweak for a field that no component has, or none that this caller sees."""
        if self.opened is not None or not caller.sees_inside:
            return self._refuse_unseen(key, cut(key), caller)
        declared = sorted({name for kind in self._kinds for name in list_types(kind)})
        word = find_nearest(cut(key), declared) or find_nearest(cut(key), self.fields)
        hint = f": did you mean `{word}`?" if word else "."
        return Refusal(key, f"No component of the flow has a field `{cut(key)}`{hint}", may_warn=True)

    def hide_value_refusal(self, name: str, refusal: Refusal, *, caller: Caller, sent: str) -> Refusal:
        """The refusal of a value for this caller, who called the field `sent`; without the bounds if the caller may not
        see them.
        """
        policy = self.fields[name].get(refusal.field)
        if caller.sees_inside or (policy is not None and policy.opened):
            return refusal
        return Refusal(refusal.field, f"`{sent}` does not take this value.", lacks="sees")

    def explain_lock(self, policy: FieldPolicy) -> str | None:
        """Why the field is closed, in a few words for an editor; None where the field is open."""
        if policy.filled_by:
            sources = dict.fromkeys(self._titles[reference.component] for reference in policy.filled_by.references)
            return f"Set by {' and '.join(sources)}"
        if policy.type.is_secret and policy.closed:
            return "Secret"
        if policy.closed == "unlisted" and policy.type.callers_may_set:
            return "Not editable via API"
        return "Change it in the flow file" if policy.closed else None

    def _refuse_unknown(self, name: str, key: str, what: str) -> Refusal:
        if key == "code":  # a field of Langflow's components, refused in Langflow's words
            return Refusal(key, f"{_PROTECTED}: `{what}`.")
        if self.opened is not None:
            return self._refuse_unlisted(key, what, may_warn=True)
        return Refusal(key, f"`{name}` has no field `{cut(key)}`{_suggest(key, self.fields[name])}", may_warn=True)

    def _refuse_unseen(self, key: str, what: str, caller: Caller) -> Refusal:
        """One refusal for all fields that the caller does not see; it depends only on the caller and
        `api.overridable`."""
        if self.opened is not None or not caller.opens_every_flow:
            return self._refuse_unlisted(key, what, may_warn=True)
        if caller.opens_every_flow and not caller.sets_unprotected:
            return self._refuse_token(key, what, may_warn=True)
        says = f"`{what}` cannot be set: the flow has no such field, or callers may not set it."
        return Refusal(key, says, may_warn=True, lacks="sees")

    def _refuse_token(self, key: str, what: str, *, may_warn: bool = False) -> Refusal:
        says = f"`{what}` cannot be set by this token: it may set fields that the flow's author opened, and none is."
        return Refusal(key, says, may_warn, lacks="sets")

    def _refuse_unlisted(self, key: str, what: str, *, may_warn: bool = False) -> Refusal:
        names = list_names(f"`{name}`" for name in self.opened or ()) or "no field"
        return Refusal(key, f"`{what}` cannot be set here: the flow's author opened {names}.", may_warn)


def is_empty(value: Any) -> bool:
    """Whether a tweak's value is empty: null, or a text, a list or an object without content."""
    return value is None or (isinstance(value, str | list | Mapping) and not value)


def check_values(
    name: str, component: Component, policies: Mapping[str, FieldPolicy], change: Mapping[str, Any]
) -> tuple[Component | None, list[Refusal]]:
    """The component with other values in some fields, None where nothing changes; or the refusals.

    `policies` has every field of `change`, by the names of the component `name`. Null keeps the author's value.
    """
    refusals: list[Refusal] = []
    values: dict[str, Any] = {}
    for key, value in change.items():
        field = policies[key].type
        if isinstance(value, Mapping) and value.get("load_from_db") and not field.takes_objects:
            says = f"`{name}.{key}`: there are no global variables here, `load_from_db` has no meaning."
            refusals.append(Refusal(key, says))
        elif not _is_authors((given := unwrap_tweak(value, field)), field):
            values[key] = _coerce(given, field)
            if field.is_json and (wrong := _find_wrong_json(f"`{name}.{key}`", given)):
                refusals.append(Refusal(key, wrong))
                del values[key]
    if not values:
        return None, refusals
    try:
        made = change_component(component, values)
    except ValidationError as error:
        for key, limits in find_misfits(error).items():
            says = describe_misfit(
                f"`{name}.{key}`", policies[key].type, unwrap_tweak(change.get(key), policies[key].type), limits
            )
            refusals.append(Refusal(key, f"{says}."))
        return None, refusals
    refusals += [
        Refusal(mistake.field, f"{name}: {mistake.message}")
        for mistake in made.list_mistakes()
        if mistake.field in values or mistake.missing in values
    ]
    for key in values:
        if broken := check_bounds(policies[key], getattr(made, key)):
            refusals.append(Refusal(key, broken))
    return (None, refusals) if refusals else (made, [])


def check_bounds(policy: FieldPolicy, value: Any) -> str | None:
    """How the value breaks the author's bounds, as a sentence; None where it keeps them."""
    entry = policy.opened
    if entry is None:
        return None
    if entry.choices is not None and value not in entry.choices:
        choices = list_names(show(choice) for choice in entry.choices)
        return f"`{policy.key}` is one of {choices} here, not {show(value)}."
    if entry.min is not None and value < entry.min:
        return f"`{policy.key}` is at least {entry.min:g} here, not {show(value)}."
    if entry.max is not None and value > entry.max:
        return f"`{policy.key}` is at most {entry.max:g} here, not {show(value)}."
    return None


def unwrap_tweak(value: Any, field: FieldType | None = None) -> Any:
    """A tweak's value without the object that Langflow's clients put around it.

    A field that takes objects gets its object as it is, even one with the key `value`; only `{"value": null}` is
    unwrapped.
    """
    if not isinstance(value, Mapping) or "value" not in value:
        return value
    is_object = field is not None and field.takes_objects
    return value if is_object and (value["value"] is not None or value.keys() - _AROUND) else value["value"]


def read_typed(policy: FieldPolicy, typed: Any) -> Any:
    """The value of what was typed into the field's editor, where JSON is text. Raises RunError for text that is not
    JSON.
    """
    return read_json_text(typed) if policy.widget == "json" and isinstance(typed, str) else typed


def change_component(component: Component, change: Mapping[str, Any]) -> Component:
    """A component with other values in some fields.

    Only this component is validated again; the caller looks after connected fields. Values of classes that validation
    would lose keep their class where they are not changed. Raises pydantic's ValidationError.
    """
    own = {field: getattr(component, field) for field in component.model_fields_set}
    made = type(component).model_validate(own | dict(change))
    lost = {
        key: value for key, value in own.items() if key not in change and type(value) is not type(getattr(made, key))
    }
    return made.model_copy(update=lost) if lost else made


def find_misfits(error: ValidationError) -> dict[str, Mapping[str, Any]]:
    """The fields whose values the component refused, each with the limits that its value broke."""
    return {str(detail["loc"][0]): detail.get("ctx", {}) for detail in error.errors(include_url=False)}


def describe_misfit(what: str, field: FieldType, value: Any, limits: Mapping[str, Any]) -> str:
    """Why the field, called `what`, does not take the value, without a full stop. A secret's value is not shown."""
    if isinstance(value, str) and "max_length" in limits:
        return f"{what} has {len(value):,} characters; {limits['max_length']:,} is the limit"
    return f"{what} is {field.kind}" + ("" if field.is_secret else f", not {show(value)}")


def _suggest(word: str, known: Iterable[str]) -> str:
    names = tuple(dict.fromkeys(known))
    found = find_nearest(cut(word), names)
    return f": did you mean `{found}`?" if found else f"; it has {list_names(names)}."


def _is_authors(given: Any, field: FieldType) -> bool:
    """Whether a tweak keeps the author's value: null, "" where no text fits, and 0 tokens, Langflow's word for no
    limit.
    """
    if given == "" and field.is_simple and not field.is_text:
        return "" not in (field.choices or ())
    is_no_limit = field.name == "max_tokens" and field.is_whole and given == 0 and not isinstance(given, bool)
    return given is None or is_no_limit


def _find_wrong_json(what: str, value: Any) -> str | None:
    """Why a list or a mapping is refused although its type fits: its depth or its size; None where both are allowed."""
    try:
        size = len(write_text(value, "data").encode())
    except RunError:
        return f"{what} is nested too deeply."
    return f"{what} has {size:,} bytes as JSON; {LONGEST_TEXT:,} is the limit." if size > LONGEST_TEXT else None


def _coerce(value: Any, field: FieldType) -> Any:
    """Rounds down as Langflow does: 17.9 is 17 in a whole-number field. pydantic converts the rest ("0.9", true)
    alike."""
    if field.is_whole and isinstance(value, float) and math.isfinite(value):
        return int(value)
    return value
