"""A request's body in every form that Langflow takes: JSON, a form, nothing.

No body keeps the loop: it is capped, and parsed in a thread where it is large. One call of the JSON parser holds the
interpreter's lock there too, so what it may be given is capped twice: by `limits.body_bytes`, and by the number of
values, since a megabyte of `[],` costs fifty times a megabyte of text.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import Message as Headers
from functools import partial
from typing import Any

import orjson
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from flowground.caller import WHOSE
from flowground.errors import BodyTooLarge, InvalidRequest, RequestError, ServerBusy
from flowground.values import MOST_LEVELS, has_too_many_levels

MOST_VALUES = 100_000
"""Values, keys not counted, of one body: a flow file has 20,000 at most."""
_SMALL = 65_536
"""Bytes of JSON that are parsed on the loop: under 5 ms, less than a thread's start costs under load."""

STREAM_WORDS = {"true": True, "1": True, "yes": True, "on": True, "t": True, "y": True} | {
    "false": False, "0": False, "no": False, "off": False, "f": False, "n": False, "": False
}  # fmt: skip
_WHOLE = 10
"""How many times the patience for a piece the whole body may take: at 30 s a piece, 3 MB pass at 11 kB a second."""
_MOST_COMING, _WAIT = 64_000_000, 5
"""Bytes of bodies of one person or token that come at once, and seconds after which more of them may."""
_coming = Counter[str]()
_LONGEST_TYPE = 1_000
"""Characters of a content type that are parsed: a boundary has 70 at most, and 60,000 semicolons took four seconds."""
_FORM_PIECE = 16_384
"""Bytes of a form that are parsed at once."""


class BodyCompressed(RequestError):
    """The body has a content encoding; it could be small here and huge once unpacked."""

    code = "body_compressed"


class BodyIsForm(RequestError):
    """The body says it is an urlencoded form, and is one. Langflow ignores it and runs on defaults."""

    code = "body_is_form"


class BodyTooSlow(RequestError):
    """The body stopped halfway, did not begin, or came too slowly."""

    code = "body_too_slow"


async def read_body(request: Request, *, limit: int, patience: float) -> dict[str, Any]:
    """Its fields, unchecked. Raises InvalidRequest, BodyTooLarge, BodyCompressed and BodyTooSlow.

    `limit` is in bytes; `patience` in seconds, for each piece of the body, the first too; the whole has ten times that.
    """
    refuse_compressed(request)
    return await _parse(request, await _read(request, limit, patience))


def refuse_compressed(request: Request) -> None:
    """Raises BodyCompressed."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyCompressed("The body is compressed.", hint="Send it as it is, without a Content-Encoding.")


def read_stream_word(word: str | None) -> bool | None:
    """The switch `stream` as a query or a form writes it."""
    if word is None:
        return None
    wanted = STREAM_WORDS.get(word.lower())
    if wanted is None:
        says = "Input should be a valid boolean, unable to interpret input"
        raise refuse_field(says, "bool_parsing", "query", "stream")
    return wanted


def refuse_field(message: str, kind: str, *place: str | int, says: str | None = None) -> InvalidRequest:
    """The refusal with its one problem, at `place`; it `says` the message where it has no words of its own."""
    return InvalidRequest(message, problems=[{"type": kind, "loc": list(place), "msg": says or message}])


async def _parse(request: Request, raw: bytes) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        return await _read_form(request, raw)
    if not raw.strip():
        return {}
    # curl's -d says of any body that it is a form: only one that cannot be JSON of ours is taken at its word.
    if content_type.startswith("application/x-www-form-urlencoded") and raw.lstrip()[:1] not in (b"{", b"["):
        raise BodyIsForm(
            "The body is a form, not JSON.",
            hint='Send JSON like {"input_value": "Hello"}, with the header Content-Type: application/json.',
        )
    given = await _read_json(raw)
    if not isinstance(given, dict):
        fields = ("input_request", "context")
        raise InvalidRequest(
            "The body must be a JSON object.",
            problems=[{"type": "missing", "loc": ["body", name], "msg": "Field required"} for name in fields],
        )
    return given


async def _read(request: Request, limit: int, patience: float) -> bytes:
    body, whose = bytearray(), WHOSE.get()
    pieces = read_pieces(request, limit=limit, patience=patience, too_large=partial(_say_too_large, limit))
    try:
        async for piece in pieces:
            body += piece
            _coming[whose] += len(piece)
            if _coming[whose] > max(_MOST_COMING, 2 * limit):
                raise ServerBusy(_WAIT)
        return bytes(body)
    finally:
        _coming[whose] -= len(body)
        if not _coming[whose]:
            del _coming[whose]


async def read_pieces(
    request: Request, *, limit: int, patience: float, too_large: Callable[[], BodyTooLarge], whole: float = _WHOLE
) -> AsyncGenerator[bytes, None]:
    """The body as it comes; what `too_large` gives is raised behind `limit` bytes, and at once where more are declared.

    `patience` is in seconds for each piece, `whole` times that for all of it. Raises BodyTooSlow and ClientDisconnect.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large()
    message: Message = {"more_body": True}
    size = 0
    end = asyncio.get_running_loop().time() + whole * patience
    while message.get("more_body"):
        message = await _read_piece(request, patience, end)
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise too_large()
        yield piece


