"""Temporary overrides: fields of a flow that a person changes for their own calls. Nothing reaches the flow file.

What a person may see and set is the flow's policy (`fields`); what they changed becomes tweaks. As one word, base64url
of deflated JSON, overrides travel in an address. What comes out of a link is somebody else's word: it is checked like
any tweak, and applied once its reader accepts it.
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeGuard

from flowground.caller import Caller, InputType, RunRequest
from flowground.components.base import INPUT
from flowground.components.io import input_kind
from flowground.errors import InvalidRequest
from flowground.fields.policy import FieldPolicy
from flowground.fields.values import unwrap_tweak
from flowground.tweaks import apply_tweaks
from flowground.wiring import WiredFlow

FieldValues = Mapping[str, Mapping[str, Any]]
"""Component id -> field -> value; None means the author's value."""
LONGEST_LINK = 6_000
"""Characters; with the rest of an address it stays under the 8 kB that servers and proxies take."""
_LARGEST = 200_000
"""Bytes of JSON that a link may unfold to."""
_RAW = -zlib.MAX_WBITS


def find_changes(wired: WiredFlow, values: FieldValues, caller: Caller) -> dict[str, dict[str, Any]]:
    """Only what differs from the author's values, in the flow's order, each as the run will take it ("7" as 7).

    Raises TweaksRefused, as the API does, where a value cannot be; one that equals the author's is no override and
    always can, so an editor may hand over all it shows. Links of an older flow file are refused like that.
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
    """What `find_changes` gave, for a call that brings a message of its own: its input components say that then.

    A call may not have both (InputConflict); the playground's chat sends this, the snippets make the override the
    message.
    """
    request = RunRequest(input_value="", input_type=input_type)
    takers = {name for name, item in wired.components.items() if request.find_message(input_kind(item)) is not None}
    return keep_values(overrides, lambda name, key, _: key != INPUT or name not in takers)


def keep_values(values: FieldValues, is_kept: Callable[[str, str, Any], bool]) -> dict[str, dict[str, Any]]:
    """The values of which `is_kept(component, field, value)` holds; a component without any is left out."""
    kept = {
        name: {key: value for key, value in fields.items() if is_kept(name, key, value)}
        for name, fields in values.items()
    }
    return {name: fields for name, fields in kept.items() if fields}


def drop_secrets(wired: WiredFlow, values: FieldValues) -> FieldValues:
    """What of them may be written down: fields by the ids of their components, and no secret ones.

    Under another name of a component a secret could not be told from any other value.
    """
    policies = wired.policy.fields
    return keep_values(
        values, lambda name, key, _: key in policies.get(name, {}) and not wired.policy.is_secret(name, key)
    )


def write_link(values: FieldValues) -> str:
    """The word for these overrides. Raises InvalidRequest where it would be too long for an address."""
    plain = json.dumps(values, default=dict, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    packing = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    packed = packing.compress(plain.encode(errors="replace")) + packing.flush()
    word = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(word) > LONGEST_LINK:
        raise InvalidRequest("These overrides are too long for a link.", hint="Copy the code instead.")
    return word


def read_link(text: str) -> dict[str, dict[str, Any]]:
    """The overrides of a link; raises InvalidRequest, one sentence, for anything that `write_link` did not make."""
    with suppress(ValueError, zlib.error, RecursionError):
        if len(text) <= LONGEST_LINK:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            unfolding = zlib.decompressobj(_RAW)
            plain = unfolding.decompress(packed, _LARGEST)
            if unfolding.eof and not unfolding.unused_data:
                values = json.loads(plain.decode(), parse_constant=int)  # refuses NaN and Infinity
                if _are_field_values(values):
                    return values
    raise InvalidRequest("This link holds no overrides that can be read: it may have been cut off.")


def _are_field_values(values: object) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(values, dict) and all(isinstance(fields, dict) for fields in values.values())


def _is_own(policy: FieldPolicy | None, value: Any) -> bool:
    """Whether a value is the author's; True is not 1 here."""
    if policy is None or isinstance(value, bool) != isinstance(policy.value, bool):
        return False
    return bool(value == policy.value)
