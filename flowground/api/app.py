"""Builds the one FastAPI application, and answers what needs no token: is it alive, which version, what can it do.

Paths are whole, so that the OpenAPI document and the routes are one thing.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from flowground import __version__
from flowground.api import files, flows, me, monitor, run, runs
from flowground.api.errors import find_status, install_handlers
from flowground.api.incoming import verify_caller
from flowground.api.run import REPLAYED, RUN_ID
from flowground.errors import StoreUnavailable
from flowground.runtime import Runtime

_NEEDS_TOKEN = (
    *("/api/v1/run/", "/api/v1/runs", "/api/v1/files/", "/api/v1/flows", "/api/v1/me", "/api/v1/monitor/"),
    *("/api/v2/files", "/lf/"),
)
_TOLD_TO_PAGES = [RUN_ID, REPLAYED, "retry-after", *(f"x-ratelimit-{name}" for name in ("limit", "remaining", "reset"))]
"""Headers that pages of other sites may read."""
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


@router.head("/health", include_in_schema=False)
@router.get("/health")
async def health() -> dict[str, str]:
    """200 once the database is migrated: the routes exist only then."""
    return {"status": "ok"}


@router.head("/healthz", include_in_schema=False)
@router.head("/health_check", include_in_schema=False)
@router.get("/health_check")
@router.get("/healthz", include_in_schema=False)
async def health_check(request: Request) -> JSONResponse:
    """As `/health`, and whether the database answers and the last write went well; says so within some seconds."""
    body = {"status": "ok", "chat": "ok", "db": "ok"}
    try:
        await request.app.state.runtime().store.require_ready()
    except StoreUnavailable as error:
        return JSONResponse(body | {"status": "nok", "db": error.message}, find_status(error))
    return JSONResponse(body)


@router.get("/api/v1/version")
async def version() -> dict[str, str]:
    """Our version in Langflow's shape."""
    return {"version": __version__, "main_version": __version__, "package": "Flowground"}


def create_api(runtime: Callable[[], Runtime], *, allows_cors: bool = True) -> FastAPI:
    """The API on a runtime that is asked for at each request, so that it may be built after the app.

    Answers JSON everywhere, also for unknown paths, wrong methods and our own failures.
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
    for module in (flows, files, me, monitor, runs):  # FastAPI reads a body that a route declares first: none does
        api.include_router(module.router, dependencies=[Depends(verify_caller)])
    api.include_router(router)

    @api.get("/api/openapi.json", include_in_schema=False)
    async def openapi(_: Request) -> JSONResponse:
        """The OpenAPI document of this server."""
        return JSONResponse(_describe(api.openapi()))

    @api.get("/openapi.json", include_in_schema=False)
    async def usual_place(_: Request) -> RedirectResponse:
        """Where FastAPI's and Langflow's tools look for the document."""
        return RedirectResponse("/api/openapi.json")

    if allows_cors:
        api.add_middleware(
            _CorsForTokens, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=_TOLD_TO_PAGES
        )
    return api


def _describe(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's document with the run API, and how a token is sent to what asks for one."""
    paths = {
        path: {
            method: operation | ({"security": _SECURITY} if path.startswith(_NEEDS_TOKEN) else {"security": []})
            for method, operation in operations.items()
        }
        for path, operations in (run.PATHS | document["paths"]).items()
    }
    for operation in (one for operations in paths.values() for one in operations.values()):
        told = _TROUBLE | (_TROUBLE_OF_BODIES if "requestBody" in operation else {}) if operation["security"] else {}
        found = told | operation["responses"]
        operation["responses"] = {
            code: answer | _AS_ERROR if code >= "400" else answer for code, answer in sorted(found.items())
        }
    schemas = document["components"]["schemas"] | {"Error": _ERROR}
    components = document["components"] | {"schemas": schemas, "securitySchemes": _SCHEMES}
    return document | {"paths": paths, "components": components}


class _CorsForTokens(CORSMiddleware):
    """Other sites' pages may call what asks for a token. What needs none (`/health`, the version, the document) would
    let every site find out who runs a Flowground, and which."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        open_to_all = scope["type"] == "http" and scope["path"].startswith(_NEEDS_TOKEN)
        await (super().__call__ if open_to_all else self.app)(scope, receive, send)
