"""Tweaks: fields of a flow changed for one request, or refused with the reason; and overrides, which become tweaks.

Keys are component ids, display names (the last of several alike) or, with a plain value, field names: a global tweak
sets every open field of that name. Values may be wrapped as `{"value": v}`; null means the author's value, as if the
field were not named, except that a global tweak leaves it alone. A value is taken literally: `${…}` in it refers to
nothing. Source: Langflow 1.13's tweaks as recorded. Flowground differs: the specific tweak beats the global one; a
tweak that is unknown, connected, protected, of a wrong type or out of bounds is refused.

Temporary overrides are fields that a person changes for their own calls; the flow file stays as it is. The flow's
policy (`fields`) decides what a person may see and set. In a link, overrides are base64url of deflated JSON; since
anybody may have made the link, they are checked like any tweak, and applied once the reader accepts them.
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

import msgspec

from flowground.components.base import INPUT, Component
from flowground.core.caller import LOCAL_OWNER, Caller, InputType, RunRequest
from flowground.core.errors import InputConflict, InvalidRequest, OptionMissing, TweaksRefused
from flowground.core.values import is_blank
from flowground.core.words import cut, list_names, show
from flowground.flows.field_values import IGNORED, Refusal, check_bounds, check_values, is_empty, unwrap_tweak
from flowground.flows.fields import FieldPolicy
from flowground.flows.wiring import WiredFlow, replace_components

MOST_CHANGES = 1_000
"""The most fields that one request may set."""
_ENOUGH = 20
"""The number of refusals in one request at which it is refused, and no more are looked for."""
FieldValues = Mapping[str, Mapping[str, Any]]
"""Component id -> field -> value; None means the author's value."""
LONGEST_LINK = 6_000
"""Characters: with the rest of the address, below the 8 kB that servers and proxies take."""
_LARGEST = 200_000
"""The most bytes of JSON that a link may decompress to."""
_RAW = -zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Tweaked:
    """The flow of one request. `warnings` name tweaks left out because they are unknown or connected."""

    wired: WiredFlow
    warnings: tuple[str, ...] = ()


def apply_tweaks(
    wired: WiredFlow, request: RunRequest, *, unknown: Literal["refuse", "warn"], caller: Caller = LOCAL_OWNER
) -> Tweaked:
    """The flow with the request's tweaks; the same object where they change nothing.

    The flow's policy decides what the caller may set. Refusals reveal nothing else of the flow to a caller who does not
    see inside. Raises InputConflict where a tweak and the message fill the same input, TweaksRefused with every reason,
    and InvalidRequest where the message is none of the choices that the author set for its input.
    """
    for takes, policy in wired.policy.inputs:
        message = request.find_message(takes)
        if message is not None and (broken := check_bounds(policy, message)):
            problem = {"type": "literal_error", "loc": ["body", "input_value"], "msg": broken}
            raise InvalidRequest(broken, problems=[problem])
    if not request.tweaks:
        return Tweaked(wired)
    tweaks = _Tweaks(wired, request, caller)
    tweaks.read()
    components = tweaks.change_components()
    refused = [refusal for refusal in tweaks.refusals if unknown == "refuse" or not refusal.may_warn]
    if refused:
        _refuse(refused, caller)
    warnings = dict.fromkeys(refusal.message for refusal in tweaks.refusals)
    return Tweaked(replace_components(wired, components), tuple(warnings))


def list_missing(wired: WiredFlow, request: RunRequest) -> list[FieldPolicy]:
    """The required options that are empty in a flow with its request's tweaks."""
    return [
        field
        for field in wired.policy.required
        if is_blank(getattr(wired.components[field.component], field.name))
        and (field.name != INPUT or is_blank(request.find_message(wired.components[field.component].input_kind)))
    ]


def refuse_missing(wired: WiredFlow, request: RunRequest) -> None:
    """Raises OptionMissing, which names each option that `list_missing` finds."""
    if missing := list_missing(wired, request):
        says = " ".join(_explain_missing(wired, field) for field in missing)
        names = list_names(f'`{{"{field.component}": {{"{field.name}": …}}}}`' for field in missing)
        raise OptionMissing(says, hint=f"Programs send it among `tweaks`: {names}.")


def name_option(wired: WiredFlow, field: FieldPolicy) -> str:
    """The label of an option: a Text Input has the name that its author gave it, any other field its title."""
    takes_input = wired.components[field.component].input_kind is not None
    name = wired.flow.components[field.component].display_name or field.component
    return name if takes_input and field.name == INPUT else field.type.title


