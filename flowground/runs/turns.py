"""One turn: a user's message and its reply in a session, for every endpoint: prepare, run, store.

Question and run are stored when the turn begins, answers and the run's end when it is over.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from msgspec import structs

from flowground.components.base import NO_OUTSIDE, Models, Outside
from flowground.core.caller import Caller, RunRequest, make_id
from flowground.core.citations import keep_passages
from flowground.core.errors import (
    ComponentFailed,
    EndedByAdmin,
    FlowgroundError,
    InvalidRequest,
    RunError,
    RunStopped,
    StoreUnavailable,
    UnexpectedFailure,
)
from flowground.core.events import (
    ComponentEvent,
    Event,
    RunFinished,
    ToolWaits,
    TurnFinished,
    TurnStarted,
    TurnView,
    fold,
    list_notes,
)
from flowground.core.values import AddedMessage, PastMessage
from flowground.flows.tweaks import apply_tweaks, refuse_missing
from flowground.flows.wiring import WiredFlow, keeps_messages
from flowground.runs.inner import RunBudget
from flowground.runs.journal import Journal
from flowground.runs.limits import RunCount
from flowground.runs.outputs import read_input
from flowground.runs.repeatable_run import IdempotencyKeyTaken, NotedModels, RepeatableRun
from flowground.runs.request_files import list_taken, refuse_images, take_files
from flowground.runs.runner import run_flow
from flowground.runs.running import RunningRuns, RunningTurn
from flowground.runs.scope import Allowed, Approvals
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import conversations, files, idempotency, journals, turns, versions
from flowground.store.runs.counters import CountedRun
from flowground.store.runs.records import RunCounts, RunRecord, RunStatus, StoredMessage

_log = logging.getLogger(__name__)
_MOST_ADDED, _MOST_ADDED_CHARS = 100, 500_000
"""Messages that one run may add, and their characters together."""


@dataclass(slots=True)
class TurnHistory:
    """`History` of the run of one turn, without the turn's own message.

    `added` has the messages that the run adds by their future ids; they are stored at the turn's end.
    """

    record: "TurnRecord"
    added: dict[str, AddedMessage] = field(default_factory=dict)

    async def read(self, limit: int) -> Sequence[PastMessage]:
        """As `History.read`; files that were deleted are marked. Raises StoreUnavailable."""
        turn, read, place = self.record.turn, self.record.store.read, self.record.address
        try:
            past = await read(conversations.read_history, **place, before=turn.user_message_id, limit=limit)
            if not (keys := [file.id for message in past for file in message.files]):
                return past
            present = await read(files.find_present, keys=keys)
        except StoreUnavailable as error:
            raise unavailable_error(error, turn.run_id) from None
        return [_mark_gone(message, present) if message.files else message for message in past]

    def append(self, message: AddedMessage) -> bool:
        """As `History.append`."""
        if not self.record.turn.is_kept:
            return False
        size = len(message.text) + sum(len(one.text) for one in self.added.values())
        if len(self.added) >= _MOST_ADDED or size > _MOST_ADDED_CHARS:
            raise RunError(
                f"A run stores {_MOST_ADDED} messages at most, of {_MOST_ADDED_CHARS:,} characters together.",
                hint="Store fewer, or shorter ones.",
            )
        if repeatable := self.record.terms.repeatable:
            repeatable.note_call()  # it cannot be undone
        self.added[make_id()] = message
        return True


def _mark_gone(message: PastMessage, present: set[str]) -> PastMessage:
    kept = tuple(file for file in message.files if file.id in present)
    return replace(message, files=kept, gone=tuple(file.name for file in message.files if file.id not in present))


def unavailable_error(error: StoreUnavailable, run_id: str) -> StoreUnavailable:
    """A copy of the error with the id of this run: many runs may share one error."""
    named = copy(error)
    named.run_id = run_id
    return named


@dataclass(frozen=True, slots=True)
class TurnTerms:
    """The terms of a turn: `refuse` raises where the tweaked flow may not run; `count` counts what the run used.

    `repeatable` takes an idempotency key; where another run has the key, the turn raises IdempotencyKeyTaken and stores
    nothing. `allowed` has what people allowed before; None: nobody can be asked to allow calls of tools. `stop_error`
    makes the error of a turn that is cancelled. `exclusive`: as of `RunRecord`.
    """

    refuse: Callable[[WiredFlow], None] = lambda _: None
    count: RunCount | None = None
    repeatable: RepeatableRun | None = None
    allowed: Allowed | None = None
    stop_error: Callable[[], FlowgroundError] = RunStopped
    exclusive: str | None = None


@dataclass(slots=True)
class TurnRecord(RunningTurn):
    """Records the events of one turn, and stores its begin and end."""

    caller: Caller
    request: RunRequest
    running: RunningRuns
    terms: TurnTerms
    started: float = field(default_factory=time.perf_counter)
    store: Store = field(init=False)
    history: TurnHistory = field(init=False)
    is_saved: bool = False
    is_counted: bool = False
    counts: RunCounts = field(default_factory=RunCounts)
    counted: CountedRun | None = None

    def __post_init__(self) -> None:
        self.owner, self.store = str(self.caller.owner), self.running.store
        chat = (self.owner, self.wired.id, self.turn.session_id, self.wired.version)
        self.approvals = Approvals(self.budget.limits.approval_seconds, self.terms.allowed, chat)
        self.history = TurnHistory(self)
        if self.terms.count:
            self.counts = self.terms.count.counts

    def follow_run(self) -> dict[str, Any]:
        """The arguments of `run_flow` that belong to this record."""
        return {"history": self.history, "note": self.note, "approvals": self.approvals}

    async def begin(self) -> None:
        begun: dict[str, Any] = {"run": self._make_run("running", seconds=0)}
        if self.turn.is_kept:
            begun |= {"message": self._make_question(), "request": _write_request(self.request), **self.address}
            if self.request.sent_files:
                begun["files"] = self.request.sent_files
        try:
            if self.request.version_of and begun.get("message"):
                await self._begin_version(self.request.version_of, begun)
            elif self.terms.repeatable is None:
                await self._write_begin(turns.begin_turn if self.turn.is_kept else turns.begin_run, begun)
            elif taken := await self._write_begin(
                idempotency.begin_repeatable_turn,
                begun | {"idempotency_key": self.terms.repeatable.idempotency_key},
            ):
                raise IdempotencyKeyTaken(taken.run_id)
        except asyncio.CancelledError:
            await self.cut_short()  # the message may be stored all the same, and must not look unanswered
            raise
        except StoreUnavailable as error:
            self.is_saved = True
            raise self._give_up(error) from None
        self.journal.append(self.turn)
        self.running.add(self.turn.run_id, self)

    async def _write_begin(self, begin: Callable[..., Any], begun: Mapping[str, Any]) -> Any:
        """Has this function store the begin. Raises RunLimitReached where runs that began meanwhile reached a limit,
        AnswerUnfinished where another run has what only one may have."""
        if self.terms.count and (counted := self.terms.count.begin()):
            return await self.store.write(turns.begin_counted, begin=begin, counted=counted, **begun)
        if self.terms.exclusive:
            return await self.store.write(turns.begin_exclusive, begin=begin, **begun)
        return await self.store.write(begin, **begun)

    async def _begin_version(self, version_of: str, begun: Mapping[str, Any]) -> None:
        await self._write_begin(versions.begin_version, {**begun, "version_of": version_of})
        question = self.turn.user_message_id
        found = await self.store.read(versions.read_versions, **self.address, message_id=question)
        self.turn = structs.replace(self.turn, versions=found)

    def _give_up(self, error: StoreUnavailable) -> StoreUnavailable:
        """Ends a run whose begin may have been stored, or may be yet; the error for its caller."""
        is_unknown = error.code == "unknown_outcome"
        ended = self._make_run("failed", seconds=0, error_code=error.code)
        end = (
            partial(idempotency.end_repeatable_run, idempotency_key=self.terms.repeatable.idempotency_key)
            if self.terms.repeatable
            else turns.end_run
        )
        self.running.write_later(partial(self.store.write, end, run=ended, may_come_yet=is_unknown))
        return unavailable_error(error, ended.id) if is_unknown else error

    def _make_question(self) -> StoredMessage | None:
        message = self.turn.input_value
        shown: dict[str, Any] = {"value": tuple(self.turn.files), "kind": "files"} if self.turn.files else {}
        return None if message is None else self._make_message(self.turn.user_message_id, "user", message, **shown)

    def note(self, event: ComponentEvent) -> None:
        """Records the run's next event."""
        self.journal.append(event)
        if isinstance(event, ToolWaits):
            self.running.keep_soon([self.turn.run_id])

    async def finish(self, end: RunFinished) -> TurnFinished:
        """Stores the answers and returns the turn's end. Where every output was skipped, the first gets an empty
        answer."""
        self.is_ending = True
        answered = {name: key for name, key in self.turn.answer_ids.items() if name in end.results}
        self.results = {name: end.results[name].text for name in answered}
        view = fold(self.journal.list_events())
        answers: list[StoredMessage] = []
        for name, key in answered.items():
            result, is_first = end.results[name], not answers
            kept = keep_passages(result.text, view.passages, is_first=is_first) if result.kind == "text" else ()
            facts: dict[str, Any] = {"model": result.model, "finish_reason": result.finish_reason}
            facts |= {"value": result.value, "kind": result.kind, "usage": end.usage if is_first else None}
            answers.append(
                self._make_message(key, "assistant", result.text, seconds=end.seconds, passages=kept, **facts)
            )
        if not answers and self.turn.answer_ids:
            first, kept = next(iter(self.turn.answer_ids.values())), keep_passages("", view.passages)
            more = {"seconds": end.seconds, "usage": end.usage, "passages": kept}
            answers = [self._make_message(first, "assistant", "", **more)]
        if notes := list_notes(view.steps, sees_inside=self.caller.sees_inside):
            self.turn = structs.replace(self.turn, warnings=(*self.turn.warnings, *notes))  # repeats show them too
        actions, added = view.action_log.list_actions(), self.history.added
        finished = TurnFinished(end.results, end.selected, end.seconds, end.usage, self.turn, actions, added)
        await self._save([*answers, *self._make_added()], "complete", finished, view)
        self.journal.append(finished)
        return finished

    def _make_added(self) -> list[StoredMessage]:
        """The messages that the flow's components added; they follow its answers."""
        return [
            self._make_message(key, "assistant", one.text, sender=one.sender, sender_name=one.sender_name)
            for key, one in self.history.added.items()
        ]

    async def end_early(self, error: BaseException) -> BaseException:
        """Stores why the answer is missing or incomplete; returns the error to raise."""
        match error:
            case ComponentFailed():
                shown = error if self.caller.sees_inside else error.hide_inside()
                await self.cut_short(shown)
                return shown
            case FlowgroundError():
                await self.cut_short(error)
            case asyncio.CancelledError() | GeneratorExit():
                await self.cut_short(self.stop if isinstance(self.stop, EndedByAdmin) else None)
                if self.stop and isinstance(error, asyncio.CancelledError):
                    if task := asyncio.current_task():
                        task.uncancel()
                    return self.stop
            case _:  # a bug: the endpoint reports it, but the conversation must not look unanswered
                await self.cut_short(UnexpectedFailure())
        return error

    async def cut_short(self, error: FlowgroundError | None = None) -> None:
        """Stores the text of each output so far; `error` is why it ended, None where the asker stopped it.

        The first output gets an answer also when there is no text.
        """
        is_stopped = error is None or isinstance(error, EndedByAdmin)
        state: Literal["stopped", "failed"] = "stopped" if is_stopped else "failed"
        view = fold(self.journal.list_events())
        texts = view.texts | self.results
        ended = {"state": state, "error": error and error.message}
        answers: list[StoredMessage] = []
        for name, message_id in self.turn.answer_ids.items():
            if name in texts or not answers:
                kept = keep_passages(text := texts.get(name, ""), view.passages, is_first=not answers)
                answers.append(self._make_message(message_id, "assistant", text, **ended, passages=kept))
        save = partial(self._save, [*answers, *self._make_added()], state, error, view)
        try:
            await save()
        except StoreUnavailable:  # the store has logged it; the asker gets the reason of the turn's end
            self.running.write_later(save)

    async def _save(
        self,
        answers: Sequence[StoredMessage],
        status: Literal["complete", "stopped", "failed"],
        end: TurnFinished | FlowgroundError | None,
        view: TurnView,
    ) -> None:
        """Stores the run's end. `end` None: the run was cancelled."""
        if self.is_saved:
            return
        self.is_saved, self.journal.answers = True, answers
        self._count(answers)
        run = self._make_run(
            status,
            seconds=time.perf_counter() - self.started,
            usage=end.usage if isinstance(end, TurnFinished) else self.budget.usage,
            error_code=end.code if isinstance(end, FlowgroundError) else None,
        )
        ends: dict[str, Any] = {"run": run, "was_kept": self.was_kept, **self.address}
        ends["answers"] = answers if self.turn.is_kept else ()
        repeatable = self.terms.repeatable
        outcome = end or self.terms.stop_error()
        if self.turn.is_kept:
            try:
                ends["journal"] = self._write_journal(answers, outcome)
            except Exception:  # noqa: BLE001 - the end is stored all the same
                _log.exception("the journal of a run could not be written")
        finish: Callable[..., None] = turns.finish_turn
        if repeatable:
            finish, was_answered = idempotency.finish_repeatable_turn, self.budget.was_answered
            is_freed = repeatable.is_without_effect(outcome, view, was_answered=was_answered)
            ends |= {"idempotency_key": repeatable.idempotency_key, "is_freed": is_freed}
        try:
            await self._write_end(finish, ends)
        except StoreUnavailable as error:
            self.is_saved = False
            raise unavailable_error(error, run.id) from None
        except Exception:
            self.is_saved = False  # so that the failure can be stored instead
            raise

    async def _write_end(self, finish: Callable[..., None], ends: Mapping[str, Any]) -> None:
        """Has this function store the end, with what the run used of limits."""
        if self.counted:
            await self.store.write(turns.finish_counted, finish=finish, counted=self.counted, **ends)
        else:
            await self.store.write(finish, **ends)

    def _write_journal(
        self, answers: Sequence[StoredMessage], outcome: TurnFinished | FlowgroundError
    ) -> tuple[str, str] | None:
        """The id of the message beside which the journal is stored, and the journal; None where no message is."""
        question = self._make_question()
        messages = [*answers, question] if question else answers
        if not messages:
            return None
        events: list[Event] = [*self.journal.list_events()] or [self.turn]
        failure = outcome if isinstance(outcome, FlowgroundError) else None
        if isinstance(outcome, TurnFinished):
            events.append(outcome)
        body = journals.write_journal(
            events,
            failure,
            messages=messages,
            names=self.wired.display_names,
            is_replayed=self.request.stream or self.terms.repeatable is not None,
        )
        return messages[0].id, body

    def _count(self, answers: Sequence[StoredMessage]) -> None:
        """Counts in limits what the run used, once."""
        if self.terms.count and not self.is_counted:
            self.is_counted = True
            used = list(self.budget.used.items())
            stored = [self.turn.input_value or "", *(answer.text for answer in answers)] if self.turn.is_kept else []
            self.counts, self.counted = self.terms.count.end(used, size=sum(len(text.encode()) for text in stored))

    def _make_run(self, status: RunStatus, *, seconds: float, **more: Any) -> RunRecord:
        return RunRecord(
            id=self.turn.run_id,
            flow_id=self.wired.id,
            flow_version=self.wired.version,
            owner=self.owner,
            session_id=self.turn.session_id,
            status=status,
            started_at=self.turn.started_at,
            seconds=seconds,
            streamed=self.request.stream,
            holder=self.running.holder,
            counts=self.counts,
            token=self.caller.id if self.caller.kind == "token" else None,
            exclusive=self.terms.exclusive,
            **more,
        )

    def _make_message(
        self, message_id: str, role: Literal["user", "assistant"], text: str, **more: Any
    ) -> StoredMessage:
        created = self.turn.started_at if role == "user" else datetime.now(UTC)
        return StoredMessage(
            id=message_id,
            role=role,
            text=text,
            created_at=created,
            run_id=self.turn.run_id,
            **{"state": "complete", "sender_name": self.turn.senders.get(message_id)} | more,
        )


