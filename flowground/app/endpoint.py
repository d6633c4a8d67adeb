"""Answers a request to a flow, the same for every endpoint: authorize, wait for a place, run the turn, end it early.

An endpoint decodes its request into a `RunRequest` and encodes the events of the turn:

    answer = await endpoint.answer(runtime, TokenHolder(secret), address=flow_id, ask=read_the_body)
    finished = await answer.finish()

Failures are raised; each endpoint encodes them itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from flowground.app.authorize import Asker, AuthorizedRequest, CommandLine, PersonChatting, TokenHolder, authorize
from flowground.app.live_turns import LiveTurn, ReplayedFlow, ReplayedTurn, replay
from flowground.app.runtime import Runtime
from flowground.core.caller import WHOSE, Caller, RunRequest, make_id
from flowground.core.errors import ComponentFailed, EventsGone, FlowgroundError, RunError, ShuttingDown
from flowground.core.events import Event, ToolWaits, TurnFinished, TurnStarted
from flowground.flows.wiring import WiredFlow, keeps_messages
from flowground.runs.journal import Journal
from flowground.runs.outputs import refuse_unseen_outputs
from flowground.runs.repeatable_run import IdempotencyKeyTaken, RepeatableRun, make_idempotency_key
from flowground.runs.turns import TurnTerms, take_turn
from flowground.store.runs import idempotency
from flowground.store.runs.idempotency import IdempotencyKey
from flowground.store.runs.records import RunRecord

AnyRequest = TypeVar("AnyRequest", bound=RunRequest)
EncodedPiece = TypeVar("EncodedPiece")
_SHOWS_FETCH = (PersonChatting, CommandLine)
"""Askers who are shown the progress of a model's download: their streams wait for it."""


async def answer(
    runtime: Runtime, asker: Asker, *, address: str, ask: AnyRequest | Callable[[], Awaitable[AnyRequest]]
) -> "Answer[AnyRequest]":
    """Authorizes a request and acquires its place. Begin the answer at once, or release the place; with an idempotency
    key the answer has begun.

    `address` is the flow's id or endpoint name; `ask` is the request, or reads it. The checks, in this order:

    - the server shuts down: ShuttingDown
    - the asker, their minute, the flow, its minute: what `authorize` raises
    - the request: what `ask` raises; NotAllowed for outputs that the token does not show
    - the flow, or a provider that it asks, is switched off: EndedByAdmin
    - the idempotency key was used before: IdempotencyKeyReused, RunUnfinished, AnswerGone, or the repeat is returned
    - limits of concurrent runs and of the day: RunLimitReached
    - a model of a stream is not downloaded yet: ComponentFailed
    - no place among the process's runs becomes free: ServerBusy; ClientDisconnected where the asker leaves before

    After each wait the asker's rights are read again: what `AuthorizedRequest.revalidate` raises.
    """
    runtime.refuse_when_ending()
    await runtime.switches.refresh()
    place = await authorize(runtime, asker, address)
    caller, wired = place.caller, place.wired
    WHOSE.set(place.whose)
    try:
        if isinstance(ask, RunRequest):
            request = ask if ask.run_id else replace(ask, run_id=make_id())
        else:
            request = await ask()
            await place.revalidate()
        refuse_unseen_outputs(caller, wired, request)
        if off := runtime.switches.find_off(wired, request, caller):
            raise off
        may_ask = isinstance(asker, PersonChatting | TokenHolder)
        answer = Answer(runtime, caller, wired, request, place, may_ask=may_ask)
        name = request.idempotency_key
        idempotency_key = None if name is None else make_idempotency_key(name, caller, wired.id, request)
        if idempotency_key and (repeat := await answer.find_first(idempotency_key)):
            return repeat
        if place.count:
            place.count.check_run()
        if request.stream and not isinstance(asker, _SHOWS_FETCH):
            runtime.require_ready(caller, wired)
        if not isinstance(asker, PersonChatting):  # a chat's turn waits by itself, so that its session shows it at once
            await place.acquire(request, asker.left if isinstance(asker, TokenHolder) else None)
    except BaseException:
        place.release()
        raise
    return await answer.begin_once(idempotency_key) if idempotency_key else answer


