"""Turns errors into responses: the one place that knows status codes. No traceback, path or secret leaves here."""

import logging
import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from flowground.api.incoming import BodyCompressed, BodyIsForm, BodyTooSlow
from flowground.app.authorize import KeyInvalid, KeyMissing
from flowground.core import errors
from flowground.knowledge import KnowledgeBusy, KnowledgeMissing
from flowground.runs.admission import ClientDisconnected
from flowground.runs.limits import Allowance
from flowground.runs.repeatable_run import AnswerGone, RunUnfinished
from flowground.runs.scope import NothingWaits

_log = logging.getLogger("flowground.api")
_STATUSES: tuple[tuple[int, tuple[type[errors.FlowgroundError], ...]], ...] = (
    (400, (errors.RequestError,)),
    (401, (errors.NotSignedIn,)),
    (403, (KeyMissing, KeyInvalid, errors.NotAllowed)),
    (404, (errors.FlowNotFound, errors.RunNotFound)),
    (408, (BodyTooSlow,)),
    (409, (errors.RunElsewhere, errors.DecidedElsewhere, errors.RunStopped, errors.StoppedByAdmin)),
    (409, (NothingWaits, RunUnfinished)),
    (410, (errors.EventsGone, AnswerGone)),
    (413, (errors.BodyTooLarge,)),
    (415, (BodyCompressed, BodyIsForm)),
    (422, (errors.InvalidRequest, errors.OptionMissing, errors.TweaksRefused)),
    (422, (errors.RunOverBudget, errors.SentFileFailed)),
    (429, (errors.RunLimitReached, errors.ProviderBusy)),
    (502, (errors.ProviderError, errors.AnswerTooLong)),
    (503, (errors.ServerBusy, errors.StoreUnavailable, errors.ShuttingDown, errors.EndedByAdmin)),
    (503, (errors.ModelNotReady, errors.NoDocuments, KnowledgeBusy, KnowledgeMissing)),
    (504, (errors.ProviderTimeout, errors.RunTimeout)),
)
_STATUS: dict[type, int] = {kind: status for status, kinds in _STATUSES for kind in kinds}
"""Also that of all classes below, which do not stand here themselves; of others it is 500."""
_CLIENT_LEFT = 499
"""A status that nobody receives; the access log shows it, as nginx's does."""
_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_HTTP_CODES = {404: {"code": "not_found"}, 405: {"code": "method_not_allowed"}}
_INVALID = {"code": errors.InvalidRequest.code}
_NO_SUCH_FLOW = "There is no such flow, or this token does not reach it."
"""The hint for programs; the error's own is about a page."""


def find_status(error: errors.FlowgroundError) -> int:
    """The HTTP status of an error; a failed component has the status of its cause."""
    return next((_STATUS[kind] for kind in type(_find_cause(error)).__mro__ if kind in _STATUS), 500)


def write_detail(error: errors.FlowgroundError) -> Any:
    """The `detail` of an error's body, in Langflow's shape where Langflow has one."""
    match error:
        case errors.InvalidRequest(problems=problems) if problems:
            return list(problems)
        case errors.TweaksRefused(message=message, fields=fields):
            return {
                "error": "Refused tweaks",
                "code": errors.TweaksRefused.code,
                "message": message,
                "fields": list(fields),
            }
        case errors.RunError() if not isinstance(error, errors.UnexpectedFailure):
            return _describe_run(error)
        case _:
            return error.message


def find_wait(error: errors.FlowgroundError) -> int | None:
    """Whole seconds after which the same call may succeed; None where that is not known."""
    wait = _find_cause(error).retry_after
    return None if wait is None else max(1, math.ceil(wait))


def find_run_id(error: errors.FlowgroundError) -> str | None:
    """The id of a run whose outcome is unknown because the database failed; else None."""
    cause = _find_cause(error)
    return cause.run_id if isinstance(cause, errors.StoreUnavailable) else None


