"""One user message and its reply in a session: history, run, save; the same for every door."""

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, assert_never

from flowground.caller import Caller, RunRequest
from flowground.components.base import Models
from flowground.errors import (
    ComponentFailed,
    FlowgroundError,
    InvalidRequest,
    RunStopped,
    StoreUnavailable,
    UnexpectedFailure,
)
from flowground.events import (
    ComponentEvent,
    ComponentFinished,
    ComponentStarted,
    Event,
    ModelProgress,
    RunFinished,
    Token,
    TurnFinished,
    TurnStarted,
)
from flowground.messages import Message
from flowground.runner import read_input, run_flow
from flowground.running import RunningRuns
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import conversations, turns
from flowground.store.runs.records import RunRecord, RunStatus, StoredMessage, TraceStep
from flowground.tweaks import apply_tweaks
from flowground.wiring import WiredFlow


async def take_turn(
    caller: Caller,
    wired: WiredFlow,
    request: RunRequest,
    *,
    store: Store,
    running: RunningRuns,
    models: Models,
    settings: Settings,
) -> AsyncGenerator[Event, None]:
    """Events of one turn: `TurnStarted` once the user's message is stored, `TurnFinished` once the answer is.

    `wired` comes from `access` at this very action. Raises what `apply_tweaks` raises before anything is stored, and
    RunErrors after the failure is stored. What was said so far is kept: marked "failed" then, and "stopped" where the
    turn was cancelled or closed.
    """
    sees_inside = caller.sees_inside
    tweaked = apply_tweaks(wired, request, unknown=settings.tweaks.unknown, sees_inside=sees_inside)
    turn = _describe(tweaked.wired, request, tweaked.warnings)
    _check_length(turn.input_value, settings.limits.message_chars)
    record = _Record(caller, tweaked.wired, request, store, running, turn)
    await record.begin()
    try:
        yield turn
        run = run_flow(
            tweaked.wired,
            request,
            history=record.read_history,
            models=models,
            sees_inside=sees_inside,
            limits=settings.limits,
            note=record.note,
        )
        async with aclosing(run) as events:
            async for event in events:
                yield await record.finish(event) if isinstance(event, RunFinished) else event
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        told = await record.end_early(error)
        if told is error:
            raise
        raise told from None
    finally:
        running.discard(turn.run_id)