@dataclass(frozen=True, slots=True)
class Answer(Generic[AnyRequest]):
    """An authorized request. Its turn begins once: by `start` or `start_for_stream`, or when its events are read.

    A turn that is read ends when its reader stops. With an idempotency key the `turn` has begun already and goes on by
    itself; where the answer `is_repeat` that is the first request's turn. `place` None: nothing is held here.
    """

    runtime: Runtime
    caller: Caller
    wired: WiredFlow
    request: AnyRequest
    place: AuthorizedRequest | None = None
    turn: LiveTurn | ReplayedTurn | None = None
    is_repeat: bool = False
    may_ask: bool = False
    """Whether a person may be asked to allow calls of tools: the asker has an endpoint to answer by."""

    @property
    def shown(self) -> WiredFlow | ReplayedFlow:
        """The flow that answers; for a repeat, the flow as it was when the first request ran."""
        return self.turn.wired if self.turn else self.wired

    @property
    def run_id(self) -> str:
        """The id of the run that answers; for a repeat, the first request's. A refused request leaves no such run."""
        return self.turn.run_id if isinstance(self.turn, ReplayedTurn) else (self.turn or self).request.run_id

    async def find_first(self, idempotency_key: IdempotencyKey) -> "Answer[AnyRequest] | None":
        """This answer with the turn of the first request with this key, and no place; None where the key is free.

        Waits where another process answers the first request; raises what `IdempotencyCache.find_first` and
        `AuthorizedRequest.revalidate` raise, and EndedByAdmin.
        """
        runtime = self.runtime
        with runtime.mark_run():
            first = await runtime.repeats.find_first(idempotency_key, self.caller.counted_as)
        if self.place:
            await self.place.revalidate()
        if off := runtime.switches.find_off(self.wired, self.request, self.caller):
            raise off
        return replace(self, place=None, turn=first, is_repeat=True) if first else None

    async def begin_once(self, idempotency_key: IdempotencyKey) -> "Answer[AnyRequest]":
        """This answer with its turn begun; or a repeat, where another request took the key meanwhile."""
        turn = self.start_for_stream(RepeatableRun(idempotency_key))
        alone = replace(self, place=None)  # the turn holds the place to its end, whoever reads it
        error = await turn.wait_for_begin()
        if not isinstance(error, IdempotencyKeyTaken):
            return replace(alone, turn=turn)
        if repeat := await self.find_first(idempotency_key):
            return repeat
        raise error  # the other request has failed already, and freed the key

    def start_apart(self) -> "Answer[AnyRequest]":
        """This answer with a turn that goes on by itself, also while a person is asked."""
        return replace(self, place=None, turn=self.start_for_stream())

    def stream_events(
        self, repeatable: RepeatableRun | None = None, *, journal: Journal | None = None
    ) -> AsyncGenerator[Event, None]:
        """The events of the turn, which the `journal` gets too. A reader that stops early must close them."""
        runtime = self.runtime
        if self.turn:
            return self.turn.follow()
        count, exclusive = (self.place.count, self.place.exclusive) if self.place else (None, None)
        allowed = runtime.running.allowed if self.may_ask else None
        return take_turn(
            self.caller,
            self.wired,
            self.request,
            running=runtime.running,
            models=runtime.models,
            settings=runtime.settings,
            terms=TurnTerms(runtime.switches.refuse, count, repeatable, allowed, runtime.stop_error, exclusive),
            outside=runtime.reach.outside,
            journal=journal,
        )

    def start(self) -> LiveTurn:
        """Begins the turn for a page; it goes on without the page that began it. Call this at once."""
        admit = partial(self.place.acquire, self.request) if self.place else None
        turn = self._begin(admit=admit)
        self.runtime.keep_for_page(turn)
        return turn

    def start_for_stream(self, repeatable: RepeatableRun | None = None) -> LiveTurn:
        """Begins the turn for a stream; it goes on for `limits.resume_seconds` without a follower, and can be followed
        as long after its end."""
        limits = self.runtime.settings.limits
        alone_seconds = limits.resume_seconds + (limits.approval_seconds if self.wired.asks_people else 0)
        turn = self._begin(repeatable, alone_seconds=alone_seconds)
        self.runtime.keep_for_stream(turn)
        return turn

    def _begin(self, repeatable: RepeatableRun | None = None, **how: Any) -> LiveTurn:
        """Begins a turn that holds the answer's place to its end."""
        journal = Journal()
        events = self.stream_events(repeatable, journal=journal)
        turn = LiveTurn(self.caller, self.wired, self.request, events, journal, self.runtime.stop_error, **how)
        if self.place:
            turn.task.add_done_callback(self.place.release)
        return turn

    async def finish(
        self, *, left: Callable[[], Coroutine[Any, Any, None]] | None = None
    ) -> TurnFinished | ToolWaits | None:
        """Waits for the end of the turn.

        Returns None if `left` returned first (the client disconnected), which stops the turn; ToolWaits if the turn
        goes on by itself and a tool call waits for approval. Raises ShuttingDown where the server stops the turn.
        """
        with self.place or nullcontext(), self.runtime.mark_run() as task:
            if left is None:
                return await self._read()
            is_reading = True
            leaving = asyncio.create_task(left())
            leaving.add_done_callback(lambda _: task.cancel() if is_reading and not leaving.cancelled() else None)
            try:
                return await self._read()
            except asyncio.CancelledError:
                if self.runtime.is_stopping or not leaving.done():
                    raise
                task.uncancel()
                return None
            finally:
                is_reading = False
                leaving.cancel()

    async def _read(self) -> TurnFinished | ToolWaits:
        finished: TurnFinished | None = None
        async with aclosing(self.stream_events()) as events:
            async for event in events:
                if isinstance(event, TurnFinished):
                    finished = event
                elif self.turn and isinstance(event, ToolWaits) and self.runtime.running.list_waiting(self.run_id):
                    return event
        if finished is None:
            raise RunError("The run ended without an answer.")
        return finished


