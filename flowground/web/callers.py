"""Who sent a request that is no program's: by its cookies, else by where it comes from."""

from flowground.caller import Caller
from flowground.runtime import Runtime
from flowground.web.cookies import SentCookies


async def find_caller(
    runtime: Runtime, sent: SentCookies, *, is_local: bool, shared_flow: str | None = None
) -> Caller | None:
    """A member, the local owner where nobody has an account yet, or a visitor of the flow whose shareable playground
    is asked for; None for nobody. Raises StoreUnavailable."""
    found = [caller for cookie in sent.sign_ins if (caller := await runtime.sign_in.verify_cookie(cookie)) is not None]
    if is_local:
        owner = next((caller for caller in found if caller.kind == "local" and caller.is_proven), None)
        return owner or Caller(kind="local", id="owner", role="admin", is_proven=False)
    member = next((caller for caller in found if caller.kind == "member"), None)
    if member is None and shared_flow is not None:
        return await runtime.access.admit_visitor(sent.visitor, shared_flow)
    return member
