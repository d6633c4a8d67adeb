"""What a client sends: its token, the query's switches, and the body's fields.

The token comes before the body and before the flow, so strangers learn nothing. Keys that the contract does not know
are ignored, as in Langflow, with a warning.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from flowground.api.body import STREAM_WORDS, read_body, read_stream_word, refuse_field
from flowground.asking import check_token
from flowground.caller import SESSION_ID_CHARS, Caller, InputType, OutputType, RunRequest, Shape
from flowground.errors import InvalidRequest
from flowground.random_ids import make_id
from flowground.runtime import Runtime
from flowground.store.runs import conversations
from flowground.words import cut, suggest

Framing = Literal["langflow", "sse"]

_LANGFLOWS = ("context", "input_request", "user_id")
"""What Langflow's clients send and only Langflow reads: no mistake of theirs."""
_WARNED = 5
"""Unknown fields of one body that are named."""

IDEMPOTENCY_KEY = "idempotency-key"
_VISIBLE = re.compile(r"[\x21-\x7e]{1,200}")

_ANY_CASE = (
    re.sub("[a-z]", lambda letter: f"[{letter[0].upper()}{letter[0]}]", word) for word in (*STREAM_WORDS, "sse")
)
STREAM_SCHEMA = {
    "type": "string",
    "pattern": f"^({'|'.join(_ANY_CASE)})$",
    "default": "false",
    "description": "`true` for Langflow's framing, `sse` for server-sent events, `false` for the plain answer",
}


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


_KNOWN = frozenset((*RunBody.model_fields, *_LANGFLOWS))


async def verify_caller(request: Request) -> tuple[Runtime, Caller]:
    """The runtime, and the caller behind the request's token, looked up once. Raises KeyMissing or KeyInvalid."""
    runtime: Runtime = request.app.state.runtime()
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is None:
        caller = await check_token(runtime, read_token(request, takes_query=runtime.settings.api.key_in_query))
        request.state.caller = caller
    return runtime, caller


async def list_owners(runtime: Runtime, caller: Caller) -> list[str]:
    """Whose messages and files a token has: those of its person's programs, never those of their pages."""
    if caller.has_kept_apart and caller.person is not None:
        return await runtime.store.read(conversations.list_programs, member=caller.person)
    return [str(caller.owner)]


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
    """What the client asks. Raises InvalidRequest (naming fields, never values), and what `read_body` raises."""
    query = request.query_params
    shape = query.get("shape", "langflow")
    if shape not in ("langflow", "simple"):
        raise refuse_field("Input should be 'langflow' or 'simple'", "literal_error", "query", "shape")
    sse = query.get("stream", "").lower() == "sse"
    in_query = True if sse else read_stream_word(query.get("stream"))
    key = _read_key(request)
    body, warnings = _validate(await read_body(request, limit=limit, patience=patience))
    stream = body.stream if in_query is None else in_query
    framing: Framing = "sse" if sse else "langflow"
    wanted: Shape = "simple" if shape == "simple" else "langflow"
    return body.make_request(framing=framing if stream else None, shape=wanted, key=key, warnings=warnings)


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


def _validate(given: dict[str, Any]) -> tuple[RunBody, tuple[str, ...]]:
    """The body, also where it stands in `input_request`, as Langflow's own wrapping has it; and its warnings."""
    place = ["body"]
    if isinstance(wrapped := given.get("input_request"), dict):
        place, given = ["body", "input_request"], wrapped
    try:
        body, warnings = RunBody.model_validate(given), tuple(_warn_of_unknown(given))
    except ValidationError as error:
        raise refuse_body(error, *place) from None
    if warnings and body.input_value is None and not body.tweaks:
        payload = (key for key in given if key not in _KNOWN and isinstance(given[key], str | dict | list))
        if (name := next(payload, None)) is not None:  # else a webhook's payload would be a run on the flow's own text
            says = f"The message belongs in `input_value`, which is missing: `{cut(name)}` is no field of a run."
            raise refuse_field(says, "missing", *place, "input_value")
    return body, warnings


def refuse_body(error: ValidationError, *place: str) -> InvalidRequest:
    """The refusal, which names fields, never values."""
    problems = [
        {"type": problem["type"], "loc": [*place, *problem["loc"]], "msg": problem["msg"]}
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return InvalidRequest("The body is not valid.", problems=problems)


def _warn_of_unknown(given: dict[str, Any]) -> Iterator[str]:
    """What was sent under names that nobody knows, and so was ignored, in words."""
    if given.keys() <= _KNOWN:
        return
    unknown = [key for key in given if key not in _KNOWN]
    for key in unknown[:_WARNED]:
        yield f"`{cut(key)}` is no field of a run and was ignored{suggest(cut(key), RunBody.model_fields)}."
    if more := len(unknown[_WARNED:]):
        yield f"{more:,} more fields were ignored."