def find_changes(wired: WiredFlow, values: FieldValues, caller: Caller) -> dict[str, dict[str, Any]]:
    """The values that differ from the author's, in the flow's order, each as the run takes it ("7" as 7).

    A value equal to the author's is no override and always allowed, so an editor may pass every field it shows. Raises
    TweaksRefused, as the API does, for a value that is not allowed, for example in a link to an older flow file.
    """
    seen = wired.policy.list_fields(caller)
    touched = keep_values(values, lambda name, key, value: not _is_own(seen.get(name, {}).get(key), value))
    request = RunRequest(tweaks=touched)
    made = apply_tweaks(wired, request, unknown="refuse", caller=caller).wired
    found: dict[str, dict[str, Any]] = {}
    for name, policies in seen.items():
        for key, policy in policies.items():
            runs, own = getattr(made.components[name], key), getattr(wired.components[name], key)
            if unwrap_tweak(touched.get(name, {}).get(key), policy.type) is not None and (
                policy.type.is_secret or runs != own
            ):
                found.setdefault(name, {})[key] = runs
    return found


def drop_inputs(
    wired: WiredFlow, overrides: FieldValues, *, input_type: InputType = "chat"
) -> dict[str, dict[str, Any]]:
    """The overrides without those of input components which the call's own message fills.

    A call may not have both (InputConflict). The playground's chat sends the result; snippets send the override as the
    message.
    """
    request = RunRequest(input_value="", input_type=input_type)
    takers = {name for name, item in wired.components.items() if request.find_message(item.input_kind) is not None}
    return keep_values(overrides, lambda name, key, _: key != INPUT or name not in takers)


def keep_values(values: FieldValues, is_kept: Callable[[str, str, Any], bool]) -> dict[str, dict[str, Any]]:
    """The values for which `is_kept(component, field, value)` is true; a component without any is left out."""
    kept = {
        name: {key: value for key, value in fields.items() if is_kept(name, key, value)}
        for name, fields in values.items()
    }
    return {name: fields for name, fields in kept.items() if fields}


def drop_secrets(wired: WiredFlow, values: FieldValues) -> FieldValues:
    """The values that may be written down: known fields by component id, except secret ones.

    Values under a component's display name are dropped too, since a secret among them would not be recognised.
    """
    policies = wired.policy.fields
    return keep_values(
        values, lambda name, key, _: key in policies.get(name, {}) and not wired.policy.is_secret(name, key)
    )


