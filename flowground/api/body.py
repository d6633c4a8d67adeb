"""What a client asks of the run endpoint: the body in every form that Langflow takes, and the query's switches.

Keys that the contract does not know are ignored, as there.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.requests import Request

from flowground.errors import BodyTooLarge, InvalidRequest
from flowground.request import InputType, OutputType, RunRequest

_STREAM_WORDS = {"true": True, "1": True, "yes": True, "on": True, "t": True, "y": True} | {
    "false": False, "0": False, "no": False, "off": False, "f": False, "n": False, "": False
}  # fmt: skip


class RunBody(BaseModel):
    """`POST /api/v1/run/{flow_id}`: every field may be left out."""

    model_config = ConfigDict(extra="ignore", strict=True)

    input_value: str | None = Field(None, description="The message; without it the flow's own value is used.")
    input_type: InputType = Field("chat", description="Which input components get it.")
    output_type: OutputType = Field("chat", description="Which outputs come back.")
    output_component: str | None = Field("", description="One component's id or display name, instead of a type.")
    tweaks: dict[str, Any] | None = Field(None, description="Overrides for this run, by component id or display name.")
    session_id: str | None = Field(None, description="Continues a conversation; without it a fresh one begins.")
    stream: bool = Field(False, description="As `?stream=true`.")

    def to_request(self, *, stream: bool) -> RunRequest:
        return RunRequest(
            input_value=self.input_value,
            input_type=self.input_type,
            output_type=self.output_type,
            output_component=self.output_component or "",
            tweaks=self.tweaks or {},
            session_id=self.session_id or None,
            stream=stream,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """A run request and how its answer is wanted: at once, or streamed in one of two framings; in one of two shapes."""

    request: RunRequest
    framing: Literal["langflow", "sse"] | None
    shape: Literal["langflow", "simple"]


async def read_request(request: Request, *, limit: int) -> Asked:
    """What the client asks. Raises InvalidRequest (naming fields, never values) and BodyTooLarge."""
    query = request.query_params
    shape = query.get("shape", "langflow")
    if shape not in ("langflow", "simple"):
        raise _query_problem("shape", "literal_error", "Input should be 'langflow' or 'simple'")
    sse = query.get("stream") == "sse"
    in_query = True if sse else _stream_wanted(query.get("stream"))
    given = await _given(request, limit)
    try:
        body = RunBody.model_validate(given)
    except ValidationError as error:
        problems = [
            {"type": problem["type"], "loc": ["body", *problem["loc"]], "msg": problem["msg"]}
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise InvalidRequest("The body does not fit.", problems=problems) from None
    stream = body.stream if in_query is None else in_query
    framing: Literal["langflow", "sse"] = "sse" if sse else "langflow"
    return Asked(
        body.to_request(stream=stream), framing if stream else None, "simple" if shape == "simple" else "langflow"
    )


def _stream_wanted(word: str | None) -> bool | None:
    if word is None:
        return None
    wanted = _STREAM_WORDS.get(word.lower())
    if wanted is None:
        raise _query_problem("stream", "bool_parsing", "Input should be a valid boolean, unable to interpret input")
    return wanted


def _query_problem(name: str, kind: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, problems=[{"type": kind, "loc": ["query", name], "msg": message}])


async def _given(request: Request, limit: int) -> dict[str, Any]:
    content_type = request.headers.get("content-type", "")
    raw = await _read(request, limit)
    if content_type.startswith("application/x-www-form-urlencoded"):
        return {}
    if content_type.startswith("multipart/form-data"):
        return await _form(request, raw)
    if not raw.strip():
        return {}
    given = _json(raw)
    if not isinstance(given, dict):
        fields = ("input_request", "context")
        raise InvalidRequest(
            "The body is a JSON object.",
            problems=[{"type": "missing", "loc": ["body", name], "msg": "Field required"} for name in fields],
        )
    wrapped = given.get("input_request")
    return wrapped if isinstance(wrapped, dict) else given


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(f"The body is over {limit} bytes.")
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > limit:
            raise BodyTooLarge(f"The body is over {limit} bytes.")
    return b"".join(parts)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        problem = {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}
        raise InvalidRequest("The body is no JSON.", problems=[problem]) from None
    except (UnicodeDecodeError, RecursionError):
        problem = {"type": "json_invalid", "loc": ["body", 0], "msg": "JSON decode error"}
        raise InvalidRequest("The body is no JSON.", problems=[problem]) from None


async def _form(request: Request, raw: bytes) -> dict[str, Any]:
    async def replay() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    async with Request(request.scope, replay).form() as form:
        given: dict[str, Any] = {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    if isinstance(given.get("tweaks"), str):
        given["tweaks"] = _json(given["tweaks"].encode()) if given["tweaks"].strip() else None
    given["stream"] = bool(_stream_wanted(given.get("stream")))
    return given
