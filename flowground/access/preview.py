"""Looking at a shareable playground as somebody else would: the same questions, asked for a stand-in."""

from dataclasses import dataclass
from typing import Literal

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import FlowNotFound
from flowground.wiring import WiredFlow

Seen = Literal["opens", "nothing", "sign in"]
SIGNED_OUT = "visitor"
SOMEBODY = "member"
"""A member whom nobody named, in no group."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What the stand-in meets at the flow's address. `flow` is None unless it opens; `name` is the member's, if one."""

    seen: Seen
    name: str | None = None
    wired: WiredFlow | None = None


async def look_as(access: Access, caller: Caller, address: str, who: str) -> Preview:
    """`who` is "visitor", "member" or "member:NAME". Nothing that belongs to NAME is read but their rights.

    Raises NotSignedIn, FlowNotFound, and NotAllowed where the caller may not publish the flow.
    """
    await access.open_to_publish(caller, address)
    name = who.partition(":")[2] or None
    stand_in = await _signed_out(access, address) if who == SIGNED_OUT else await _member(access, name)
    if stand_in is None:
        return Preview("sign in", name)
    try:
        return Preview("opens", name, await access.open_flow(stand_in, address))
    except FlowNotFound:
        return Preview("nothing", name)


async def _signed_out(access: Access, address: str) -> Caller | None:
    """A browser that was never here."""
    return await access.visitor("preview", address)


async def _member(access: Access, name: str | None) -> Caller | None:
    """None: somebody who cannot sign in."""
    if name is None:
        return Caller("member", "", "member")
    member = await access.sign_in.member(name)
    return Caller("member", member.name, member.role) if member is not None and member.active else None
