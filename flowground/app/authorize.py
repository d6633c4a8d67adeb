"""Authorizes a request: who asks, by token or sign-in, their limits, and the flow that they may run.

Every endpoint comes here through `endpoint.answer`.
"""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b

from flowground.app.retention import VISITORS
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, RunRequest, Sees, Sets
from flowground.core.errors import FlowgroundError, FlowNotFound, NotAllowed, RequestError, RunStopped
from flowground.flows.wiring import WiredFlow
from flowground.runs.admission import Leaving
from flowground.runs.limits import Allowance, RunCount
from flowground.store.people import tokens

_RIGHTS_TTL_SECONDS = 1.0
"""How long rights that were read stay valid for a run that has not begun."""


class KeyMissing(RequestError):
    """No key was sent; Langflow's sentence."""

    code = "api_key_missing"


class KeyInvalid(RequestError):
    """The key is unknown or no longer valid; Langflow's sentence. A real key's holder is told which."""

    code = "api_key_invalid"


class RightsChanged(NotAllowed):
    """The caller's rights are not those with which the request was authorized."""

    code = "rights_changed"
    says = "Your rights changed while this was waiting; nothing was run."
    hint = "Send it again."


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """A program with an application token, or with none.

    `on_count` gets what is left of the token's minute once this request is counted, also where it is refused later.
    `left` returns when the program has disconnected; it is awaited only while the run waits for its place.
    """

    secret: str | None = field(repr=False)
    on_count: Callable[[Allowance], None] = lambda _: None
    left: Leaving | None = None


@dataclass(frozen=True, slots=True)
class PersonTrying:
    """A person who tries the API in the app; these conversations are apart from those of their playground.

    `sees` and `sets` are the rights of the token that the trial stands for.
    """

    caller: Caller
    sees: Sees = "answers"
    sets: Sets = "opened"


