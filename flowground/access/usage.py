"""How a flow is used, for its owners: the same people who read what is said of it."""

from datetime import datetime

from flowground.access import Access
from flowground.access.feedback import open_own
from flowground.caller import Caller
from flowground.store.runs import usage
from flowground.store.runs.usage import FlowUsage


async def sum_usage(access: Access, caller: Caller, address: str, *, since: datetime, days: int) -> FlowUsage:
    """Of so many days from `since` on. Raises NotSignedIn, FlowNotFound, and NotAllowed for who does not own the
    flow."""
    wired = await open_own(access, caller, address)
    return await access.store.read(usage.sum_usage, flow_id=wired.id, since=since, days=days)
