"""Signing a browser in and out: the only places where our cookie is set and removed."""

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flowground.runtime import Runtime
from flowground.sign_in.devices import DAYS
from flowground.web.cookies import SentCookies, device_cookie, drop_cookie, read_cookies, set_cookie
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
        settings, sign_in = runtime().settings, runtime().sign_in
        origin = own_origin(request.scope, settings.public_url)
        sent = read_cookies(request.scope, settings)
        if origin is None or not sent.visitor:
            return _refused(403, "This does not come from a page of this server.")
        ticket = await _ticket(request, patience=settings.limits.request_seconds)
        agent = request.headers.get("user-agent")
        value = await sign_in.redeem(ticket, sent.visitor, agent) if ticket else None
        if value is None:
            return _refused(400, "The sign-in took too long. Please sign in again.")
        # One browser, one sign-in: what it had before is over, wherever it was copied to.
        await _end_sign_ins(runtime(), sent)
        answer = JSONResponse({"signed_in": True}, headers=_NO_STORE)
        # What the browser itself calls its address: right behind any proxy, without trusting a proxy's header.
        https = origin.startswith("https:")
        set_cookie(answer, settings.cookie.name, value, days=settings.cookie.expiry_days, https=https)
        if known := sign_in.devices.remember(sent.device, await sign_in.verify_cookie(value)):
            set_cookie(answer, device_cookie(settings.cookie.name), known, days=DAYS, https=https)
        return answer

    async def end(request: Request) -> Response:
        """The sign-in session is over, wherever its cookie was copied to."""
        settings = runtime().settings
        origin = own_origin(request.scope, settings.public_url)
        if origin is None:
            return _refused(403, "This does not come from a page of this server.")
        await _end_sign_ins(runtime(), read_cookies(request.scope, settings))
        answer = JSONResponse({"signed_in": False}, headers=_NO_STORE)
        drop_cookie(answer, settings.cookie.name, https=origin.startswith("https:"))
        return answer

    async def bare(_: Request) -> Response:
        return RedirectResponse("/")

    return [
        Route("/session/start", start, methods=["POST"]),
        Route("/session/end", end, methods=["POST"]),
        Route("/public_flow", bare),
        Route("/public_flow/", bare),
    ]


async def _end_sign_ins(runtime: Runtime, sent: SentCookies) -> None:
    for value in (*sent.sign_ins, sent.bare_sign_in):
        caller = await runtime.sign_in.verify_cookie(value)
        if caller is not None and caller.sign_in_id is not None:
            await runtime.sign_in.revoke(caller.sign_in_id)


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