def _say_too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body is over {limit:,} bytes.",
        hint="Send less at once. `limits.body_bytes` in config.yaml sets the size.",
    )


async def _read_piece(request: Request, patience: float, end: float) -> Message:
    """`end` is when the whole body must be there, by the loop's clock."""
    until = asyncio.get_running_loop().time() + patience
    try:
        async with asyncio.timeout_at(min(until, end)):
            return await request.receive()
    except TimeoutError:
        says = f"Nothing more of the body arrived within {patience:g} s."
        if end < until:
            says = f"The whole body did not arrive within {_WHOLE * patience:g} s."
        raise BodyTooSlow(says) from None


@asynccontextmanager
async def open_form(request: Request, pieces: AsyncIterator[bytes], **bounds: int) -> AsyncIterator[FormData]:
    """The form that comes in `pieces`; its files are gone when the block ends. `bounds` are Starlette's.

    It is parsed by Python code, and the loop serves others between two pieces. Raises InvalidRequest.
    """
    sliced = (piece[at : at + _FORM_PIECE] async for piece in pieces for at in range(0, len(piece), _FORM_PIECE))

    async def receive() -> Message:
        await asyncio.sleep(0)
        piece = await anext(sliced, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    try:
        scope = {**request.scope, "headers": [(b"content-type", _write_form_type(request.headers["content-type"]))]}
        form = await Request(scope, receive).form(**bounds)
    except HTTPException as error:
        raise refuse_field("The form cannot be read.", "form_invalid", "body", says=error.detail) from None
    try:
        yield form
    finally:
        await form.close()


async def _read_form(request: Request, raw: bytes) -> dict[str, Any]:
    async def replay() -> AsyncIterator[bytes]:
        yield raw

    async with open_form(request, replay()) as form:
        given: dict[str, Any] = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    if isinstance(given.get("tweaks"), str):
        given["tweaks"] = await _read_json(given["tweaks"].encode()) if given["tweaks"].strip() else None
    given["stream"] = bool(read_stream_word(given.get("stream")))
    return given


def _write_form_type(said: str) -> bytes:
    """A form's content type with nothing but its boundary: a form is UTF-8.

    Starlette decodes by any `charset` that Python knows, also by one that takes ten minutes for a megabyte.
    """
    boundary = find_boundary(said)
    return b"multipart/form-data" + (f'; boundary="{boundary}"'.encode("latin-1", "replace") if boundary else b"")


def find_boundary(content_type: str) -> str | None:
    """What stands between the parts of a form; None where the type is of no form, or is longer than any that is."""
    headers = Headers()
    if len(content_type) > _LONGEST_TYPE:
        return None
    headers["content-type"] = content_type
    return headers.get_boundary() if headers.get_content_type() == "multipart/form-data" else None


async def _read_json(raw: bytes) -> Any:
    """The value; UTF-8, -16 and -32, with a mark of the byte order or without; of a repeated key the last value counts.

    Raises InvalidRequest for what is no JSON: NaN, Infinity, numbers beyond a double, half a character, more than
    `MOST_LEVELS` levels too; and for more than `MOST_VALUES` values.
    """
    return _parse_json(raw) if len(raw) <= _SMALL else await asyncio.to_thread(_parse_json, raw)


def _parse_json(raw: bytes) -> Any:
    """The same at once, for bodies that are small or read in a thread."""
    try:
        encoding = json.detect_encoding(raw)
        plain = raw if encoding == "utf-8" else raw.decode(encoding).encode()
        if len(plain) > MOST_VALUES:
            _count_values(plain)
        value = orjson.loads(plain)
        if plain.count(b"[") + plain.count(b"{") > MOST_LEVELS and has_too_many_levels(value):
            raise ValueError
        return value
    except ValueError as error:
        at = error.pos if isinstance(error, json.JSONDecodeError) else 0
        raise refuse_field("The body is no JSON.", "json_invalid", "body", at, says="JSON decode error") from None


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
    raise refuse_field(f"The body contains more than {MOST_VALUES:,} values.", "too_many_values", "body")