def answer_error(error: errors.FlowgroundError) -> JSONResponse:
    """The response for an error: `detail`, `code` and, where there is one, `hint`."""
    body: dict[str, Any] = {"detail": write_detail(error), "code": error.code}
    if hint := _NO_SUCH_FLOW if isinstance(error, errors.FlowNotFound) else error.hint:
        body["hint"] = hint
    if run_id := find_run_id(error):
        body["run_id"] = run_id
    return JSONResponse(body, find_status(error), headers=_write_headers(error))


def write_limits(allowance: Allowance) -> dict[str, str]:
    """Headers for every answer: what is left of a token's limit per minute."""
    return {
        "x-ratelimit-limit": str(allowance.limit),
        "x-ratelimit-remaining": str(allowance.left),
        "x-ratelimit-reset": str(allowance.seconds),
    }


def log_unexpected(error: Exception) -> errors.FlowgroundError:
    """Logs a failure that no code expected, and returns the error that callers get instead."""
    _log.error("unexpected failure", exc_info=error)
    return errors.UnexpectedFailure()


def install_handlers(api: FastAPI) -> None:
    """Installs handlers that answer every failure under the API's paths with JSON."""

    @api.exception_handler(errors.FlowgroundError)
    async def answer_ours(request: Request, error: errors.FlowgroundError) -> JSONResponse:
        response = answer_error(error)
        response.headers.update(getattr(request.state, "run_limit", {}))
        return response

    @api.exception_handler(RequestValidationError)
    async def answer_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # The input is not sent back: it may be a secret in the wrong place.
        problems = [{key: problem[key] for key in ("type", "loc", "msg")} for problem in error.errors()]
        return JSONResponse({"detail": problems, "code": errors.InvalidRequest.code}, 422)

    @api.exception_handler(HTTPException)
    async def answer_http(request: Request, error: HTTPException) -> JSONResponse:
        body = {"detail": error.detail or HTTPStatus(error.status_code).phrase}
        headers = dict(error.headers or {})
        if error.status_code == 405:  # the router names only the methods of one of the path's routes
            asked = [dict(request.scope, method=method) for method in _METHODS]
            found = [one["method"] for one in asked if any(route.matches(one)[0] is Match.FULL for route in api.routes)]
            headers["Allow"] = ", ".join(found)
        return JSONResponse(body | _HTTP_CODES.get(error.status_code, _INVALID), error.status_code, headers=headers)

    @api.exception_handler(ClientDisconnect)
    @api.exception_handler(ClientDisconnected)
    async def answer_nobody(_: Request, __: Exception) -> Response:
        return Response(status_code=_CLIENT_LEFT)

    @api.exception_handler(Exception)
    async def answer_unexpected(request: Request, error: Exception) -> JSONResponse:
        return await answer_ours(request, log_unexpected(error))


def _find_cause(error: errors.FlowgroundError) -> errors.FlowgroundError:
    return error.cause if isinstance(error, errors.ComponentFailed) else error


def _describe_run(error: errors.RunError) -> dict[str, Any]:
    """The facts of a failed run for programs: message, code, component, the provider's status, progress."""
    cause = _find_cause(error)
    detail: dict[str, Any] = {
        "message": error.message,
        "code": error.code,
        "component": getattr(error, "component_id", None),
        "provider_status": getattr(cause, "status", None),
    }
    if isinstance(cause, errors.ModelNotReady):
        detail["progress"] = {"received": cause.received, "total": cause.total}
    return detail


def _write_headers(error: errors.FlowgroundError) -> dict[str, str]:
    if isinstance(error, BodyTooSlow):
        return {"connection": "close"}  # the rest of the request's body is still arriving on this connection
    if isinstance(error, BodyCompressed):
        return {"accept-encoding": "identity"}
    wait = find_wait(error)
    if wait is None:
        return {}
    added = {"retry-after": str(wait)}
    if isinstance(error, errors.RunLimitReached) and error.limit is not None:
        added |= write_limits(Allowance(error.limit, 0, wait))
    return added