def _write_request(request: RunRequest) -> str | None:
    """JSON of the overrides of a page's message; None where there are none. No secrets."""
    if not request.kept_overrides:
        return None
    return json.dumps({"tweaks": request.kept_overrides}, default=dict, allow_nan=False)


async def take_turn(  # noqa: PLR0913 - all that a turn may reach
    caller: Caller,
    wired: WiredFlow,
    request: RunRequest,
    *,
    running: RunningRuns,
    models: Models,
    settings: Settings,
    terms: TurnTerms,
    outside: Outside = NO_OUTSIDE,
    journal: Journal | None = None,
) -> AsyncGenerator[Event, None]:
    """Events of one turn: `TurnStarted` once the user's message is stored, `TurnFinished` once the answer is.

    The `journal` has each of them at the latest when it comes from here. Authorize `wired` right before. Raises what
    `terms`, `apply_tweaks`, `refuse_missing` and `begin_version` raise before anything is stored, and RunErrors after
    the failure is stored. The text so far is stored too: marked "failed", or "stopped" where the turn was cancelled or
    closed, or an admin ended it.
    """
    store, prices, default = running.store, settings.prices, settings.default_model
    budget = RunBudget(settings.limits, lambda used: prices.sum_cost(used, default), prices.currency)
    request = await take_files(store, wired, request, caller=caller, most=settings.limits.message_files)
    if request.taken_files:
        refuse_images(wired, models, list_taken(request, wired))
    tweaked = apply_tweaks(wired, request, unknown=settings.tweaks.unknown, caller=caller)
    turn = _describe(caller, tweaked.wired, request, (*request.warnings, *tweaked.warnings))
    refuse_missing(tweaked.wired, request)
    if (length := len(turn.input_value or "")) > (most := settings.limits.message_chars):
        raise InvalidRequest(f"The message has {length:,} characters; {most:,} is the limit.")
    terms.refuse(tweaked.wired)
    journal = journal or Journal()
    record = TurnRecord(tweaked.wired, turn, budget, journal, caller, request, running, terms)
    await record.begin()
    try:
        yield record.turn
        terms.refuse(tweaked.wired)  # it may have been switched off while the question was stored
        run = run_flow(
            tweaked.wired,
            replace(request, time_zone=request.time_zone or settings.organization.timezone),
            models=NotedModels(terms.repeatable, models) if terms.repeatable else models,
            outside=terms.repeatable.count_outside(outside) if terms.repeatable else outside,
            sees_inside=caller.sees_inside,
            limits=settings.limits,
            budget=budget,
            **record.follow_run(),
        )
        async with aclosing(run) as events:
            async for event in events:
                yield await record.finish(event) if isinstance(event, RunFinished) else event
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        shown = await record.end_early(error)
        if shown is error:
            raise
        raise shown from None
    finally:
        running.discard(turn.run_id)


