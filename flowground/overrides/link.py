"""Overrides as one word that travels in an address: base64url of deflated JSON, limited both ways.

What comes out of a link is somebody else's word: it is checked like any tweak, and applied once its reader accepts it.
"""

import base64
import binascii
import json
import zlib
from typing import Any, NoReturn

from flowground.errors import InvalidRequest
from flowground.overrides.change import Values

LONGEST_LINK = 6_000
"""Characters; with the rest of an address it stays under the 8 kB that servers and proxies take."""
_LARGEST = 200_000
"""Bytes of JSON that a link may unfold to."""
_RAW = -zlib.MAX_WBITS


def to_link(values: Values) -> str:
    """The word for these overrides. Raises InvalidRequest where it would be too long for an address."""
    plain = json.dumps(values, default=dict, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    packing = zlib.compressobj(9, zlib.DEFLATED, _RAW)
    packed = packing.compress(plain.encode(errors="replace")) + packing.flush()
    word = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(word) > LONGEST_LINK:
        raise InvalidRequest(
            "These overrides are too long for a link.", hint="Keep them as a preset, or copy the code instead."
        )
    return word


def from_link(text: str) -> dict[str, dict[str, Any]]:
    """The overrides of a link; raises InvalidRequest, one sentence, for anything that `to_link` did not make."""
    if len(text) > LONGEST_LINK:
        _refuse()
    try:
        packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        unfolding = zlib.decompressobj(_RAW)
        plain = unfolding.decompress(packed, _LARGEST)
        if not unfolding.eof or unfolding.unused_data:
            _refuse()
        values = json.loads(plain.decode(), parse_constant=_refuse)
    except (ValueError, binascii.Error, zlib.error, RecursionError):
        _refuse()
    return _checked(values)


def _checked(values: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(values, dict):
        _refuse()
    for fields in values.values():
        if not isinstance(fields, dict) or any(isinstance(value, dict | list) for value in fields.values()):
            _refuse()
    return values


def _refuse(*_: object) -> NoReturn:
    raise InvalidRequest("This link holds no overrides that can be read: it may have been cut off.")
