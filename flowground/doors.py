"""The waist between the doors and a flow: who asks, what they may start, how it goes on and what ends it early.

A door decodes what was sent into a `RunRequest` and encodes what is said; all between is the same for each of them:

    answer = await doors.answer(runtime, TokenHolder(secret), address=flow_id, ask=read_the_body)
    finished = await answer.finish()

Failures are raised, and each door says them in its own way.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar, assert_never

from flowground.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.errors import FlowgroundError, FlowNotFound, NotAllowed, RunError, RunNotFound, ShuttingDown
from flowground.events import (
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    Token,
    TurnFinished,
    TurnStarted,
)
from flowground.limits import Allowance
from flowground.runtime import LiveTurn, NumberedEvent, Runtime
from flowground.store.people import tokens
from flowground.store.runs import progress
from flowground.store.runs.records import RunRecord
from flowground.turns import take_turn
from flowground.wiring import WiredFlow

Wanted = TypeVar("Wanted", bound=RunRequest)
EncodedPiece = TypeVar("EncodedPiece")
AnyEvent = TypeVar("AnyEvent", Event, NumberedEvent)
_RUN_ID = re.compile(r"[\w-]{1,64}", re.ASCII)


class KeyMissing(FlowgroundError):
    """No key was sent; Langflow's sentence."""

    code = "api_key_missing"