def _describe(caller: Caller, wired: WiredFlow, request: RunRequest, warnings: tuple[str, ...]) -> TurnStarted:
    chats = [name for name in wired.outputs if wired.components[name].output_kind == "chat"]
    answering = chats or wired.outputs
    user_message_id, answer_ids = make_id(), {name: make_id() for name in answering}
    return TurnStarted(
        run_id=request.run_id or make_id(),
        flow_id=wired.id,
        session_id=request.session_id or make_id(),
        started_at=datetime.now(UTC),
        user_message_id=user_message_id,
        input_value=read_input(wired, request),
        answer_ids=answer_ids,
        warnings=warnings,
        is_kept=keeps_messages(wired),
        files=list_taken(request, wired),
        senders=_name_senders(wired, user_message_id, answer_ids),
        streamed=tuple(name for names in wired.streams_to.values() for name in names),
        shows_tools=wired.shows_tools,
        shows_inside=caller.sees_inside,
    )


def _name_senders(wired: WiredFlow, user_message_id: str, answer_ids: Mapping[str, str]) -> dict[str, str]:
    """Message id -> the sender's name, where it is not the usual one."""
    senders: dict[str, str] = {}
    for component_id, key in ((wired.chat_input_id, user_message_id), *answer_ids.items()):
        name = getattr(wired.components.get(component_id or ""), "sender_name", "")
        if name not in ("", "User" if key == user_message_id else "AI"):
            senders[key] = name
    return senders
