"""Reads requests: the token, the query's switches, and the body as JSON, a form or nothing, as Langflow does.

The token is checked before the body and the flow, so that strangers learn nothing. Unknown keys are ignored with a
warning, as in Langflow.

No body may block the event loop. Its size is capped by `limits.body_bytes`, and a large one is parsed in a thread; as
the JSON parser holds the interpreter's lock there too, the number of values is capped as well: a megabyte of `[],`
takes fifty times as long as a megabyte of text.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import Message as Headers
from typing import Annotated, Any, Literal

import orjson
from fastapi import Depends
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from flowground.app.authorize import check_token
from flowground.app.runtime import Runtime
from flowground.core.caller import SESSION_ID_CHARS, WHOSE, Caller, InputType, OutputType, RunRequest, Shape, make_id
from flowground.core.errors import BodyTooLarge, FlowNotFound, InvalidRequest, RequestError, ServerBusy
from flowground.core.values import MOST_LEVELS, has_too_many_levels
from flowground.core.words import cut, suggest
from flowground.flows.wiring import WiredFlow
from flowground.settings import Limits

MOST_VALUES = 100_000
"""The most values of one body, without keys; a flow file has 20,000 at most."""
_SMALL = 65_536
"""Up to so many bytes JSON is parsed on the event loop: under 5 ms, less than starting a thread costs under load."""
_STREAM_WORDS = ("true", "1", "yes", "on", "t", "y", "false", "0", "no", "off", "f", "n", "", "sse")
"""What pydantic reads as true or false; nothing, which is false; and our own."""
_WHOLE = 10
"""The whole body may take so many times the timeout of one piece: at 30 s a piece, 3 MB pass at 11 kB a second."""
_MOST_COMING, _WAIT = 64_000_000, 5
"""The most bytes of one person's or token's bodies that arrive at once; seconds until a refused one may try again."""
_coming = Counter[str]()
_LONGEST_TYPE = 1_000
"""The most characters of a content type that are parsed: a boundary has up to 70, and 60,000 semicolons took four
seconds."""
_FORM_PIECE = 16_384
"""Bytes of a form that are parsed at once."""
_BOOLEAN = TypeAdapter(bool)
Framing = Literal["langflow", "sse"]
_LANGFLOWS = ("context", "input_request", "user_id")
"""Fields that Langflow's clients send and only Langflow reads: they get no warning."""
_WARNED = 5
"""The most unknown fields of one body that warnings name."""
IDEMPOTENCY_KEY = "idempotency-key"
_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}")
_ANY_CASE = (re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", word) for word in _STREAM_WORDS)
STREAM_SCHEMA = {
    "type": "string",
    "pattern": f"^({'|'.join(_ANY_CASE)})$",
    "default": "false",
    "description": "`true` for Langflow's framing, `sse` for server-sent events, `false` for the plain answer",
}


class BodyCompressed(RequestError):
    """The body has a content encoding; it could be small here and huge once unpacked."""

    code = "body_compressed"


class BodyIsForm(RequestError):
    """The body says it is an urlencoded form, and is one. Langflow ignores it and runs on defaults."""

    code = "body_is_form"


class BodyTooSlow(RequestError):
    """The body stopped halfway, did not begin, or came too slowly."""

    code = "body_too_slow"


async def read_body(request: Request, limits: Limits) -> dict[str, Any]:
    """The body's fields, not validated. Raises InvalidRequest, BodyTooLarge, BodyCompressed and BodyTooSlow."""
    refuse_compressed(request)
    raw = await _read(request, limits)
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        return await _read_form(request, raw)
    if not raw.strip():
        return {}
    # curl -d declares any body a form: only what cannot be a JSON object is read as one.
    if content_type.startswith("application/x-www-form-urlencoded") and raw.lstrip()[:1] not in (b"{", b"["):
        raise BodyIsForm(
            "The body is a form, not JSON.",
            hint='Send JSON like {"input_value": "Hello"}, with the header Content-Type: application/json.',
        )
    body = await _read_json(raw)
    if not isinstance(body, dict):
        fields = ("input_request", "context")
        raise InvalidRequest(
            "The body must be a JSON object.",
            problems=[{"type": "missing", "loc": ["body", name], "msg": "Field required"} for name in fields],
        )
    return body


def refuse_compressed(request: Request) -> None:
    """Raises BodyCompressed where the body has a content encoding."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise BodyCompressed("The body is compressed.", hint="Send it as it is, without a Content-Encoding.")


def read_stream_word(word: str | None) -> bool | None:
    """The value of `stream` in a query or a form; None where it is no such word."""
    try:
        return None if word is None else _BOOLEAN.validate_python(word or "false")
    except ValidationError as error:
        raise refuse_body(error, "query", "stream") from None


def refuse_field(message: str, kind: str, *place: str | int, says: str | None = None) -> InvalidRequest:
    """The error for one wrong field at `place`; `says` is the sentence for people where `message` is Langflow's."""
    return InvalidRequest(message, problems=[{"type": kind, "loc": list(place), "msg": says or message}])


async def read_pieces(
    request: Request, *, limit: int, max_wait: float, too_large: Callable[[], BodyTooLarge]
) -> AsyncGenerator[bytes, None]:
    """The body in pieces as they arrive. Raises what `too_large` makes after `limit` bytes, or at once where more
    are declared.

    `max_wait` is the timeout in seconds for each piece; the whole body has ten times that. Raises BodyTooSlow and
    ClientDisconnect.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise too_large()
    message: Message = {"more_body": True}
    size = 0
    end = asyncio.get_running_loop().time() + _WHOLE * max_wait
    while message.get("more_body"):
        until = asyncio.get_running_loop().time() + max_wait
        try:
            async with asyncio.timeout_at(min(until, end)):
                message = await request.receive()
        except TimeoutError:
            says = f"Nothing more of the body arrived within {max_wait:g} s."
            if end < until:
                says = f"The whole body did not arrive within {_WHOLE * max_wait:g} s."
            raise BodyTooSlow(says) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise too_large()
        yield piece


@asynccontextmanager
async def open_form(request: Request, pieces: AsyncIterator[bytes], **bounds: int) -> AsyncIterator[FormData]:
    """The form in `pieces`; its files are deleted when the block ends. `bounds` are those of Starlette's parser.

    Python code parses the form, and yields to the event loop between two pieces. Raises InvalidRequest.
    """
    sliced = (piece[at : at + _FORM_PIECE] async for piece in pieces for at in range(0, len(piece), _FORM_PIECE))

    async def receive() -> Message:
        await asyncio.sleep(0)
        piece = await anext(sliced, b"")
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    # Only the boundary counts, so that the form is read as UTF-8. Starlette would use any `charset` that Python knows,
    # and one of them takes ten minutes for a megabyte.
    boundary = find_boundary(request.headers["content-type"])
    kind = f'multipart/form-data; boundary="{boundary}"' if boundary else "multipart/form-data"
    try:
        scope = {**request.scope, "headers": [(b"content-type", kind.encode("latin-1", "replace"))]}
        form = await Request(scope, receive).form(**bounds)
    except HTTPException as error:
        raise refuse_field("The form cannot be read.", "form_invalid", "body", says=error.detail) from None
    try:
        yield form
    finally:
        await form.close()


def find_boundary(content_type: str) -> str | None:
    """The boundary between the parts of a form; None where the type is no form, or longer than that of any form."""
    headers = Headers()
    if len(content_type) > _LONGEST_TYPE:
        return None
    headers["content-type"] = content_type
    return headers.get_boundary() if headers.get_content_type() == "multipart/form-data" else None


@dataclass(frozen=True, slots=True)
class ApiRequest(RunRequest):
    """A run request with the form of its answer: plain or streamed, in which framing and shape."""

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
    files: list[str] | None = Field(
        None, max_length=50, description="Paths or ids of files that were uploaded before, for the Chat Input."
    )
    stream: bool = Field(False, description="As `?stream=true`.")

    def make_request(
        self, *, framing: Framing | None, shape: Shape, key: str | None = None, warnings: tuple[str, ...] = ()
    ) -> ApiRequest:
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
            warnings=warnings,
            files=tuple(self.files or ()),
            run_id=make_id(),
            must_find_output=shape == "simple" or framing == "sse",
        )


async def find_runtime(request: Request) -> Runtime:
    """The runtime of this process."""
    runtime: Runtime = request.app.state.runtime()
    return runtime


TheRuntime = Annotated[Runtime, Depends(find_runtime)]


async def verify_caller(request: Request, runtime: TheRuntime) -> Caller:
    """The caller of the request's token, which FastAPI looks up once a request. Raises KeyMissing or KeyInvalid."""
    return await check_token(runtime, read_token(request, runtime))


TheCaller = Annotated[Caller, Depends(verify_caller)]


async def open_flow(runtime: TheRuntime, caller: TheCaller, flow_id: str) -> WiredFlow:
    """The caller's flow by id or endpoint name. Raises FlowNotFound with Langflow's sentence for most routes."""
    try:
        return await runtime.access.open_flow(caller, flow_id)
    except FlowNotFound as error:
        error.message = "Flow not found"
        raise


OpenFlow = Annotated[WiredFlow, Depends(open_flow)]


def read_token(request: Request, runtime: Runtime) -> str | None:
    """`?x-api-key=` (it wins, as in Langflow), the `x-api-key` header or a Bearer token."""
    if runtime.settings.api.key_in_query:
        # The edge removes the key from the query string before anything logs it, and passes it on here.
        hidden = request.scope.get("flowground.api_key")
        if token := str(hidden or request.query_params.get("x-api-key", "")).strip():
            return token
    if token := request.headers.get("x-api-key", "").strip():
        return token
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None


async def read_request(request: Request, limits: Limits) -> ApiRequest:
    """The validated request. Raises InvalidRequest (which names fields, never values), and what `read_body` raises."""
    query = request.query_params
    shape: Shape = "simple" if query.get("shape") == "simple" else "langflow"
    if query.get("shape", shape) != shape:
        raise refuse_field("Input should be 'langflow' or 'simple'", "literal_error", "query", "shape")
    sse = query.get("stream", "").lower() == "sse"
    in_query = True if sse else read_stream_word(query.get("stream"))
    key = _read_key(request)
    body, warnings = _validate(await read_body(request, limits))
    stream = body.stream if in_query is None else in_query
    framing: Framing = "sse" if sse else "langflow"
    return body.make_request(framing=framing if stream else None, shape=shape, key=key, warnings=warnings)


def refuse_body(error: ValidationError, *place: str) -> InvalidRequest:
    """The error for a body that does not validate: it names fields, never values."""
    problems = [
        {"type": problem["type"], "loc": [*place, *problem["loc"]], "msg": problem["msg"]}
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return InvalidRequest("The body is not valid.", problems=problems)


async def _read(request: Request, limits: Limits) -> bytes:
    body, whose, limit = bytearray(), WHOSE.get(), limits.body_bytes
    pieces = read_pieces(
        request,
        limit=limit,
        max_wait=limits.request_seconds,
        too_large=lambda: BodyTooLarge(
            f"The body is over {limit:,} bytes.",
            hint="Send less at once. `limits.body_bytes` in config.yaml sets the size.",
        ),
    )
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


async def _read_form(request: Request, raw: bytes) -> dict[str, Any]:
    async def replay() -> AsyncIterator[bytes]:
        yield raw

    async with open_form(request, replay()) as form:
        fields: dict[str, Any] = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    if isinstance(fields.get("tweaks"), str):
        fields["tweaks"] = await _read_json(fields["tweaks"].encode()) if fields["tweaks"].strip() else None
    fields["stream"] = bool(read_stream_word(fields.get("stream")))
    return fields


async def _read_json(raw: bytes) -> Any:
    """The JSON value of a UTF-8, -16 or -32 text, with or without byte order mark; the last of repeated keys counts.

    Raises InvalidRequest for invalid JSON, including NaN, Infinity, numbers beyond a double, lone surrogates and more
    than `MOST_LEVELS` levels, and for more than `MOST_VALUES` values.
    """
    return _parse_json(raw) if len(raw) <= _SMALL else await asyncio.to_thread(_parse_json, raw)


def _parse_json(raw: bytes) -> Any:
    """Parses at once: for small bodies, or in a thread."""
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
    """Raises InvalidRequest for more than `MOST_VALUES` values: removes strings, then counts commas and brackets.

    That takes seven linear calls into C, a few milliseconds for 3 MB. Invalid JSON may be counted wrong: either the
    parser refuses it or this function does.
    """
    if plain.count(b",") + plain.count(b"[") + plain.count(b"{") < MOST_VALUES:
        return  # even with those in strings there are few: nearly every large text ends here
    if b"\\" in plain:
        plain = plain.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') <= 4 * MOST_VALUES:  # else there are more strings than values and keys may be
        outside = b"".join(plain.split(b'"')[::2])
        if outside.count(b",") + outside.count(b"[") + outside.count(b"{") < MOST_VALUES:
            return
    raise refuse_field(f"The body contains more than {MOST_VALUES:,} values.", "too_many_values", "body")


_KNOWN = frozenset((*RunBody.model_fields, *_LANGFLOWS))


def _read_key(request: Request) -> str | None:
    keys = request.headers.getlist(IDEMPOTENCY_KEY)
    if not keys:
        return None
    if len(keys) > 1 or not _VISIBLE.fullmatch(keys[0]):
        raise InvalidRequest(
            "An Idempotency-Key must be one header of 1 to 200 visible ASCII characters, without spaces.",
            code="idempotency_key_invalid",
            hint="A fresh UUID for each request is a good one.",
        )
    return keys[0]


def _validate(fields: dict[str, Any]) -> tuple[RunBody, tuple[str, ...]]:
    """The validated body and its warnings; the body may also be wrapped in `input_request`, as Langflow does."""
    place = ["body"]
    if isinstance(wrapped := fields.get("input_request"), dict):
        place, fields = ["body", "input_request"], wrapped
    try:
        body, warnings = RunBody.model_validate(fields), tuple(_warn_of_unknown(fields))
    except ValidationError as error:
        raise refuse_body(error, *place) from None
    if warnings and body.input_value is None and not body.tweaks:
        payload = (key for key in fields if key not in _KNOWN and isinstance(fields[key], str | dict | list))
        if (name := next(payload, None)) is not None:  # else a webhook's payload would run the flow on its own text
            says = f"The message belongs in `input_value`, which is missing: `{cut(name)}` is no field of a run."
            raise refuse_field(says, "missing", *place, "input_value")
    return body, warnings


def _warn_of_unknown(fields: dict[str, Any]) -> Iterator[str]:
    """Warnings of fields that are unknown and were ignored."""
    unknown = [key for key in fields if key not in _KNOWN]
    for key in unknown[:_WARNED]:
        yield f"`{cut(key)}` is no field of a run and was ignored{suggest(cut(key), RunBody.model_fields)}."
    if more := len(unknown[_WARNED:]):
        yield f"{more:,} more fields were ignored."
