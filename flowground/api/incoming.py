"""What a client sends: its token, the query's switches, and the body in every form that Langflow takes.

The token comes before the body and before the flow, so strangers learn nothing. Keys that the contract does not know
are ignored, as there. No body keeps the loop: it is capped, and parsed in a thread where it is large. One call of the
JSON parser holds the interpreter's lock there too, so what it may be given is capped twice: by `limits.body_bytes`, and
by the number of values, since a megabyte of `[],` costs fifty times a megabyte of text.
"""

import asyncio
import json
import re
from dataclasses import dataclass
from email.message import Message as Headers
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from flowground.asking import check_token
from flowground.caller import SESSION_ID_CHARS, Caller, InputType, OutputType, RunRequest, Shape
from flowground.errors import BodyTooLarge, InvalidRequest, RequestError
from flowground.runtime import Runtime

Framing = Literal["langflow", "sse"]

MOST_VALUES = 100_000
"""Values, keys not counted, of one body: a flow file has 20,000 at most."""
MOST_LEVELS = 200
"""Lists and objects in each other, in what somebody sends: what is read is written again, by encoders that go no deeper
than some 250 or 900."""
_SMALL = 65_536
"""Bytes of JSON that are parsed on the loop: under 5 ms, less than a thread's start costs under load."""

IDEMPOTENCY_KEY = "idempotency-key"
_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}")

_STREAM_WORDS = {"true": True, "1": True, "yes": True, "on": True, "t": True, "y": True} | {
    "false": False, "0": False, "no": False, "off": False, "f": False, "n": False, "": False
}  # fmt: skip
_WHOLE = 10
"""How many times the patience for a piece the whole body may take: at 30 s a piece, 3 MB pass at 11 kB a second."""
_FORM_PIECE = 16_384
"""Bytes of a form that are parsed at once."""
_ANY_CASE = (
    re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", word) for word in (*_STREAM_WORDS, "sse")
)
STREAM_SCHEMA = {
    "type": "string",
    "pattern": f"^({'|'.join(_ANY_CASE)})$",
    "default": "false",
    "description": "`true` for Langflow's framing, `sse` for server-sent events, `false` for the plain answer",
}


class BodyCompressed(RequestError):
    """The body has a content encoding; it could be small here and huge once unpacked."""

    code = "body_compressed"


class BodyTooSlow(RequestError):
    """The body stopped halfway, did not begin, or came too slowly."""

    code = "body_too_slow"


@dataclass(frozen=True, slots=True)
class ApiRequest(RunRequest):
    """How the answer is wanted: at once, or streamed in one of two framings; in one of two shapes."""

    framing: Framing | None = None
    shape: Shape = "langflow"


class RunBody(BaseModel):
    """`POST /api/v1/run/{flow_id}`: every field may be left out."""

    model_config = ConfigDict(extra="ignore", strict=True)

    input_value: str | None = Field(None, description="The message; without it the flow's own value is used.")
    input_type: InputType = Field("chat", description="Which input components get it.")
    output_type: OutputType = Field("chat", description="Which outputs come back.")
    output_component: str | None = Field("", description="One component's id or display name, instead of a type.")
    tweaks: dict[str, Any] | None = Field(None, description="Overrides for this run, by component id or display name.")
    session_id: str | None = Field(
        None, max_length=SESSION_ID_CHARS, description="Continues a conversation; without it a fresh one begins."
    )
    stream: bool = Field(False, description="As `?stream=true`.")

    def make_request(self, *, framing: Framing | None, shape: Shape, key: str | None = None) -> ApiRequest:
        return ApiRequest(
            input_value=self.input_value,
            input_type=self.input_type,
            output_type=self.output_type,
            output_component=self.output_component or "",
            tweaks=self.tweaks or {},
            session_id=self.session_id or None,
            stream=framing is not None,
            framing=framing,
            shape=shape,
            idempotency_key=key,
        )


async def verify_caller(request: Request) -> tuple[Runtime, Caller]:
    """The runtime, and the caller behind the request's token. Raises KeyMissing or KeyInvalid."""
    runtime: Runtime = request.app.state.runtime()
    return runtime, await check_token(runtime, read_token(request, takes_query=runtime.settings.api.key_in_query))


def read_token(request: Request, *, takes_query: bool) -> str | None:
    """`?x-api-key=` (it wins, as in Langflow), the `x-api-key` header or a Bearer token."""
    if takes_query:
        # The edge takes the key out of the query string before anything can log it, and hands it over here.
        hidden = request.scope.get("flowground.api_key")
        if given := str(hidden or request.query_params.get("x-api-key", "")).strip():
            return given
    if given := request.headers.get("x-api-key", "").strip():
        return given
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None


