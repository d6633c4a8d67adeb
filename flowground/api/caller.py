"""Application token -> Caller. The key comes before the body and before the flow, so strangers learn nothing."""

from starlette.requests import Request

from flowground.caller import Caller
from flowground.errors import FlowgroundError
from flowground.runtime import Runtime


class KeyMissing(FlowgroundError):
    """No key was sent; Langflow's sentence."""

    code = "api_key_missing"


class KeyInvalid(FlowgroundError):
    """The key is unknown, expired or revoked: one answer for all three; Langflow's sentence."""

    code = "api_key_invalid"


async def api_caller(request: Request, runtime: Runtime) -> Caller:
    """The caller behind `?x-api-key=` (it wins, as in Langflow), the `x-api-key` header or a Bearer token.

    Raises KeyMissing or KeyInvalid. The database is asked each time: a revoked token ends at once.
    """
    secret = _secret(request, in_query=runtime.settings.api.key_in_query)
    if not secret:
        raise KeyMissing(
            "An API key must be passed as query or header",
            hint="Make an application token under API access and send it as the x-api-key header.",
        )
    caller = await runtime.sign_in.verify_token(secret)
    if caller is None:
        raise KeyInvalid(
            "Invalid or missing API key",
            hint="The token is unknown, expired or revoked. Make a new one under API access.",
        )
    return caller


def _secret(request: Request, *, in_query: bool) -> str | None:
    if in_query:
        # The edge takes the key out of the query string before anything can log it, and hands it over here.
        hidden = request.scope.get("flowground.api_key")
        if given := hidden or request.query_params.get("x-api-key"):
            return str(given)
    if given := request.headers.get("x-api-key"):
        return given
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None
