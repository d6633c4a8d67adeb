"""Is it alive? Langflow's three spellings of the question."""

from fastapi import APIRouter, Request

from flowground import __version__

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
async def health_check(request: Request) -> dict[str, str]:
    """As `/health`, and the database is asked too."""
    await request.app.state.runtime().store.ping()
    return {"status": "ok", "chat": "ok", "db": "ok"}


@router.get("/api/v1/version")
async def version() -> dict[str, str]:
    """Our version in Langflow's shape."""
    return {"version": __version__, "main_version": __version__, "package": "Flowground"}
