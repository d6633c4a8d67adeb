"""Builds the FastAPI application, with the routes about the server itself and the flows that a caller may run.

Health and version need no token; `/api/v1/flows/` and `/api/v1/me` (who a token is, and what is left of its limits) do.
Only callers who see inside get prompts and graphs. Routes are written with their whole path, so that the OpenAPI
document is made of them as they are.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from flowground import __version__
from flowground.api import files, monitor, run, runs
from flowground.api.errors import find_status, install_handlers
from flowground.api.incoming import OpenFlow, TheCaller, TheRuntime, read_token, verify_caller
from flowground.api.run import REPLAYED, RUN_ID
from flowground.api.wire import write_time
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.core.errors import StoreUnavailable
from flowground.flows.wiring import WiredFlow, find_types
from flowground.runs.meter import Remaining
from flowground.store.people import tokens

flows_router = APIRouter(prefix="/api/v1/flows", tags=["flows"])
me_router = APIRouter(tags=["me"])
_REFUSED: dict[int | str, dict[str, Any]] = {403: {"description": "No valid application token."}}
_NEEDS_TOKEN = (
    *("/api/v1/run/", "/api/v1/runs", "/api/v1/files/", "/api/v1/flows", "/api/v1/me", "/api/v1/monitor/"),
    *("/api/v2/files", "/lf/"),
)
_EXPOSED = [RUN_ID, REPLAYED, "retry-after", *(f"x-ratelimit-{name}" for name in ("limit", "remaining", "reset"))]
"""Response headers that pages of other sites may read (CORS)."""
_SCHEMES = {
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "Application token"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same token"},
}
_ERROR = {
    "type": "object",
    "required": ["detail", "code"],
    "properties": {"detail": {}} | {name: {"type": "string"} for name in ("code", "hint", "run_id")},
}
_AS_ERROR = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
_TROUBLE = {
    "500": {"description": "What nobody foresaw."},
    "503": {"description": "The database is in trouble, or the server stops."},
}
_TROUBLE_OF_BODIES = {
    "408": {"description": "The body stopped halfway."},
    "413": {"description": "The body is over the limit."},
    "415": {"description": "The body is compressed."},
}
_SECURITY: list[dict[str, list[str]]] = [{scheme: []} for scheme in _SCHEMES]
router = APIRouter(tags=["health"])


@flows_router.get("", include_in_schema=False)
@flows_router.get("/")
async def flows(runtime: TheRuntime, caller: TheCaller, header_flows: bool = False) -> list[dict[str, Any]]:
    """Every flow the caller may run, by name; `header_flows` leaves the insides out."""
    return [
        _describe_flows(wired, caller, shows_components=not header_flows)
        for wired in await runtime.access.list_flows(caller)
    ]


@flows_router.get("/{flow_id}", responses={404: {"description": "No such flow for this token."}})
async def flow(wired: OpenFlow, caller: TheCaller) -> dict[str, Any]:
    """One flow by id or endpoint name."""
    return _describe_flows(wired, caller, shows_components=True)


@me_router.get("/api/v1/me")
async def me(request: Request, runtime: TheRuntime, caller: TheCaller) -> dict[str, Any]:
    """Who the token is, what it reaches, and what is left of its limits; asking counts as no run."""
    token = await runtime.store.read(tokens.find_any, secret=read_token(request, runtime) or "")
    member = await runtime.sign_in.roster.find(caller.person) if caller.person else None
    expires_at = token.expires_at if token else None
    scope = await runtime.access.list_reach(caller) if caller.flows else None
    left = await runtime.run_limits.look(caller, scope or ())
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


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> dict[str, str]:
    """200 once the database is migrated: the routes exist only then."""
    return {"status": "ok"}


@router.head("/healthz", include_in_schema=False)
@router.head("/health_check", include_in_schema=False)
@router.get("/health_check")
@router.get("/healthz", include_in_schema=False)
async def health_check(runtime: TheRuntime) -> JSONResponse:
    """As `/health`, and whether the database answers and the last write went well; says so within some seconds."""
    body = {"status": "ok", "chat": "ok", "db": "ok"}
    try:
        await runtime.store.require_ready()
    except StoreUnavailable as error:
        return JSONResponse(body | {"status": "nok", "db": error.message}, find_status(error))
    return JSONResponse(body)


@router.get("/api/v1/version")
async def version() -> dict[str, str]:
    """Our version in Langflow's shape."""
    return {"version": __version__, "main_version": __version__, "package": "Flowground"}


