"""Asking to open a flow, and what its owners answer."""

from dataclasses import dataclass

from flowground.access import Access
from flowground.caller import Caller
from flowground.errors import FlowNotFound, InvalidRequest, NotAllowed
from flowground.store.people import access_requests
from flowground.store.people.access_requests import AccessRequest


@dataclass(frozen=True, slots=True)
class AccessRequests:
    """Who asks learns nothing by it: unknown and forbidden flows are answered alike."""

    access: Access

    async def ask(self, caller: Caller, address: str, note: str = "") -> None:
        """Returns alike whether or not there is such a flow; a request for one waits for its owners, once.

        Raises NotAllowed for who is no member, InvalidRequest when somebody asks for too many in a short time.
        """
        caller = await self.access.recheck(caller)
        if caller.kind != "member":
            raise NotAllowed("Only members may ask.", hint="Sign in first.")
        wait = await self.access.sign_in.tries.begin_request(caller.name)
        if wait:
            raise InvalidRequest("You asked for several flows just now.", hint="Try again in a few minutes.")
        wired = self.access.catalogue.find(address)
        if wired is not None and await self._may_open(caller, wired.id):
            wired = None  # nothing to ask for
        flow_id = None if wired is None else wired.id
        await self.access.store.write(access_requests.ask, flow_id=flow_id, member=caller.name, note=note.strip())

    async def waiting(self, caller: Caller) -> list[AccessRequest]:
        """Requests for the flows this caller may publish, oldest first; none for others."""
        caller = await self.access.recheck(caller)
        flows = self.access.catalogue.flows().values()
        mine = [wired.id for wired in flows if self.access.may_publish(caller, wired)]
        return await self.access.store.read(access_requests.list_open, flows=mine) if mine else []

    async def approve(self, caller: Caller, request_id: str) -> None:
        """Adds the person to the flow's audience. A flow that is off, or expired, is then shared with them alone.

        Raises InvalidRequest when somebody decided before, or the caller may not publish the flow.
        """
        caller, request = await self._find(caller, request_id)
        member = await self.access.sign_in.member(request.member)
        if member is None or not member.active:
            raise InvalidRequest(f"{request.member} is not active any more.")
        done = await self.access.store.write(access_requests.approve, request_id=request_id, by=caller.key)
        if not done:
            raise _decided()

    async def deny(self, caller: Caller, request_id: str) -> None:
        """The person is told nothing. Raises like `approve`."""
        caller, _ = await self._find(caller, request_id)
        done = await self.access.store.write(
            access_requests.decide, request_id=request_id, approved=False, by=caller.key
        )
        if done is None:
            raise _decided()

    async def _find(self, caller: Caller, request_id: str) -> tuple[Caller, AccessRequest]:
        caller = await self.access.recheck(caller)
        request = await self.access.store.read(access_requests.find_open, request_id=request_id)
        wired = self.access.catalogue.find(request.flow_id) if request else None
        # Whoever may not decide learns no more than of a request that is not there.
        if request is None or wired is None or not self.access.may_publish(caller, wired):
            raise _decided()
        self.access.require_lasting(caller)
        return caller, request

    async def _may_open(self, caller: Caller, flow_id: str) -> bool:
        try:
            await self.access.open_flow(caller, flow_id)
        except FlowNotFound:
            return False
        return True


def _decided() -> InvalidRequest:
    return InvalidRequest("This request is not there any more.", hint="Somebody else may have decided.")