@dataclass(slots=True)
class _Record:
    """What a turn leaves in the store."""

    caller: Caller
    wired: WiredFlow
    request: RunRequest
    store: Store
    running: RunningRuns
    turn: TurnStarted
    started: float = field(default_factory=time.perf_counter)
    said: dict[str, list[str]] = field(default_factory=dict)
    trace: list[TraceStep] = field(default_factory=list)
    said_chars: int = 0
    is_saved: bool = False

    @property
    def address(self) -> dict[str, Any]:
        return {"flow_id": self.wired.id, "owner": self.caller.key, "session_id": self.turn.session_id}

    async def begin(self) -> None:
        said = self.turn.input_value
        message = None if said is None else self._make_message(self.turn.user_message_id, "user", said)
        run = self._make_run("running", seconds=0)
        try:
            await self.store.write(
                turns.begin_turn, **self.address, message=message, run=run, request=_write_request(self.request)
            )
        except asyncio.CancelledError:
            await self.cut_short()  # the message may be stored all the same, and must not look as if it still waited
            raise
        except StoreUnavailable as error:
            self.is_saved = True
            ended = self._make_run("failed", seconds=0, error_code=error.code)
            self.running.write_later(
                partial(self.store.write, turns.end_run, run=ended)
            )  # where it was stored all the same
            raise
        self.running.add(self.turn.run_id, self)

    def read_texts(self) -> dict[str, str]:
        """What each answer said so far, by the id that it will have."""
        return {key: "".join(self.said.get(name, ())) for name, key in self.turn.answer_ids.items()}

    async def read_history(self, limit: int) -> Sequence[Message]:
        return await self.store.read(
            conversations.read_history, **self.address, before=self.turn.user_message_id, limit=limit
        )

    def note(self, event: ComponentEvent) -> None:
        match event:
            case Token():
                self.said.setdefault(event.component_id, []).append(event.text)
                self.said_chars += len(event.text)
            case ComponentFinished():
                step = TraceStep(event.component_id, event.type, event.seconds, event.text, event.usage, event.model)
                self.trace.append(step)
            case ComponentStarted() | ModelProgress():
                pass
            case _:
                assert_never(event)

    async def finish(self, end: RunFinished) -> TurnFinished:
        """Stores the answers, then says so."""
        self.running.note_ending(self.turn.run_id)
        self.said = {name: [end.results[name].text] for name in self.turn.answer_ids}
        answers = [
            self._make_message(
                message_id, "assistant", end.results[name].text, model=end.results[name].model, seconds=end.seconds
            )
            for name, message_id in self.turn.answer_ids.items()
        ]
        if answers:
            answers[0] = replace(answers[0], usage=end.usage, trace=tuple(self.trace))
        await self._save(answers, "complete", end)
        return TurnFinished(end.results, end.selected, end.seconds, end.usage, self.turn)

    async def end_early(self, error: BaseException) -> BaseException:
        """Stores why there is no answer, or not all of it; what is to be raised."""
        match error:
            case ComponentFailed():
                told = error if self.caller.sees_inside else error.hide_inside()
                await self.cut_short(told)
                return told
            case FlowgroundError():
                await self.cut_short(error)
            case asyncio.CancelledError() if self.running.is_stopped(self.turn.run_id):
                await self.cut_short()
                if task := asyncio.current_task():
                    task.uncancel()
                return RunStopped()
            case asyncio.CancelledError() | GeneratorExit():
                await self.cut_short()
            case _:  # a mistake of ours: the door says it, but the conversation must not look as if it still waited
                await self.cut_short(UnexpectedFailure())
        return error

    async def cut_short(self, error: FlowgroundError | None = None) -> None:
        """Stores what each output said so far; `error` is why it said no more, None where the turn was stopped.

        The first output stands for the turn also when nothing was said.
        """
        state: Literal["stopped", "failed"] = "failed" if error else "stopped"
        texts = self.read_texts()
        answers = [
            self._make_message(message_id, "assistant", texts[message_id], state=state, error=error and error.message)
            for name, message_id in self.turn.answer_ids.items()
            if name in self.said or message_id == next(iter(texts))
        ]
        if answers:
            answers[0] = replace(answers[0], trace=tuple(self.trace))
        try:
            await self._save(answers, state, error_code=error.code if error else None)
        except StoreUnavailable:  # the log has it; who asked is told why the turn ended
            self.running.write_later(partial(self._save, answers, state, error_code=error.code if error else None))

    async def _save(
        self,
        answers: Sequence[StoredMessage],
        status: Literal["complete", "stopped", "failed"],
        end: RunFinished | None = None,
        *,
        error_code: str | None = None,
    ) -> None:
        if self.is_saved:
            return
        self.is_saved = True
        run = self._make_run(
            status,
            seconds=time.perf_counter() - self.started,
            usage=end.usage if end else None,
            error_code=error_code,
        )
        more: dict[str, Any] = {"question": self.turn.input_value or "", "was_kept": self.running.was_kept(run.id)}
        try:
            await self.store.write(turns.finish_turn, **self.address, answers=answers, run=run, **more)
        except Exception:
            self.is_saved = False  # so that the failure can be stored instead
            raise

    def _make_run(self, status: RunStatus, *, seconds: float, **more: Any) -> RunRecord:
        return RunRecord(
            id=self.turn.run_id,
            flow_id=self.wired.id,
            flow_version=self.wired.version,
            owner=self.caller.key,
            session_id=self.turn.session_id,
            status=status,
            started_at=self.turn.started_at,
            seconds=seconds,
            streamed=self.request.stream,
            holder=self.running.holder,
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


def _describe(wired: WiredFlow, request: RunRequest, warnings: tuple[str, ...]) -> TurnStarted:
    chats = [name for name in wired.outputs if wired.components[name].gives_output == "chat"]
    answering = chats or wired.outputs
    run_id, user_message_id, session_id, *answer_ids = _make_ids(3 + len(answering))
    return TurnStarted(
        run_id=run_id,
        flow_id=wired.id,
        session_id=request.session_id or session_id,
        started_at=datetime.now(UTC),
        user_message_id=user_message_id,
        input_value=read_input(wired, request),
        answer_ids=dict(zip(answering, answer_ids, strict=True)),
        warnings=warnings,
    )


def _check_length(said: str | None, limit: int) -> None:
    if said is not None and len(said) > limit:
        raise InvalidRequest(f"The message has {len(said)} characters; {limit} is the limit.")


def _write_request(request: RunRequest) -> str | None:
    """JSON of the overrides that a page's message is said with; None where there are none. No secrets."""
    if not request.kept_overrides:
        return None
    return json.dumps({"tweaks": request.kept_overrides}, default=dict, allow_nan=False)


def _make_ids(count: int) -> list[str]:
    """Random ids of version 4; all from one question to the system, which costs more than the rest of a uuid4()."""
    drawn = os.urandom(16 * count)
    return [str(uuid.UUID(bytes=drawn[at : at + 16], version=4)) for at in range(0, len(drawn), 16)]
