"""The token that a request carries. It comes before the body and before the flow, so strangers learn nothing."""

from starlette.requests import Request

from flowground import doors
from flowground.caller import Caller
from flowground.runtime import Runtime


async def api_caller(request: Request, runtime: Runtime) -> Caller:
    """The caller behind the request's token. Raises KeyMissing or KeyInvalid."""
    return await doors.check_token(runtime, sent_token(request, in_query=runtime.settings.api.key_in_query))


def sent_token(request: Request, *, in_query: bool) -> str | None:
    """`?x-api-key=` (it wins, as in Langflow), the `x-api-key` header or a Bearer token."""
    if in_query:
        # The edge takes the key out of the query string before anything can log it, and hands it over here.
        hidden = request.scope.get("flowground.api_key")
        if given := str(hidden or request.query_params.get("x-api-key", "")).strip():
            return given
    if given := request.headers.get("x-api-key", "").strip():
        return given
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None