class KeyInvalid(FlowgroundError):
    """The key is unknown or no longer good; Langflow's sentence. `code` and `hint` tell a real key's holder which."""

    code = "api_key_invalid"


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """A program with an application token, or with none.

    `on_count` is told what is left of the token's minute once this request is counted, also where it is refused then.
    """

    secret: str | None = field(repr=False)
    on_count: Callable[[Allowance], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class PersonTrying:
    """Somebody who tries the API in the app; their trials' conversations are apart from those of their playground."""

    caller: Caller


@dataclass(frozen=True, slots=True)
class PersonChatting:
    """Somebody at a playground, a visitor too; `came_from` is their address. At most one running answer per session."""

    caller: Caller
    session_id: str
    came_from: str = ""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Whoever has this computer."""


Asker = TokenHolder | PersonTrying | PersonChatting | CommandLine
_SEES_THE_FETCH = (PersonChatting, CommandLine)
"""Who is shown how the fetch of a model goes on: their streams wait for it."""


async def answer(
    runtime: Runtime, asker: Asker, *, address: str, ask: Wanted | Callable[[], Awaitable[Wanted]]
) -> "Answer[Wanted]":
    """Lets the asker in; the answer has not begun yet.

    `address` is the flow's id or endpoint name; `ask` is the request, or reads it. Checks, in this order:
    whether the server ends, who asks, a token's limit, the flow, a person's limit, what they ask, and for a stream
    whether its models are there. Raises the first that fails: ShuttingDown, KeyMissing, KeyInvalid, NotSignedIn,
    RunLimitReached, FlowNotFound, NotAllowed, whatever `ask` raises, ComponentFailed; and InvalidRequest while another
    answer is written in a session of a playground.
    """
    runtime.refuse_when_ending()
    caller, wired = await _let_in(runtime, asker, address)
    request = ask if isinstance(ask, RunRequest) else await ask()
    if request.stream and not isinstance(asker, _SEES_THE_FETCH):
        runtime.require_ready(caller, wired)
    return Answer(runtime, caller, wired, request)


async def _let_in(runtime: Runtime, asker: Asker, address: str) -> tuple[Caller, WiredFlow]:
    """The caller who takes the turn, counted, and the flow."""
    match asker:
        case TokenHolder():
            caller = await check_token(runtime, asker.secret)
            if allowance := runtime.run_limits.take_token(caller):
                asker.on_count(allowance)
            return caller, await runtime.access.open_flow(caller, address)
        case PersonTrying():
            person = await runtime.access.recheck(asker.caller)
            wired = await runtime.access.open_flow(person, address)
            if not await runtime.access.may_run_api(person, wired):
                raise NotAllowed(f"{wired.name} is shared for its playground, not for its API.", hint="Ask its author.")
            runtime.run_limits.take(person, flow_id=wired.id)
            return replace(person, kind="token", name=f"try:{person.name}", owner=person.person), wired
        case PersonChatting():
            person = await runtime.access.recheck(asker.caller)
            wired = await runtime.access.open_flow(person, address)
            await runtime.run_limits.read_day(person, wired.id)
            runtime.refuse_second_answer(person, wired.id, asker.session_id)  # from here nothing waits
            runtime.run_limits.take(person, flow_id=wired.id, came_from=asker.came_from)
            if person.kind == "visitor":
                runtime.forgetting.note_visitor()
            return person, wired
        case CommandLine():
            return LOCAL_OWNER, await runtime.access.open_flow(LOCAL_OWNER, address)
        case _:
            assert_never(asker)


async def check_token(runtime: Runtime, secret: str | None) -> Caller:
    """The caller behind an application token. Raises KeyMissing or KeyInvalid.

    The database is asked each time: a revoked token ends at once.
    """
    if not secret:
        raise KeyMissing(
            "An API key must be passed as query or header",
            hint="Make an application token under API access and send it as the x-api-key header.",
        )
    caller = await runtime.sign_in.verify_token(secret)
    if caller is None:
        raise await _explain_invalid(secret, runtime)
    return caller


async def _explain_invalid(secret: str, runtime: Runtime) -> KeyInvalid:
    """What is wrong with the key. Only who holds the whole of a real one learns more than that it is unknown."""
    token = await runtime.store.read(tokens.find_any, secret=secret)
    if token is None:
        code, says = "api_key_invalid", "No token of this server is like that: was it copied whole?"
    elif token.revoked_at:
        code, says = "api_key_revoked", f"The token was revoked on {token.revoked_at:%Y-%m-%d}."
    elif token.is_in_force:
        code, says = "api_key_invalid", "The account that the token belongs to is no longer active."
    else:
        code, says = "api_key_expired", f"The token expired on {token.expires_at:%Y-%m-%d}."
    return KeyInvalid("Invalid or missing API key", code=code, hint=f"{says} Make a new one under API access.")


@dataclass(frozen=True, slots=True)
class Answer(Generic[Wanted]):
    """What was let in. It begins once: by `start`, or when its events are read.

    The second ends when whoever reads its events stops reading.
    """

    runtime: Runtime
    caller: Caller
    wired: WiredFlow
    request: Wanted

    def stream_events(self) -> AsyncGenerator[Event, None]:
        """The events of the turn, to be closed by whoever stops reading early."""
        runtime = self.runtime
        return take_turn(
            self.caller,
            self.wired,
            self.request,
            store=runtime.store,
            running=runtime.running,
            models=runtime.models,
            settings=runtime.settings,
        )

    def start(self) -> LiveTurn:
        """The turn, which goes on without the one that began it. To be called at once."""
        turn = LiveTurn(self.caller, self.wired, self.request, self.stream_events(), self.runtime.explain_stop)
        self.runtime.keep_for_page(turn)
        return turn

    def start_for_stream(self) -> LiveTurn:
        """The turn, which goes on for `limits.resume_seconds` while nobody follows it, and can be followed as long
        after its end."""
        turn = LiveTurn(
            self.caller,
            self.wired,
            self.request,
            self.stream_events(),
            self.runtime.explain_stop,
            alone_seconds=self.runtime.settings.limits.resume_seconds,
        )
        self.runtime.keep_for_stream(turn)
        return turn

    async def finish(self, *, left: Callable[[], Coroutine[Any, Any, None]] | None = None) -> TurnFinished | None:
        """The turn at its end. `left` returns when the asker is gone: the turn is stopped then, and there is None.

        With `left`, raises ShuttingDown where the server stops the turn.
        """
        with self.runtime.mark_run() as task:
            if left is None:
                return await self._read()
            is_reading = True
            leaving = asyncio.create_task(left())
            leaving.add_done_callback(lambda _: task.cancel() if is_reading and not leaving.cancelled() else None)
            try:
                return await self._read()
            except asyncio.CancelledError:
                task.uncancel()
                if leaving.done():
                    return None
                raise ShuttingDown() from None
            finally:
                is_reading = False
                leaving.cancel()

    def follow(
        self,
        encode: Callable[[AsyncGenerator[Event, None]], AsyncGenerator[EncodedPiece, None]],
        *,
        cut_off: Callable[[FlowgroundError], EncodedPiece],
    ) -> AsyncGenerator[EncodedPiece, None]:
        """What `encode` makes of the events, as they come; the turn ends when this is closed.

        `cut_off` makes the last piece of the error when the server stops them.
        """
        return _follow(self.runtime, self.stream_events(), encode, cut_off)

    async def _read(self) -> TurnFinished:
        finished: TurnFinished | None = None
        async with aclosing(self.stream_events()) as events:
            async for event in events:
                match event:
                    case TurnFinished():
                        finished = event
                    case TurnStarted() | ComponentStarted() | ComponentFinished() | Token() | ModelProgress():
                        pass
                    case _:
                        assert_never(event)
        if finished is None:
            raise RunError("The run ended without an answer.")
        return finished


async def open_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """The caller's own run, of a flow that they may run. Raises RunNotFound.

    Who sees the inside of every flow keeps their runs of flows that are gone. A run whose process died has its end
    after this.
    """
    run = await runtime.store.read(progress.find_run, run_id=run_id) if _RUN_ID.fullmatch(run_id) else None
    if run is None or run.owner != caller.key:
        raise RunNotFound(run_id)
    if not caller.sees_inside or caller.flows is not None:
        try:
            await runtime.access.open_flow(caller, run.flow_id)
        except FlowNotFound:
            raise RunNotFound(run_id) from None
    if run.status == "running" and run.holder != runtime.running.holder and await runtime.interruptions.end_left_runs():
        return await runtime.store.read(progress.find_run, run_id=run_id) or run
    return run


def follow_turn(
    runtime: Runtime,
    turn: LiveTurn,
    encode: Callable[[AsyncGenerator[NumberedEvent, None]], AsyncGenerator[EncodedPiece, None]],
    *,
    cut_off: Callable[[FlowgroundError], EncodedPiece],
    split_after: int = 0,
) -> AsyncGenerator[EncodedPiece, None]:
    """As `Answer.follow`, from the turn's first event; it goes on without this follower.

    Texts are not joined across the event with the number `split_after`.
    """
    return _follow(runtime, turn.follow(split_after=split_after), encode, cut_off)


async def _follow(
    runtime: Runtime,
    events: AsyncGenerator[AnyEvent, None],
    encode: Callable[[AsyncGenerator[AnyEvent, None]], AsyncGenerator[EncodedPiece, None]],
    cut_off: Callable[[FlowgroundError], EncodedPiece],
) -> AsyncGenerator[EncodedPiece, None]:
    with runtime.mark_run() as task:
        async with aclosing(events), aclosing(encode(events)) as pieces:
            try:
                async for piece in pieces:
                    yield piece
            except asyncio.CancelledError:
                if not runtime.is_stopping:
                    raise
                task.uncancel()
                yield cut_off(ShuttingDown())