@dataclass(frozen=True, slots=True)
class PersonChatting:
    """A person at a playground, also a visitor; `came_from` is their address. At most one running answer per session.

    `tries_draft`: at their own playground, where their draft of the flow answers, if there is one.
    """

    caller: Caller
    session_id: str
    came_from: str = ""
    tries_draft: bool = False


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command line on this computer, as the local owner."""


Asker = TokenHolder | PersonTrying | PersonChatting | CommandLine


@dataclass(slots=True, eq=False)
class AuthorizedRequest:
    """A request that may run: its caller and its flow, and what its run holds: a place among the process's runs.

    A context manager, which releases it at its end. `count` is the run as limits count it, None where no limit
    applies. `checked_at` is the monotonic time at which the rights were read. `whose` is the person as limits count
    people.
    """

    runtime: Runtime
    asker: Asker
    caller: Caller
    wired: WiredFlow
    count: RunCount | None
    checked_at: float
    whose: str
    run_id: str = ""
    """The run that holds a place; "" while none does."""

    @property
    def exclusive(self) -> str | None:
        """What only one running run may have, in all processes, as a digest: a visitor, or a person's
        conversation; None for runs of programs."""
        if not isinstance(self.asker, PersonChatting):
            return None
        place = (str(self.caller.owner), self.wired.id, self.asker.session_id)
        named = " ".join(place[:1] if self.caller.kind == "visitor" else place)
        return blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    async def acquire(self, request: RunRequest, left: Leaving | None = None) -> None:
        """Waits for a place for the run of `request`. Until it is released, the end of the caller's rights ends the
        run.

        Raises ServerBusy, ShuttingDown, EndedByAdmin when the flow or a provider that it asks is switched off
        meanwhile, ClientDisconnected when `left` returns first, and what `revalidate` raises.
        """
        off = partial(self.runtime.switches.wait_for_off, self.wired, request, self.caller)
        try:
            await self.runtime.admission.acquire(off, *([left] if left else []), whose=self.whose)
        except BaseException:
            if self.count:  # it was not begun
                self.count.undo()
            raise
        self.run_id = request.run_id
        self.runtime.rights.watch(self)
        await self.revalidate()

    def __enter__(self) -> None:
        pass

    def release(self, *_: object) -> None:
        """Releases what is held; a second call does nothing."""
        if self.run_id:
            self.run_id = ""
            del self.runtime.rights.watched[self]
            self.runtime.admission.release(self.whose)

    __exit__ = release

    async def revalidate(self) -> None:
        """Reads the caller's rights again where that was over `_RIGHTS_TTL_SECONDS` ago: after a slow body or a wait.

        Raises what `authorize` raises but for limits, and RightsChanged where the rights changed.
        """
        now = time.monotonic()
        if now - self.checked_at <= _RIGHTS_TTL_SECONDS:
            return
        present = await self._find_present()
        if present != self.caller:
            raise RightsChanged
        await self.runtime.access.open_flow(present, self.wired.id)
        self.checked_at = now

    async def _find_present(self) -> Caller:
        """The caller with their present rights; the use of a token is not counted again."""
        if isinstance(self.asker, CommandLine):
            return LOCAL_OWNER
        if isinstance(self.asker, TokenHolder):
            return await check_token(self.runtime, self.asker.secret, counts_use=False)
        person = await self.runtime.access.recheck(self.asker.caller)
        if isinstance(self.asker, PersonTrying):
            await _require_api(self.runtime, person, self.wired)
            return person.try_api(self.asker.sees, self.asker.sets)
        return person

    # As `rights.Watched`, while the run goes on

    @property
    def rights(self) -> Hashable:
        return type(self), self.caller.kind, self.caller.id, self.caller.sign_in_id, self.wired.id

    async def read_rights(self) -> tuple[Caller, WiredFlow]:
        """The present caller. A flow whose file is gone, or another by now, ends no run."""
        present = await self._find_present()
        if not await self.runtime.access.may_open(present, self.wired.id):
            raise FlowNotFound(self.wired.id)
        return present, self.wired

    def take_rights(self, caller: Caller, wired: WiredFlow) -> None:
        """Nothing to take: the run goes on as it began."""

    def end_rights(self, error: FlowgroundError) -> None:  # noqa: ARG002 - whoever reads the run may read no reason
        self.runtime.running.end_early(self.run_id, RunStopped())


async def authorize(runtime: Runtime, asker: Asker, address: str) -> AuthorizedRequest:
    """Authorizes a request for the flow at `address` and counts it in the caller's and the flow's minute.

    Raises KeyMissing, KeyInvalid, NotSignedIn, RunLimitReached, FlowNotFound, NotAllowed; AnswerUnfinished while a
    playground session is being answered.
    """
    if isinstance(asker, PersonTrying | PersonChatting):
        return await _authorize_person(runtime, asker, address)
    now = time.monotonic()
    if isinstance(asker, CommandLine):
        wired = await runtime.access.open_flow(LOCAL_OWNER, address)
        return AuthorizedRequest(runtime, asker, LOCAL_OWNER, wired, None, now, "")
    caller = await check_token(runtime, asker.secret)
    count = runtime.run_limits.open(caller) if runtime.run_limits.counts_programs else None
    if count:  # before the flow is known: guessing names is limited too
        await count.read()
        count.count_request()
        if allowance := count.allowance:
            asker.on_count(allowance)
    wired = await runtime.access.open_flow(caller, address)
    if count:
        await count.read(wired.id)
        count.count_request(is_for_flow=True)
    return AuthorizedRequest(runtime, asker, caller, wired, count, now, caller.person or caller.id)


async def _authorize_person(runtime: Runtime, asker: PersonTrying | PersonChatting, address: str) -> AuthorizedRequest:
    now = time.monotonic()
    caller, wired = await runtime.access.reopen(asker.caller, address)
    came_from = asker.came_from if isinstance(asker, PersonChatting) and caller.kind == "visitor" else ""
    if isinstance(asker, PersonTrying):
        await _require_api(runtime, caller, wired)
    if count := runtime.run_limits.open(caller, at_page=True, came_from=came_from):
        await count.read()
        await count.read(wired.id)
    if isinstance(asker, PersonTrying):
        caller = caller.try_api(asker.sees, asker.sets)
    else:
        if asker.tries_draft:
            wired = runtime.access.find_draft(caller, wired, is_run=True)
        runtime.refuse_second_answer(caller, wired.id, asker.session_id)  # from here nothing waits
    if count:
        count.count_request()
        count.count_request(is_for_flow=True)
    if caller.kind == "visitor":
        runtime.retention_task.look_soon(VISITORS)
    whose = came_from or caller.person or ("" if caller.kind == "local" else caller.id)
    return AuthorizedRequest(runtime, asker, caller, wired, count, now, whose)


async def _require_api(runtime: Runtime, person: Caller, wired: WiredFlow) -> None:
    if not await runtime.access.may_run_api(person, wired):
        raise NotAllowed(f"{wired.name} is shared for its playground, not for its API.", hint="Ask its author.")


async def check_token(runtime: Runtime, secret: str | None, *, counts_use: bool = True) -> Caller:
    """The caller behind an application token, read from the database: a revoked token ends at once.

    Raises KeyMissing or KeyInvalid.
    """
    if not secret:
        raise KeyMissing(
            "An API key must be passed as query or header",
            hint="Make an application token under API access and send it as the x-api-key header.",
        )
    caller = await runtime.sign_in.verify_token(secret, counts_use=counts_use)
    if caller is None:
        raise await _invalid_key_error(secret, runtime)
    return caller


async def _invalid_key_error(secret: str, runtime: Runtime) -> KeyInvalid:
    """The error for an invalid key. Only the holder of a complete real key learns more than that it is unknown."""
    token = await runtime.store.read(tokens.find_any, secret=secret)
    if token is None:
        code, says = "api_key_invalid", "This is no token of this server: was it copied whole?"
    elif token.revoked_at:
        code, says = "api_key_revoked", f"The token was revoked on {token.revoked_at:%Y-%m-%d}."
    elif token.is_in_force:
        code, says = "api_key_invalid", "The account that the token belongs to is no longer active."
    else:
        code, says = "api_key_expired", f"The token expired on {token.expires_at:%Y-%m-%d}."
    return KeyInvalid("Invalid or missing API key", code=code, hint=f"{says} Make a new one under API access.")