def write_link(values: FieldValues) -> str:
    """The overrides encoded for a link. Raises InvalidRequest where they are too long for an address."""
    plain = json.dumps(values, default=dict, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    packed = zlib.compress(plain.encode(errors="replace"), 9, _RAW)
    word = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(word) > LONGEST_LINK:
        raise InvalidRequest("These overrides are too long for a link.", hint="Copy the code instead.")
    return word


def read_link(text: str) -> dict[str, dict[str, Any]]:
    """The overrides of a link. Raises InvalidRequest for any text that `write_link` did not make."""
    with suppress(ValueError, zlib.error, RecursionError):
        if len(text) <= LONGEST_LINK:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            unfolding = zlib.decompressobj(_RAW)
            plain = unfolding.decompress(packed, _LARGEST)
            if unfolding.eof and not unfolding.unused_data:
                return msgspec.json.decode(plain, type=dict[str, dict[str, Any]])
    raise InvalidRequest("This link holds no overrides that can be read: it may have been cut off.")


def _explain_missing(wired: WiredFlow, field: FieldPolicy) -> str:
    choices = list_names(show(choice) for choice in field.choices or ())
    return f"`{name_option(wired, field)}` is needed{f': choose one of {choices}' if choices else ''}."


def _refuse(refusals: list[Refusal], caller: Caller) -> NoReturn:
    message = " ".join(dict.fromkeys(refusal.message for refusal in refusals))
    fields = dict.fromkeys(cut(refusal.field) for refusal in refusals)
    lacking = {refusal.lacks for refusal in refusals}
    if "sets" in lacking:
        raise TweaksRefused(message, fields=fields, code="token_may_not_set", hint=caller.name_better_token("sets"))
    hint = f"This token is not told why. {caller.name_better_token('sees')}" if "sees" in lacking else None
    raise TweaksRefused(message, fields=fields, hint=hint)


@dataclass(slots=True)
class _Tweaks:
    wired: WiredFlow
    request: RunRequest
    caller: Caller
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: dict[tuple[str, str], str] = field(default_factory=dict)
    """The name by which the caller called each changed field."""
    refusals: list[Refusal] = field(default_factory=list)
    count: int = 0

    def read(self) -> None:
        """Sorts the tweaks into changes of components: specific ones first, so that they win over global ones."""
        if len(self.request.tweaks) > MOST_CHANGES:
            self._refuse_all()
        everywhere: dict[str, Any] = {}
        for key, value in self.request.tweaks.items():
            name = self.wired.policy.find_component(key, self.caller)
            if isinstance(value, Mapping) and name is not None:
                self._read_specific(name, value, sent=key)
            elif isinstance(value, Mapping):
                if not all(self._asks_nothing(None, *item) for item in value.items()):
                    self._note(self.wired.policy.refuse_component(key, self.caller))
            elif value == [] or (name is not None and is_empty(value)):
                continue
            elif name is not None or isinstance(value, list):
                says = f"The tweak of `{cut(key)}` is an object of fields and values, not {show(value)}."
                self._note(Refusal(key, says))
            elif key != IGNORED:
                everywhere[key] = value
        for key, value in everywhere.items():
            self._read_global(key, value)

    def change_components(self) -> dict[str, Component]:
        """The changed components; notes values that do not fit."""
        made = {}
        for name, change in self.changes.items():
            policies = self.wired.policy.fields[name]
            component, refusals = check_values(name, self.wired.components[name], policies, change)
            for refusal in refusals:
                sent = self.sent.get((name, refusal.field), cut(refusal.field))
                self._note(self.wired.policy.hide_value_refusal(name, refusal, caller=self.caller, sent=sent))
            if component is not None:
                made[name] = component
        return made

    def _change(self, name: str, key: str, *, value: Any, sent: str) -> None:
        """Adds a change, unless an earlier, more specific one exists."""
        fields = self.changes.setdefault(name, {})
        if key not in fields:
            self.count += 1
            fields[key] = value
            self.sent[name, key] = sent
        if self.count > MOST_CHANGES:
            self._refuse_all()

    def _refuse_all(self) -> NoReturn:
        raise TweaksRefused(f"The tweaks set more than {MOST_CHANGES:,} fields.", fields=())

    def _read_specific(self, name: str, fields: Mapping[str, Any], *, sent: str) -> None:
        for key, value in fields.items():
            refusal = self.wired.policy.refuse(name, key, caller=self.caller, sent=sent)
            if refusal is None:
                if key == INPUT and not is_empty(unwrap_tweak(value)) and self._gets_message(name):
                    self._refuse_conflict(name)
                self._change(name, key, value=value, sent=f"{cut(sent)}.{cut(key)}")
            elif not self._asks_nothing(name, key, value):
                self._note(refusal)

    def _read_global(self, key: str, value: Any) -> None:
        policy = self.wired.policy
        holders = policy.holders.get(key, ())
        refusals = {name: policy.refuse(name, key, caller=self.caller) for name in holders}
        taking = [name for name in holders if key == INPUT and not refusals[name] and self._gets_message(name)]
        closed = sorted((refusal for refusal in refusals.values() if refusal), key=lambda refusal: refusal.may_warn)
        if opened := [name for name, refusal in refusals.items() if refusal is None and name not in taking]:
            for name in opened:
                self._change(name, key, value=value, sent=cut(key))
        elif taking:
            self._refuse_conflict(taking[0])
        elif not all(self._asks_nothing(name, key, value) for name in holders or (None,)):
            is_told = closed and self.caller.sees_inside
            self._note(closed[0] if is_told else policy.refuse_everywhere(key, self.caller))

    def _asks_nothing(self, name: str | None, key: str, value: Any) -> bool:
        return self.wired.policy.asks_nothing(name, key, unwrap_tweak(value), self.caller)

    def _gets_message(self, name: str) -> bool:
        return self.request.find_message(self.wired.components[name].input_kind) is not None

    def _refuse_conflict(self, name: str) -> NoReturn:
        takes = self.wired.components[name].input_kind
        hint = "Send one of the two"
        if takes == "text" and self.request.input_type == "any":
            hint += ", or `input_type: chat`: then the message goes to Chat Inputs alone"
        raise InputConflict(
            f"If you pass an input_value to the {takes} input, you cannot pass a tweak with the same name.",
            hint=f"{hint}.",
        )

    def _note(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
        if len(self.refusals) >= _ENOUGH:
            _refuse(self.refusals, self.caller)


def _is_own(policy: FieldPolicy | None, value: Any) -> bool:
    """Whether the value equals the author's; True does not equal 1 here."""
    if policy is None or isinstance(value, bool) != isinstance(policy.value, bool):
        return False
    return bool(value == policy.value)
