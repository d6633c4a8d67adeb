"""Authorizes a request: who asks, by token or sign-in, their limits, and the flow that they may run.

Every endpoint comes here through `endpoint.answer`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

from flowground.app.retention import VISITORS
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller, Sees, Sets
from flowground.core.errors import FlowgroundError, NotAllowed
from flowground.flows.wiring import WiredFlow
from flowground.runs.admission import Leaving
from flowground.runs.limits import Allowance, RunCount
from flowground.store.people import tokens

_RIGHTS_TTL_SECONDS = 1.0
"""How long rights that were read stay valid for a run that has not begun."""


class KeyMissing(FlowgroundError):
    """No key was sent; Langflow's sentence."""

    code = "api_key_missing"


class KeyInvalid(FlowgroundError):
    """The key is unknown or no longer valid; Langflow's sentence. A real key's holder is told which."""

    code = "api_key_invalid"


class RightsChanged(NotAllowed):
    """The caller's rights are not those with which the request was authorized."""

    code = "rights_changed"

    def __init__(self) -> None:
        super().__init__("Your rights changed while this was waiting; nothing was run.", hint="Send it again.")


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


@dataclass(slots=True)
class AuthorizedRequest:
    """A request that may run: its caller, its flow, and its run as limits count it.

    `checked_at` is the monotonic time at which the rights were read.
    """

    asker: Asker
    caller: Caller
    wired: WiredFlow
    count: RunCount | None
    checked_at: float

    async def revalidate(self, runtime: Runtime) -> None:
        """Reads the caller's rights again where that was over `_RIGHTS_TTL_SECONDS` ago: after a slow body or a wait.

        Raises what `authorize` raises but for limits, and RightsChanged where the rights changed.
        """
        now = time.monotonic()
        if now - self.checked_at <= _RIGHTS_TTL_SECONDS:
            return
        present = await _find_present(runtime, self.asker, self.wired)
        if replace(present, has_kept_apart=self.caller.has_kept_apart) != self.caller:
            raise RightsChanged
        await runtime.access.open_flow(present, self.wired.id)
        self.checked_at = now


async def authorize(runtime: Runtime, asker: Asker, address: str) -> AuthorizedRequest:
    """Authorizes a request for the flow at `address` and counts it in the caller's and the flow's minute.

    Raises KeyMissing, KeyInvalid, NotSignedIn, RunLimitReached, FlowNotFound, NotAllowed; AnswerUnfinished while a
    playground session is being answered.
    """
    now = time.monotonic()
    match asker:
        case TokenHolder():
            return AuthorizedRequest(asker, *await _authorize_program(runtime, asker, address), now)
        case PersonTrying():
            person = await runtime.access.recheck(asker.caller)
            wired = await runtime.access.open_flow(person, address)
            await _require_api(runtime, person, wired)
            run = runtime.run_limits.open(person, at_page=True)
            await run.read()
            await run.read(wired.id)
            run.count_request()
            run.count_request(wired.id)
            return AuthorizedRequest(asker, person.try_api(asker.sees, asker.sets), wired, run, now)
        case PersonChatting():
            person = await runtime.access.recheck(asker.caller)
            wired = await runtime.access.open_flow(person, address)
            run = runtime.run_limits.open(person, at_page=True, came_from=asker.came_from)
            await run.read()
            await run.read(wired.id)
            if asker.tries_draft:
                wired = runtime.access.find_draft(person, wired, is_run=True)
            runtime.refuse_second_answer(person, wired.id, asker.session_id)  # from here nothing waits
            run.count_request()
            run.count_request(wired.id)
            if person.kind == "visitor":
                runtime.retention_task.look_soon(VISITORS)
            return AuthorizedRequest(asker, person, wired, run, now)
        case CommandLine():
            return AuthorizedRequest(
                asker, LOCAL_OWNER, await runtime.access.open_flow(LOCAL_OWNER, address), None, now
            )
        case _:
            assert_never(asker)


async def _find_present(runtime: Runtime, asker: Asker, wired: WiredFlow) -> Caller:
    """The authorized caller with their present rights; the use of a token is not counted again."""
    match asker:
        case TokenHolder():
            return await check_token(runtime, asker.secret, counts_use=False)
        case PersonTrying():
            person = await runtime.access.recheck(asker.caller)
            await _require_api(runtime, person, wired)
            return person.try_api(asker.sees, asker.sets)
        case PersonChatting():
            return await runtime.access.recheck(asker.caller)
        case CommandLine():
            return LOCAL_OWNER
        case _:
            assert_never(asker)


async def _require_api(runtime: Runtime, person: Caller, wired: WiredFlow) -> None:
    if not await runtime.access.may_run_api(person, wired):
        raise NotAllowed(f"{wired.name} is shared for its playground, not for its API.", hint="Ask its author.")


async def _authorize_program(runtime: Runtime, asker: TokenHolder, address: str) -> tuple[Caller, WiredFlow, RunCount]:
    """Counts the token's limits before the flow is looked up, so that guessing names is limited too."""
    caller = await check_token(runtime, asker.secret)
    run = runtime.run_limits.open(caller)
    await run.read()
    run.count_request()
    if allowance := run.allowance:
        asker.on_count(allowance)
    try:
        wired = await runtime.access.open_flow(caller, address)
        await run.read(wired.id)
        run.count_request(wired.id)
    except BaseException:
        run.release()
        raise
    return caller, wired, run


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
