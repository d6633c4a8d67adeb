"""What a turn leaves in the store: question and run when it begins, answers and the run's end when it is over."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, assert_never

from flowground.caller import Caller, RunRequest
from flowground.errors import (
    ComponentFailed,
    EndedByAdmin,
    FlowgroundError,
    StoreUnavailable,
    UnexpectedFailure,
)
from flowground.events import (
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    ModelProgress,
    OutputResult,
    RunFinished,
    Token,
    TurnFinished,
    TurnStarted,
)
from flowground.messages import Message, Usage
from flowground.repeatable_run import IdempotencyKeyTaken
from flowground.running import RunningRuns
from flowground.store import Store
from flowground.store.runs import conversations, idempotency_keys, turns, versions
from flowground.store.runs.records import RunCounts, RunRecord, RunStatus, StoredMessage, TraceStep
from flowground.turns.terms import TurnTerms
from flowground.wiring import WiredFlow


@dataclass(slots=True)
class TurnRecord:
    """Of one turn: notes what its run tells, and stores it when it is time. `owner` is whose conversation it is."""

    caller: Caller
    owner: str
    wired: WiredFlow
    request: RunRequest
    store: Store
    running: RunningRuns
    turn: TurnStarted
    terms: TurnTerms
    started: float = field(default_factory=time.perf_counter)
    said: dict[str, list[str]] = field(default_factory=dict)
    trace: list[TraceStep] = field(default_factory=list)
    said_chars: int = 0
    is_saved: bool = False
    is_counted: bool = False
    counts: RunCounts = field(default_factory=RunCounts)

    def __post_init__(self) -> None:
        if self.terms.count:
            self.counts = self.terms.count.counts

    @property
    def address(self) -> dict[str, Any]:
        return {"flow_id": self.wired.id, "owner": self.owner, "session_id": self.turn.session_id}

    @property
    def is_kept(self) -> bool:
        return self.turn.is_kept

    @property
    def usage(self) -> Usage | None:
        counted = [step.usage for step in self.trace if step.usage]
        return sum(counted[1:], counted[0]) if counted else None

    async def begin(self) -> None:
        begun: dict[str, Any] = {"run": self._make_run("running", seconds=0)}
        if self.turn.is_kept:
            begun |= {"message": self._make_question(), "request": _write_request(self.request), **self.address}
        try:
            if self.request.version_of and begun.get("message"):
                await self._begin_version(self.request.version_of, begun)
            elif self.terms.repeatable is None:
                begin: Callable[..., None] = turns.begin_turn if self.turn.is_kept else turns.begin_run
                await self.store.write(begin, **begun)
            elif taken := await self.store.write(
                idempotency_keys.begin_repeatable_turn, idempotency_key=self.terms.repeatable.idempotency_key, **begun
            ):
                raise IdempotencyKeyTaken(taken.run_id)
        except asyncio.CancelledError:
            await self.cut_short()  # the message may be stored all the same, and must not look as if it still waited
            raise
        except StoreUnavailable as error:
            self.is_saved = True
            raise self._give_up(error) from None
        self.running.add(self.turn.run_id, self)

    async def _begin_version(self, version_of: str, begun: Mapping[str, Any]) -> None:
        await self.store.write(versions.begin_version, version_of=version_of, **begun)
        question = self.turn.user_message_id
        found = await self.store.read(versions.read_versions, **self.address, message_id=question)
        self.turn = replace(self.turn, versions=found)

    def _give_up(self, error: StoreUnavailable) -> StoreUnavailable:
        """Ends a run that may be stored all the same, or may be yet; what its caller is told."""
        is_unknown = error.code == "unknown_outcome"
        ended = self._make_run("failed", seconds=0, error_code=error.code)
        end = (
            partial(idempotency_keys.end_repeatable_run, idempotency_key=self.terms.repeatable.idempotency_key)
            if self.terms.repeatable
            else turns.end_run
        )
        self.running.write_later(partial(self.store.write, end, run=ended, may_come_yet=is_unknown))
        return _name_run(error, ended.id) if is_unknown else error

    def _make_question(self) -> StoredMessage | None:
        said = self.turn.input_value
        return None if said is None else self._make_message(self.turn.user_message_id, "user", said)

    def read_texts(self) -> dict[str, str]:
        """What each answer said so far, by the id that it will have."""
        return {key: "".join(self.said.get(name, ())) for name, key in self.turn.answer_ids.items()}

    async def read_history(self, limit: int) -> Sequence[Message]:
        before = self.turn.user_message_id
        try:
            return await self.store.read(conversations.read_history, **self.address, before=before, limit=limit)
        except StoreUnavailable as error:
            raise _name_run(error, self.turn.run_id) from None

    def note(self, event: ComponentEvent) -> None:
        match event:
            case Token():
                self.said.setdefault(event.component_id, []).append(event.text)
                self.said_chars += len(event.text)
            case ComponentFinished():
                self.trace.append(TraceStep.keep(event))
            case ComponentStarted() | ModelProgress():
                pass
            case _:
                assert_never(event)

    async def finish(self, end: RunFinished) -> TurnFinished:
        """Stores the answers, then says so. Where every output was skipped the first one stands empty for the turn."""
        self.running.note_ending(self.turn.run_id)
        given = {name: key for name, key in self.turn.answer_ids.items() if name in end.results}
        self.said = {name: [end.results[name].text] for name in given}
        answers = [self._make_answer(key, end.results[name], end.seconds) for name, key in given.items()]
        if not answers and self.turn.answer_ids:
            first = next(iter(self.turn.answer_ids.values()))
            answers = [self._make_message(first, "assistant", "", seconds=end.seconds)]
        if answers:
            answers[0] = replace(answers[0], usage=end.usage, trace=tuple(self.trace))
        await self._save(answers, "complete", end=end)
        return TurnFinished(end.results, end.selected, end.seconds, end.usage, self.turn)

    def _make_answer(self, key: str, result: OutputResult, seconds: float) -> StoredMessage:
        told = {"model": result.model, "seconds": seconds, "finish_reason": result.finish_reason}
        return self._make_message(key, "assistant", result.text, **told)

    async def end_early(self, error: BaseException) -> BaseException:
        """Stores why there is no answer, or not all of it; what is to be raised."""
        match error:
            case ComponentFailed():
                told = error if self.caller.sees_inside else error.hide_inside()
                await self.cut_short(told)
                return told
            case FlowgroundError():
                await self.cut_short(error)
            case asyncio.CancelledError() | GeneratorExit():
                why = self.running.find_stop(self.turn.run_id)
                await self.cut_short(why if isinstance(why, EndedByAdmin) else None)
                if why and isinstance(error, asyncio.CancelledError):
                    if task := asyncio.current_task():
                        task.uncancel()
                    return why
            case _:  # a mistake of ours: the door says it, but the conversation must not look as if it still waited
                await self.cut_short(UnexpectedFailure())
        return error

    async def cut_short(self, error: FlowgroundError | None = None) -> None:
        """Stores what each output said so far; `error` is why it said no more, None where who asked stopped it.

        The first output stands for the turn also when nothing was said.
        """
        is_stopped = error is None or isinstance(error, EndedByAdmin)
        state: Literal["stopped", "failed"] = "stopped" if is_stopped else "failed"
        texts = self.read_texts()
        answers = [
            self._make_message(message_id, "assistant", texts[message_id], state=state, error=error and error.message)
            for name, message_id in self.turn.answer_ids.items()
            if name in self.said or message_id == next(iter(texts))
        ]
        if answers:
            answers[0] = replace(answers[0], trace=tuple(self.trace))
        save = partial(self._save, answers, state, error=error)
        try:
            await save()
        except StoreUnavailable:  # the log has it; who asked is told why the turn ended
            self.running.write_later(save)

    async def _save(
        self,
        answers: Sequence[StoredMessage],
        status: Literal["complete", "stopped", "failed"],
        *,
        end: RunFinished | None = None,
        error: FlowgroundError | None = None,
    ) -> None:
        if self.is_saved:
            return
        self.is_saved = True
        self._count(answers)
        run = self._make_run(
            status,
            seconds=time.perf_counter() - self.started,
            usage=end.usage if end else self.usage,
            error_code=error.code if error else None,
        )
        ends: dict[str, Any] = {"answers": answers if self.turn.is_kept else (), "run": run, **self.address}
        ends |= {"question": self.turn.input_value or "", "was_kept": self.running.was_kept(run.id)}
        try:
            if self.terms.repeatable is None:
                await self.store.write(turns.finish_turn, **ends)
            else:
                await self.store.write(
                    idempotency_keys.finish_repeatable_turn, **ends, **self._describe_for_repeats(answers, end or error)
                )
        except StoreUnavailable as error:
            self.is_saved = False
            raise _name_run(error, run.id) from None
        except Exception:
            self.is_saved = False  # so that the failure can be stored instead
            raise

    def _describe_for_repeats(
        self, answers: Sequence[StoredMessage], end: RunFinished | FlowgroundError | None
    ) -> dict[str, Any]:
        assert self.terms.repeatable is not None  # noqa: S101 - asked by who calls
        question = self._make_question()
        messages = [*answers, question] if question else answers
        return self.terms.repeatable.describe_end(self.wired, self.turn, messages, end)

    def _count(self, answers: Sequence[StoredMessage]) -> None:
        """Tells the limits what the run used, the first time."""
        if self.terms.count and not self.is_counted:
            self.is_counted = True
            used = [(self._find_model(step.component_id), step.usage) for step in self.trace if step.usage]
            stored = [self.turn.input_value or "", *(said.text for said in answers)] if self.turn.is_kept else []
            self.counts = self.terms.count.end(used, size=sum(len(text.encode()) for text in stored))

    def _find_model(self, component_id: str) -> str | None:
        """By what name its component asks a model."""
        return next(iter(self.wired.components[component_id].list_models()), None)

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
            **{"state": "complete"} | more,
        )


def _name_run(error: StoreUnavailable, run_id: str) -> StoreUnavailable:
    """The same error, of this run: one may have met many."""
    named = copy(error)
    named.run_id = run_id
    return named


def _write_request(request: RunRequest) -> str | None:
    """JSON of the overrides that a page's message is said with; None where there are none. No secrets."""
    if not request.kept_overrides:
        return None
    return json.dumps({"tweaks": request.kept_overrides}, default=dict, allow_nan=False)
