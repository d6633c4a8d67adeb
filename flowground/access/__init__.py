"""Decides whether a caller may do something; every endpoint asks here, at every action.

A flow that does not exist and a flow that the caller may not open get the same answer.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from typing import NotRequired, TypedDict

from flowground.access.sign_in import SignIn
from flowground.core.caller import Caller
from flowground.core.errors import FlowNotFound, NotAllowed, NotSignedIn
from flowground.flows.folder import Catalogue, Drafts
from flowground.flows.wiring import WiredFlow
from flowground.settings import LocalMode, MayWrite
from flowground.store import Store, publications
from flowground.store.publications import Publication

EndTurns = Callable[[Collection[str], Collection[str] | None, str | None], Awaitable[None]]
"""Ends turns of these owners, in these flows and with this session id; None: in all flows, with any id."""
_NOWHERE = "nowhere"


class AskedPage(TypedDict):
    """A page of a list: at most `limit` entries that have all these words, after the first `offset` ones."""

    limit: int
    offset: NotRequired[int]
    words: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Access:
    """Answers from the present state: sign-ins, roles, audiences and expiry are read from the database each time."""

    catalogue: Catalogue
    store: Store
    sign_in: SignIn
    allow_public: bool
    """Whether config.yaml lets flows be shared without sign-in."""
    local_mode: LocalMode
    """What people on this computer may do before the first account, by config.yaml."""
    writers: MayWrite
    """Who may change flow files from pages, by config.yaml."""
    end_turns: EndTurns
    """Stops the running turns of conversations, and drops what this process remembers of the conversations."""
    note_removal: Callable[[], None]
    """Called after a member was removed: starts the deletion of their data."""
    drafts: Drafts = field(default_factory=Drafts)

    async def recheck(self, caller: Caller) -> Caller:
        """The caller with their present role. Raises NotSignedIn once signed out, deactivated, or shut out.

        Tokens are checked by `authorize.check_token` at each request, so they pass as they are.
        """
        if caller.kind == "member":
            present = await self.sign_in.find_caller(caller.sign_in_id) if caller.sign_in_id else None
            if present is None or present.owner != caller.owner:
                raise NotSignedIn("You are no longer signed in.")
            return self._unlock(present)
        if caller.kind == "visitor" and not self.allow_public:
            raise NotSignedIn("Sign in first.")
        if caller.kind == "local":
            return self._unlock(await self._recheck_local(caller))
        return caller

    def _unlock(self, caller: Caller) -> Caller:
        """The caller with the fields that they may set: who may write flow files sets protected fields too."""
        if not caller.opens_every_flow:
            return caller
        may_write = caller.is_proven and self.may_write(caller)
        return replace(caller, unlocks="protected" if may_write else "unlisted")

    async def _recheck_local(self, caller: Caller) -> Caller:
        caller = await self._check_proof(caller)
        if self.local_mode == "off":
            raise NotSignedIn("Create the first account: until then this server serves nothing else.")
        if self.local_mode == "link" and not caller.is_proven:
            raise NotSignedIn("Open the link that the terminal printed when Flowground was started.")
        return caller

    async def require_member(self, caller: Caller, says: str = "This needs an account.") -> Caller:
        """The member with their present role. Raises as `recheck`, and NotAllowed (`says`) for others."""
        caller = await self.recheck(caller)
        if caller.kind != "member":
            raise NotAllowed(says, hint="Sign in first.")
        return caller

    async def is_proven_local_owner(self, caller: Caller) -> bool:
        """Whether this is the local owner, with the owner code: they may create the first account."""
        try:
            return caller.kind == "local" and (await self._check_proof(caller)).is_proven
        except NotSignedIn:
            return False

    async def _check_proof(self, caller: Caller) -> Caller:
        if not await self.sign_in.is_local_mode():
            raise NotSignedIn("This server has accounts now: sign in.")
        # A valid cookie proves that the owner code was entered. Without a cookie the code was entered on this page.
        if caller.sign_in_id is not None and await self.sign_in.find_caller(caller.sign_in_id) is None:
            return replace(caller, is_proven=False, sign_in_id=None)
        return caller

    async def admit_visitor(self, browser: str, address: str) -> Caller | None:
        """A caller for somebody who did not sign in, where this flow is shared without sign-in; else None.

        `browser` is a secret that only this browser sends. It identifies the visitor, who sees no other visitor's
        conversations.
        """
        if not self.allow_public or not browser:
            return None
        digest = hashlib.sha256(b"visitor:" + browser.encode()).hexdigest()[:32]
        caller = Caller("visitor", digest, "member", is_proven=False)
        await self.catalogue.refresh()
        return caller if await self.find_open_to(caller, address) else None

    async def open_flow(self, caller: Caller, address: str) -> WiredFlow:
        """The flow at an id or endpoint name. Raises FlowNotFound alike for unknown and forbidden ones."""
        await self.catalogue.refresh()
        wired = await self.find_open_to(caller, address)
        if wired is None:
            raise FlowNotFound(address)
        return wired

    async def reopen(self, caller: Caller, address: str) -> tuple[Caller, WiredFlow]:
        """The caller with their present role, and the flow. Raises as `recheck` and `open_flow`."""
        caller = await self.recheck(caller)
        return caller, await self.open_flow(caller, address)

    async def find_open_to(self, caller: Caller, address: str) -> WiredFlow | None:
        """The flow at an id or endpoint name, as the catalogue has it now; None for unknown and forbidden flows.

        Both cases ask the database the same, so that their timing does not differ either.
        """
        wired = self.catalogue.find(address)
        is_open = await self.may_open(caller, wired.id if wired else _NOWHERE)
        return wired if is_open else None

    async def may_open(self, caller: Caller, flow_id: str) -> bool:
        """Whether this flow, if it is there, is open to the caller."""
        if caller.flows is not None and flow_id not in caller.flows:
            return False
        if caller.opens_every_flow:
            return True
        found = await self.store.read(publications.find, flow_id=flow_id, person=caller.person)
        return found is not None and self._is_shared_with(caller, found)

    async def list_flows(self, caller: Caller) -> list[WiredFlow]:
        """Flows the caller may open, in the catalogue's order."""
        await self.catalogue.refresh()
        every = self.catalogue.list_flows().values()
        flows = [wired for wired in every if caller.flows is None or wired.id in caller.flows]
        if caller.opens_every_flow:
            return flows
        found = await self.store.read(publications.list_publications, person=caller.person)
        admitted = {publication.flow_id for publication in found if self._is_shared_with(caller, publication)}
        return [wired for wired in flows if wired.id in admitted]

    async def list_reach(self, caller: Caller) -> list[str] | None:
        """Ids of the flows whose conversations a token may read: those that it may run now. None: all flows."""
        if caller.opens_every_flow and caller.flows is None:
            return None
        return [wired.id for wired in await self.list_flows(caller)]

    async def may_run_api(self, caller: Caller, wired: WiredFlow) -> bool:
        """Whether a token of this person could run the flow; for a token, whether this token can."""
        if caller.kind == "visitor":
            return False
        if caller.kind == "token" or caller.opens_every_flow:
            return await self.may_open(caller, wired.id)
        found = await self.store.read(publications.find, flow_id=wired.id, person=caller.person)
        return found is not None and found.shares_api and self._is_shared_with(caller, found)

    async def is_shared(self, flow_id: str) -> bool:
        """Whether the flow's shareable playground is on, and has not expired."""
        publication = await self.store.read(publications.find, flow_id=flow_id)
        return publication is not None and publication.is_in_force

    def may_publish(self, caller: Caller, wired: WiredFlow) -> bool:
        """Whether the caller is an admin, or an author who owns the flow (any author where no owners are named)."""
        if caller.role == "admin":
            return True
        owners = wired.flow.owners
        return caller.role == "author" and caller.kind == "member" and (owners is None or caller.id in owners)

    def may_write(self, caller: Caller, wired: WiredFlow | None = None) -> bool:
        """Whether this person may add flow files from a page, or change the file of `wired`.

        The local owner passes here without the owner code, which `require_lasting` and `is_proven` check.
        """
        if caller.kind not in ("local", "member") or self.writers == "nobody" or not caller.opens_every_flow:
            return False
        return caller.role == "admin" or (
            self.writers == "authors" and (wired is None or self.may_publish(caller, wired))
        )

    def find_draft(self, caller: Caller, wired: WiredFlow, *, is_run: bool = False) -> WiredFlow:
        """The flow that answers in this person's own playground: their draft, as long as they may write its file."""
        draft = self.drafts.find(str(caller.owner), wired.id)
        if draft is None or not caller.is_proven or not self.may_write(caller, wired):
            return wired
        if is_run:
            draft.used = time.monotonic()
        return draft.wired

    def require_writer(self, caller: Caller, *, may: bool) -> None:
        """Raises NotAllowed unless `may`, and for the local owner without the owner code."""
        self.require_lasting(caller)
        if not may:
            says = "You may not write this flow file."
            raise NotAllowed(says, hint="`authors.may_write` in config.yaml says who may.")

    async def open_to_publish(self, caller: Caller, address: str) -> tuple[Caller, WiredFlow]:
        """The caller with their present role, and the flow. Raises NotAllowed where they may not publish it."""
        caller, wired = await self.reopen(caller, address)
        self.require_lasting(caller)
        if not self.may_publish(caller, wired):
            raise NotAllowed(f"Only the owners of {wired.name} may publish it.")
        return caller, wired

    def require_lasting(self, caller: Caller) -> None:
        """Checks a caller who changes something lasting. Raises NotAllowed for visitors, and without the owner code."""
        if caller.kind == "visitor":
            raise NotAllowed("This needs an account.", hint="Sign in first.")
        if not caller.is_proven:
            raise NotAllowed("This needs the owner code.", hint="It is in the terminal where Flowground was started.")

    def _is_shared_with(self, caller: Caller, publication: Publication) -> bool:
        """Whether the flow is shared with this caller; `publication` was read for `caller.person`."""
        if not publication.is_in_force or (caller.kind == "token" and not publication.shares_api):
            return False
        if caller.kind == "visitor":
            return publication.audience == "public" and self.allow_public
        return publication.audience != "people" or publication.names_person