async def read_request(request: Request, *, limit: int, patience: float) -> ApiRequest:
    """What the client asks. Raises InvalidRequest (naming fields, never values), BodyTooLarge and BodyTooSlow.

    `limit` is in bytes; `patience` in seconds, for each piece of the body, the first too; the whole has ten times that.
    """
    query = request.query_params
    shape = query.get("shape", "langflow")
    if shape not in ("langflow", "simple"):
        raise _refuse("Input should be 'langflow' or 'simple'", "literal_error", "query", "shape")
    sse = query.get("stream", "").lower() == "sse"
    in_query = True if sse else _read_stream_word(query.get("stream"))
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyCompressed("The body is compressed.", hint="Send it as it is, without a Content-Encoding.")
    key = _read_key(request)
    body = _validate(await _parse(request, await _read(request, limit, patience)))
    stream = body.stream if in_query is None else in_query
    framing: Framing = "sse" if sse else "langflow"
    wanted: Shape = "simple" if shape == "simple" else "langflow"
    return body.make_request(framing=framing if stream else None, shape=wanted, key=key)


def _read_key(request: Request) -> str | None:
    given = request.headers.getlist(IDEMPOTENCY_KEY)
    if not given:
        return None
    if len(given) > 1 or not _VISIBLE.fullmatch(given[0]):
        raise InvalidRequest(
            "An Idempotency-Key must be one header of 1 to 200 visible ASCII characters, without spaces.",
            code="idempotency_key_invalid",
            hint="A fresh UUID for each request is a good one.",
        )
    return given[0]


def _validate(given: dict[str, Any]) -> RunBody:
    """The body, also where it stands in `input_request`, as Langflow's own wrapping has it."""
    place = ["body"]
    if isinstance(wrapped := given.get("input_request"), dict):
        place, given = ["body", "input_request"], wrapped
    try:
        return RunBody.model_validate(given)
    except ValidationError as error:
        problems = [
            {"type": problem["type"], "loc": [*place, *problem["loc"]], "msg": problem["msg"]}
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidRequest("The body is not valid.", problems=problems) from None


def _read_stream_word(word: str | None) -> bool | None:
    if word is None:
        return None
    wanted = _STREAM_WORDS.get(word.lower())
    if wanted is None:
        says = "Input should be a valid boolean, unable to interpret input"
        raise _refuse(says, "bool_parsing", "query", "stream")
    return wanted


def _refuse(message: str, kind: str, *place: str | int, says: str | None = None) -> InvalidRequest:
    """The refusal with its one problem, at `place`; it `says` the message where it has no words of its own."""
    return InvalidRequest(message, problems=[{"type": kind, "loc": list(place), "msg": says or message}])


async def _parse(request: Request, raw: bytes) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/x-www-form-urlencoded"):
        return {}
    if content_type.startswith("multipart/form-data"):
        return await _read_form(request, raw)
    if not raw.strip():
        return {}
    given = await read_json(raw)
    if not isinstance(given, dict):
        fields = ("input_request", "context")
        raise InvalidRequest(
            "The body must be a JSON object.",
            problems=[{"type": "missing", "loc": ["body", name], "msg": "Field required"} for name in fields],
        )
    return given


async def _read(request: Request, limit: int, patience: float) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _say_too_large(limit)
    message: Message = {"more_body": True}
    parts, size = list[bytes](), 0
    end = asyncio.get_running_loop().time() + _WHOLE * patience
    while message.get("more_body") and size <= limit:
        message = await _read_piece(request, patience, end)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    if size > limit:
        raise _say_too_large(limit)
    return b"".join(parts)


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


async def _read_form(request: Request, raw: bytes) -> dict[str, Any]:
    pieces = iter(range(0, max(len(raw), 1), _FORM_PIECE))

    async def replay() -> dict[str, Any]:
        """The body in pieces, between which the loop serves others: a form is parsed by Python code, byte by byte."""
        await asyncio.sleep(0)
        start = next(pieces)
        end = start + _FORM_PIECE
        return {"type": "http.request", "body": raw[start:end], "more_body": end < len(raw)}

    try:
        scope = {**request.scope, "headers": [(b"content-type", _write_form_type(request.headers["content-type"]))]}
        async with Request(scope, replay).form() as form:
            given: dict[str, Any] = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    except HTTPException as error:
        raise _refuse("The form cannot be read.", "form_invalid", "body", says=error.detail) from None
    if isinstance(given.get("tweaks"), str):
        given["tweaks"] = await read_json(given["tweaks"].encode()) if given["tweaks"].strip() else None
    given["stream"] = bool(_read_stream_word(given.get("stream")))
    return given


def _write_form_type(said: str) -> bytes:
    """A form's content type with nothing but its boundary: a form is UTF-8.

    Starlette decodes by any `charset` that Python knows, also by one that takes ten minutes for a megabyte.
    """
    headers = Headers()
    headers["content-type"] = said
    boundary = headers.get_boundary()
    return b"multipart/form-data" + (f'; boundary="{boundary}"'.encode("latin-1", "replace") if boundary else b"")


async def read_json(raw: bytes) -> Any:
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
        raise _refuse("The body is no JSON.", "json_invalid", "body", at, says="JSON decode error") from None


def has_too_many_levels(value: Any) -> bool:
    """Whether its lists and objects lie in each other over `MOST_LEVELS` levels. Looks at each value once."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        opened = (part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list))
        level = [inner for part in opened for inner in part]
        if not level:
            return False
    return True


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
    raise _refuse(f"The body contains more than {MOST_VALUES:,} values.", "too_many_values", "body")
