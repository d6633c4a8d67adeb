"""May this caller do this? Asked by every door, at every action; unknown and forbidden look the same."""

from dataclasses import dataclass

from flowground.caller import Caller
from flowground.errors import FlowNotFound, NotAllowed, NotSignedIn
from flowground.loader import Catalogue
from flowground.sign_in import SignIn
from flowground.store import Store, publications
from flowground.wiring import WiredFlow


@dataclass(frozen=True, slots=True)
class Access:
    """Answers from the present state: sign-in sessions, roles and publish state are read anew each time."""

    catalogue: Catalogue
    store: Store
    sign_in: SignIn

    async def recheck(self, caller: Caller) -> Caller:
        """The caller with their present role. Raises NotSignedIn once signed out, deactivated, or shut out.

        Tokens are checked by the API at each request, so they pass as they are.
        """
        if caller.kind == "member":
            present = await self.sign_in.present(caller.sign_in_id) if caller.sign_in_id else None
            if present is None or present.key != caller.key:
                raise NotSignedIn("You are no longer signed in.")
            return present
        if caller.kind == "local" and not await self.sign_in.local_mode():
            raise NotSignedIn("This server has accounts now: sign in.")
        return caller

    async def open_flow(self, caller: Caller, address: str) -> WiredFlow:
        """The flow at an id or endpoint name. Raises FlowNotFound alike for unknown and forbidden ones."""
        flow = self.catalogue.find(address)
        if flow is None or not await self._may_open(caller, flow.id):
            raise FlowNotFound(address)
        return flow

    async def visible_flows(self, caller: Caller) -> list[WiredFlow]:
        """Flows the caller may open, in the catalogue's order."""
        flows = [flow for flow in self.catalogue.flows().values() if caller.flows is None or flow.id in caller.flows]
        if caller.sees_inside:
            return flows
        shared = {item.flow_id for item in await self.store.read(publications.list_publications) if item.shared}
        return [flow for flow in flows if flow.id in shared]

    async def _may_open(self, caller: Caller, flow_id: str) -> bool:
        if caller.flows is not None and flow_id not in caller.flows:
            return False
        return caller.sees_inside or await self.is_shared(flow_id)

    async def is_shared(self, flow_id: str) -> bool:
        """Whether the flow's shareable playground is on."""
        publication = await self.store.read(publications.find, flow_id=flow_id)
        return publication is not None and publication.shared

    def may_publish(self, caller: Caller, flow: WiredFlow) -> bool:
        """Admins, and authors who own the flow (every author where the file names no owners)."""
        if caller.role == "admin":
            return True
        owners = flow.flow.owners
        return caller.role == "author" and caller.kind == "member" and (owners is None or caller.name in owners)

    async def publish(self, caller: Caller, address: str, *, shared: bool) -> None:
        """Turns the shareable playground on or off. Raises NotAllowed where the caller may not."""
        caller = await self.recheck(caller)
        flow = await self.open_flow(caller, address)
        self.require_lasting(caller)
        if not self.may_publish(caller, flow):
            raise NotAllowed(f"Only the owners of {flow.name} may publish it.")
        await self.store.write(publications.set_shared, flow_id=flow.id, shared=shared, by=caller.key)

    def require_lasting(self, caller: Caller) -> None:
        """What outlives the visit asks the local owner for the owner code. Raises NotAllowed without it."""
        if not caller.proven:
            raise NotAllowed(
                "This needs the owner code.", hint="It stands in the terminal where Flowground was started."
            )
