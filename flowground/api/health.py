"""Is it alive? Langflow's three spellings of the question."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from flowground import __version__
from flowground.api.errors import status_of
from flowground.errors import StoreUnavailable

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
        return JSONResponse(body | {"status": "nok", "db": error.message}, status_of(error))
    return JSONResponse(body)


@router.get("/api/v1/version")
async def version() -> dict[str, str]:
    """Our version in Langflow's shape."""
    return {"version": __version__, "main_version": __version__, "package": "Flowground"}
