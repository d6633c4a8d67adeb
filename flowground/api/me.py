"""`GET /api/v1/me`: who a token is, and what is left of its limits."""

from typing import Any

from fastapi import APIRouter, Request

from flowground.api.incoming import read_token, verify_caller
from flowground.api.wire import write_time
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.limits.meter import Remaining
from flowground.runtime import Runtime
from flowground.store.people import tokens

router = APIRouter(tags=["me"], responses={403: {"description": "No valid application token."}})


@router.get("/api/v1/me")
async def me(request: Request) -> dict[str, Any]:
    """Who the token is, what it reaches, and what is left of its limits; asking counts as no run."""
    runtime, caller = await verify_caller(request)
    secret = read_token(request, takes_query=runtime.settings.api.key_in_query)
    token = await runtime.store.read(tokens.find_any, secret=secret or "")
    member = await runtime.sign_in.roster.find(caller.person) if caller.person else None
    expires_at = token.expires_at if token else None
    left = await runtime.run_limits.look(caller, await _list_open_flows(runtime, caller))
    return {
        "kind": "organization" if caller.person is None else "member",
        "role": caller.role,
        "member": member and {"id": member.id, "name": member.name, "display_name": member.display_name},
        "token": {
            "id": caller.id,
            "name": token.name if token else "",
            "flows": None if caller.flows is None else sorted(caller.flows),
            "sees": "inside" if caller.sees_inside else "answers",
            "sets": "unprotected" if caller.sets_unprotected else "opened",
            "expires_at": None if expires_at is None else write_time(expires_at),
        },
        "limits": [_write_limit(found, caller, currency=runtime.run_limits.currency) for found in left],
    }


async def _list_open_flows(runtime: Runtime, caller: Caller) -> list[str]:
    """Of the flows that a token is made for, those that it may run now."""
    found = []
    for flow_id in sorted(caller.flows or ()):
        try:
            found.append((await runtime.access.open_flow(caller, flow_id)).id)
        except FlowNotFound:
            continue
    return found


def _write_limit(found: Remaining, caller: Caller, *, currency: str) -> dict[str, Any]:
    limit = found.limit
    is_money = limit.measure.unit == "money"
    body: dict[str, Any] = {
        "of": "token" if limit.of == "person" and caller.person is None else limit.of,
        "what": limit.what,
        "limit": limit.most if is_money else int(limit.most),
        "left": round(found.left, 6) if is_money else int(found.left),
        "resets_in": found.resets_in,
    }
    more = {"flow_id": found.flow_id} if found.flow_id else {}
    return body | more | ({"currency": currency} if is_money else {})