async def reopen(
    runtime: Runtime, caller: Caller, run: RunRecord
) -> tuple[WiredFlow | ReplayedFlow, AsyncGenerator[Event, None], bool]:
    """The flow and the events of a stream that this process does not keep, from the first: as they are stored, or as
    its own process writes them; and whether they may show the inside. Raises EventsGone.
    """
    if not run.streamed or (run.status == "running" and run.holder == runtime.running.holder):
        raise EventsGone
    if run.status != "running":
        ended = await _find_ended(runtime, caller, run)
        if not ended.events or not isinstance(start := ended.events[0], TurnStarted):
            raise EventsGone
        return ended.wired, ended.follow(), start.shows_inside
    wired = await runtime.access.open_flow(caller, run.flow_id)
    if wired.version != run.flow_version or not keeps_messages(wired):
        raise EventsGone
    return wired, _follow_elsewhere(runtime, caller, run, wired), run.token != caller.id


async def _follow_elsewhere(
    runtime: Runtime, caller: Caller, run: RunRecord, wired: WiredFlow
) -> AsyncGenerator[Event, None]:
    last = 0
    async with aclosing(runtime.elsewhere.open(run, wired).journal.follow()) as batches:
        async for batch in batches:
            for number, event in batch:
                last = number
                yield event
    ended, whole = await _find_ended(runtime, caller, run), Journal()
    for event in ended.events:
        whole.append(event)
    for _, event in whole.list_after(last):
        yield event
    if ended.failure:
        raise ended.failure


async def _find_ended(runtime: Runtime, caller: Caller, run: RunRecord) -> ReplayedTurn:
    """The ended turn, with what the caller may see of it. Raises EventsGone."""
    kept = await runtime.store.read(idempotency.find_kept_run, run_id=run.id)
    ended = replay(kept) if kept else None
    end = ended.events[-1] if ended and ended.events else None
    if ended is None or (isinstance(end, TurnFinished) and not end.results):  # the releases before kept no results
        raise EventsGone
    if isinstance(ended.failure, ComponentFailed) and not caller.sees_inside:
        return replace(ended, failure=ended.failure.hide_inside())
    return ended


async def follow(
    runtime: Runtime,
    events: AsyncGenerator[Event, None],
    encode: Callable[[AsyncGenerator[Event, None]], AsyncGenerator[EncodedPiece, None]],
    *,
    cut_off: Callable[[FlowgroundError], EncodedPiece],
    place: AuthorizedRequest | None = None,
) -> AsyncGenerator[EncodedPiece, None]:
    """The encoded events, as they come. They are closed with this generator, and the `place` is released.

    `cut_off` encodes the error as the last piece when the server stops the turn.
    """
    with place or nullcontext():
        try:
            with runtime.mark_run():
                async with aclosing(events), aclosing(encode(events)) as pieces:
                    async for piece in pieces:
                        yield piece
        except ShuttingDown as error:
            yield cut_off(error)
