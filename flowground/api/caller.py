"""Application token -> Caller. The key comes before the body and before the flow, so strangers learn nothing."""

from starlette.requests import Request

from flowground.caller import Caller
from flowground.errors import FlowgroundError
from flowground.runtime import Runtime
from flowground.store import tokens

_MAKE_ONE = "Make a new one under API access."


class KeyMissing(FlowgroundError):
    """No key was sent; Langflow's sentence."""

    code = "api_key_missing"


class KeyInvalid(FlowgroundError):
    """The key is unknown or no longer good; Langflow's sentence. `code` and `hint` tell a real key's holder which."""

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
        raise await _invalid(secret, runtime)
    return caller


async def _invalid(secret: str, runtime: Runtime) -> KeyInvalid:
    """What is wrong with the key. Only who holds the whole of a real one learns more than that it is unknown."""
    token = await runtime.store.read(tokens.find_any, secret=secret)
    if token is None:
        code, says = "api_key_invalid", "No token of this server is like that: was it copied whole?"
    elif token.revoked_at:
        code, says = "api_key_revoked", f"The token was revoked on {token.revoked_at:%Y-%m-%d}."
    elif token.in_force:
        code, says = "api_key_invalid", "The account that the token belongs to is no longer active."
    else:
        code, says = "api_key_expired", f"The token expired on {token.expires_at:%Y-%m-%d}."
    return KeyInvalid("Invalid or missing API key", code=code, hint=f"{says} {_MAKE_ONE}")


def _secret(request: Request, *, in_query: bool) -> str | None:
    if in_query:
        # The edge takes the key out of the query string before anything can log it, and hands it over here.
        hidden = request.scope.get("flowground.api_key")
        if given := str(hidden or request.query_params.get("x-api-key", "")).strip():
            return given
    if given := request.headers.get("x-api-key", "").strip():
        return given
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else None