def create_api(runtime: Callable[[], Runtime], *, allows_cors: bool = True) -> FastAPI:
    """The API. `runtime` is called at each request, so that the runtime may be built after the app.

    Answers are JSON everywhere, also for unknown paths, wrong methods and unexpected failures.
    """
    api = FastAPI(
        title="Flowground",
        version=__version__,
        summary="Run flows over HTTP, wire-compatible with Langflow's /api/v1/run.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    api.state.runtime = runtime
    install_handlers(api)
    api.router.routes.extend(run.ROUTES)
    routers = flows_router, files.router, me_router, monitor.router, runs.router
    for one in routers:  # before running dependencies, FastAPI reads a body that a route declares: none declares one
        api.include_router(one, dependencies=[Depends(verify_caller)], responses=_REFUSED)
    api.include_router(router)

    @api.get("/api/openapi.json", include_in_schema=False)
    async def openapi(_: Request) -> JSONResponse:
        """The OpenAPI document of this server."""
        return JSONResponse(_describe(api.openapi()))

    @api.get("/openapi.json", include_in_schema=False)
    async def usual_place(_: Request) -> RedirectResponse:
        """Redirects from the path where FastAPI's and Langflow's tools look for the document."""
        return RedirectResponse("/api/openapi.json")

    if allows_cors:
        api.add_middleware(
            _CorsForTokens, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=_EXPOSED
        )
    return api


def _describe_flows(wired: WiredFlow, caller: Caller, *, shows_components: bool) -> dict[str, Any]:
    input_type, output_type = find_types(wired)
    components = None
    if shows_components and caller.sees_inside:  # as the file has them, without secret fields
        is_secret = wired.policy.is_secret
        components = {
            name: {
                "type": spec.type,
                "display_name": wired.display_names[name],
                "fields": {key: value for key, value in spec.fields.items() if not is_secret(name, key)},
            }
            for name, spec in wired.flow.components.items()
        }
    return {
        "id": wired.id,
        "name": wired.name,
        "endpoint_name": wired.flow.api.endpoint_name,
        "description": wired.flow.description,
        "version": wired.version,
        "input_type": input_type,
        "output_type": output_type,
        "data": {"components": components} if components else None,
    }


def _write_limit(found: Remaining, caller: Caller, *, currency: str) -> dict[str, Any]:
    limit = found.limit
    is_money = limit.unit == "money"
    body: dict[str, Any] = {
        "of": "token" if limit.of == "person" and caller.person is None else limit.of,
        "what": limit.what,
        "limit": limit.most if is_money else int(limit.most),
        "left": round(found.left, 6) if is_money else int(found.left),
        "resets_in": found.resets_in,
    }
    more = {"flow_id": found.flow_id} if found.flow_id else {}
    return body | more | ({"currency": currency} if is_money else {})


def _describe(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document with the run API added, and with the ways to send a token where one is needed."""
    paths = {
        path: {method: _describe_operation(path, operation) for method, operation in operations.items()}
        for path, operations in (run.PATHS | document["paths"]).items()
    }
    schemas = document["components"]["schemas"] | {"Error": _ERROR}
    components = document["components"] | {"schemas": schemas, "securitySchemes": _SCHEMES}
    return document | {"paths": paths, "components": components}


def _describe_operation(path: str, operation: dict[str, Any]) -> dict[str, Any]:
    found, security = operation["responses"], []
    if path.startswith(_NEEDS_TOKEN):
        found, security = _TROUBLE | (_TROUBLE_OF_BODIES if "requestBody" in operation else {}) | found, _SECURITY
    answers = {code: answer | _AS_ERROR if code >= "400" else answer for code, answer in sorted(found.items())}
    return operation | {"security": security, "responses": answers}


class _CorsForTokens(CORSMiddleware):
    """Allows pages of other sites to call routes that need a token. Routes without a token (`/health`, the version, the
    document) stay closed to them, or any site could find out who runs Flowground, and which version."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Any:
        open_to_all = scope["type"] == "http" and scope["path"].startswith(_NEEDS_TOKEN)
        return (super().__call__ if open_to_all else self.app)(scope, receive, send)
