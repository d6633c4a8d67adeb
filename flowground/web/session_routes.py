"""Routes for a browser's sign-in: begin it, end it (only here is its cookie set and removed), and take one's data."""

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from flowground.access import account
from flowground.runtime import Runtime
from flowground.web.cookies import SentCookies, drop_cookie, read_cookies, set_cookie
from flowground.web.origin import find_own_origin, is_own_download
from flowground.web.sent_files import SentFiles

_TICKET_BYTES = 4_096
_NO_STORE = {"cache-control": "no-store"}
_DISPOSITION = 'attachment; filename="flowground-my-data.json"'
_NOT_OURS = "This does not come from a page of this server."


class _Ticket(BaseModel):
    model_config = ConfigDict(extra="forbid")
    ticket: str = Field(min_length=16, max_length=256)


def make_session_routes(runtime: Callable[[], Runtime], sent: SentFiles) -> list[BaseRoute]:
    """POST /session/start and /session/end, GET /session/my-data, and the bare /public_flow that is nobody's page."""
    routes = _SessionRoutes(runtime, sent)
    return [
        Route("/session/start", routes.start, methods=["POST"]),
        Route("/session/end", routes.end, methods=["POST"]),
        Route("/session/my-data", routes.send_my_data, methods=["GET"]),
        Route("/public_flow", _go_home),
        Route("/public_flow/", _go_home),
    ]


class _SessionRoutes:
    def __init__(self, runtime: Callable[[], Runtime], sent: SentFiles) -> None:
        self._runtime, self._sent = runtime, sent

    async def start(self, request: Request) -> Response:
        """A one-time ticket, given to this very browser by a page, becomes the sign-in cookie."""
        settings, sign_in = self._runtime().settings, self._runtime().sign_in
        origin = find_own_origin(request.scope, settings.public_url)
        sent = read_cookies(request.scope, settings)
        if origin is None or not sent.visitor:
            return _refuse(403, _NOT_OURS)
        ticket = await _read_ticket(request, patience=settings.limits.request_seconds)
        agent = request.headers.get("user-agent")
        value = await sign_in.redeem(ticket, sent.visitor, agent) if ticket else None
        if value is None:
            return _refuse(400, "The sign-in took too long. Please sign in again.")
        # One browser, one sign-in: what it had before is over, wherever it was copied to.
        await self._end_sign_ins(sent)
        answer = JSONResponse({"signed_in": True}, headers=_NO_STORE)
        # What the browser itself calls its address: right behind any proxy, without trusting a proxy's header.
        is_secure = origin.startswith("https:")
        set_cookie(answer, settings.cookie.name, value, days=settings.cookie.expiry_days, is_secure=is_secure)
        return answer

    async def end(self, request: Request) -> Response:
        """The sign-in session is over, wherever its cookie was copied to."""
        settings = self._runtime().settings
        origin = find_own_origin(request.scope, settings.public_url)
        if origin is None:
            return _refuse(403, _NOT_OURS)
        await self._end_sign_ins(read_cookies(request.scope, settings))
        answer = JSONResponse({"signed_in": False}, headers=_NO_STORE)
        drop_cookie(answer, settings.cookie.name, is_secure=origin.startswith("https:"))
        return answer

    async def send_my_data(self, request: Request) -> Response:
        """One's own data as a file, for the sign-in cookie alone. Not by Streamlit's /media, which asks for none."""
        if not is_own_download(request):
            return _refuse(403, _NOT_OURS)
        runtime = self._runtime()
        for value in read_cookies(request.scope, runtime.settings).sign_ins:
            caller = await runtime.sign_in.verify_cookie(value)
            if caller is not None and caller.kind == "member":
                pieces = await account.read_data(runtime.access, caller)
                how = {"media_type": "application/json", "disposition": _DISPOSITION}
                return self._sent.send(pieces, request, to=caller.owner, **how)
        return _refuse(403, "Sign in first.")

    async def _end_sign_ins(self, sent: SentCookies) -> None:
        sign_in = self._runtime().sign_in
        for value in (*sent.sign_ins, sent.bare_sign_in):
            caller = await sign_in.verify_cookie(value)
            if caller is not None and caller.sign_in_id is not None:
                await sign_in.revoke(caller.sign_in_id)


async def _go_home(_: Request) -> Response:
    return RedirectResponse("/")


async def _read_ticket(request: Request, *, patience: float) -> str | None:
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


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"detail": sentence}, status, headers={**_NO_STORE, "vary": "cookie"})
