"""JSON of a request's body, read so that no body keeps the loop: capped, then in a thread where it is large.

One call of the parser holds the interpreter's lock, in a thread too, so what it may be given is capped twice: by
`limits.body_bytes`, and by the number of values, since a megabyte of `[],` costs fifty times a megabyte of text.
"""

import asyncio
import json
from typing import Any

import orjson

from flowground.errors import InvalidRequest

MOST_VALUES = 100_000
"""Values, keys not counted, of one body: a flow file has 20,000 at most."""
_SMALL = 65_536
"""Bytes that are parsed on the loop: under 5 ms, less than a thread's start costs under load."""


async def read_json(raw: bytes) -> Any:
    """The value; UTF-8, -16 and -32, with a mark of the byte order or without; of a repeated key the last value counts.

    Raises InvalidRequest for what is no JSON: NaN, Infinity, numbers beyond a double, half a character, nesting over
    1,024 levels too; and for more than `MOST_VALUES` values.
    """
    return parse_json(raw) if len(raw) <= _SMALL else await asyncio.to_thread(parse_json, raw)


def parse_json(raw: bytes) -> Any:
    """The same at once, for bodies that are small or read in a thread."""
    try:
        plain = _as_utf_8(raw)
        if len(plain) > MOST_VALUES:
            _count_values(plain)
        return orjson.loads(plain)
    except ValueError as error:
        at = error.pos if isinstance(error, json.JSONDecodeError) else 0
        problem = {"type": "json_invalid", "loc": ["body", at], "msg": "JSON decode error"}
        raise InvalidRequest("The body is no JSON.", problems=[problem]) from None


def _as_utf_8(raw: bytes) -> bytes:
    encoding = json.detect_encoding(raw)
    if encoding == "utf-8":
        return raw
    return raw[3:] if encoding == "utf-8-sig" else raw.decode(encoding).encode()


def _count_values(plain: bytes) -> None:
    """Refuses more than `MOST_VALUES` values: what stands between quotes is left out, then commas and brackets count.

    Seven calls into C, each linear and a few milliseconds for 3 MB. What is no JSON may be counted wrong: the parser
    refuses it, or it is refused here.
    """
    if plain.count(b",") + plain.count(b"[") + plain.count(b"{") < MOST_VALUES:
        return  # strings included: nearly every large text ends here
    if b"\\" in plain:
        plain = plain.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') <= 4 * MOST_VALUES:  # else there are more strings than values and keys may be
        outside = b"".join(plain.split(b'"')[::2])
        if outside.count(b",") + outside.count(b"[") + outside.count(b"{") < MOST_VALUES:
            return
    says = f"The body holds more than {MOST_VALUES:,} values."
    problem = {"type": "too_many_values", "loc": ["body"], "msg": says}
    raise InvalidRequest(says, problems=[problem])
