"""Signing a browser in and out: the only places where our cookie is set and removed."""

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flowground.runtime import Runtime
from flowground.web.browser import browser_id
from flowground.web.origin import own_origin

_TICKET_BYTES = 4_096
_NO_STORE = {"cache-control": "no-store"}


class _Ticket(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ticket: str = Field(min_length=16, max_length=256)


def session_routes(runtime: Callable[[], Runtime]) -> list[BaseRoute]:
    """POST /session/start and /session/end, and the bare /public_flow that is nobody's page."""

    async def start(request: Request) -> Response:
        """A one-time ticket, given to this very browser by a page, becomes the sign-in cookie."""
        settings = runtime().settings
        origin = own_origin(request.scope, settings.public_url)
        browser = browser_id(request.headers)
        if origin is None or not browser:
            return _refused(403, "This does not come from a page of this server.")
        ticket = await _ticket(request, patience=settings.limits.request_seconds)
        agent = request.headers.get("user-agent")
        value = await runtime().sign_in.redeem(ticket, browser, agent) if ticket else None
        if value is None:
            return _refused(400, "The sign-in took too long. Please sign in again.")
        await end_sign_in(request)  # one browser, one sign-in: what it had before is over wherever it was copied to
        answer = JSONResponse({"signed_in": True}, headers=_NO_STORE)
        answer.set_cookie(
            settings.cookie.name,
            value,
            max_age=int(settings.cookie.expiry_days * 86_400),
            httponly=True,
            samesite="lax",
            # What the browser itself calls its address: right behind any proxy, without trusting a proxy's header.
            secure=origin.startswith("https:"),
        )
        return answer

    async def end_sign_in(request: Request) -> None:
        value = request.cookies.get(runtime().settings.cookie.name)
        caller = await runtime().sign_in.verify_cookie(value) if value else None
        if caller is not None and caller.sign_in_id is not None:
            await runtime().sign_in.revoke(caller.sign_in_id)

    async def end(request: Request) -> Response:
        """The sign-in session is over, wherever its cookie was copied to."""
        settings = runtime().settings
        origin = own_origin(request.scope, settings.public_url)
        if origin is None:
            return _refused(403, "This does not come from a page of this server.")
        await end_sign_in(request)
        answer = JSONResponse({"signed_in": False}, headers=_NO_STORE)
        answer.delete_cookie(settings.cookie.name, httponly=True, samesite="lax", secure=origin.startswith("https:"))
        return answer

    async def bare(_: Request) -> Response:
        return RedirectResponse("/")

    return [
        Route("/session/start", start, methods=["POST"]),
        Route("/session/end", end, methods=["POST"]),
        Route("/public_flow", bare),
        Route("/public_flow/", bare),
    ]


async def _ticket(request: Request, *, patience: float) -> str | None:
    """None for anything else, or for what has not come within `patience` seconds."""
    body = b""
    try:
        async with asyncio.timeout(patience):
            async for piece in request.stream():
                body += piece
                if len(body) > _TICKET_BYTES:
                    return None
        return _Ticket.model_validate_json(body).ticket
    except (TimeoutError, ClientDisconnect, ValidationError):
        return None


def _refused(status: int, sentence: str) -> Response:
    return JSONResponse({"detail": sentence}, status, headers=_NO_STORE)
