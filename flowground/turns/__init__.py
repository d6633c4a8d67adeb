"""One user message and its reply in a session: history, run, save; the same for every door."""

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime

from flowground.caller import Caller, RunRequest
from flowground.components.base import Models
from flowground.errors import InvalidRequest
from flowground.events import Event, RunFinished, TurnStarted
from flowground.runner import run_flow
from flowground.runner.selection import read_input
from flowground.running import RunningRuns
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.people import owners
from flowground.turns.record import TurnRecord
from flowground.turns.terms import TurnTerms
from flowground.tweaks import apply_tweaks
from flowground.wiring import WiredFlow, keeps_messages


async def take_turn(
    caller: Caller,
    wired: WiredFlow,
    request: RunRequest,
    *,
    running: RunningRuns,
    models: Models,
    settings: Settings,
    terms: TurnTerms,
) -> AsyncGenerator[Event, None]:
    """Events of one turn: `TurnStarted` once the user's message is stored, `TurnFinished` once the answer is.

    `wired` comes from `access` at this very action. Raises what `terms`, `apply_tweaks` and `begin_version` raise
    before anything is stored, and RunErrors after the failure is stored. What was said so far is kept: marked "failed"
    then, and "stopped" where the turn was cancelled or closed, or an admin ended it.
    """
    tweaked = apply_tweaks(wired, request, unknown=settings.tweaks.unknown, caller=caller)
    turn = _describe(tweaked.wired, request, (*request.warnings, *tweaked.warnings))
    _check_length(turn.input_value, settings.limits.message_chars)
    terms.refuse(tweaked.wired)
    owner = await _find_owner(running.store, caller, flow_id=wired.id, session_id=request.session_id)
    record = TurnRecord(caller, owner, tweaked.wired, request, running.store, running, turn, terms)
    await record.begin()
    try:
        yield record.turn
        terms.refuse(tweaked.wired)  # it may have been switched off while the question was stored
        run = run_flow(
            tweaked.wired,
            request,
            history=record.read_history,
            models=terms.repeatable.count_calls(models) if terms.repeatable else models,
            sees_inside=caller.sees_inside,
            limits=settings.limits,
            note=record.note,
        )
        async with aclosing(terms.repeatable.note_events(run) if terms.repeatable else run) as events:
            async for event in events:
                yield await record.finish(event) if isinstance(event, RunFinished) else event
    except (Exception, asyncio.CancelledError, GeneratorExit) as error:
        told = await record.end_early(error)
        if told is error:
            raise
        raise told from None
    finally:
        running.discard(turn.run_id)


async def _find_owner(store: Store, caller: Caller, *, flow_id: str, session_id: str | None) -> str:
    """Whose conversation goes on, or begins, as the store keeps it."""
    if not session_id or not caller.has_kept_apart or caller.person is None:
        return str(caller.owner)
    here = {"flow_id": flow_id, "session_id": session_id}
    return await store.read(owners.find_session, **here, member=caller.person, token=caller.id)


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
        is_kept=keeps_messages(wired),
    )


def _check_length(said: str | None, limit: int) -> None:
    if said is not None and len(said) > limit:
        raise InvalidRequest(f"The message has {len(said):,} characters; {limit:,} is the limit.")


def _make_ids(count: int) -> list[str]:
    """Random ids of version 4; all from one question to the system, which costs more than the rest of a uuid4()."""
    drawn = os.urandom(16 * count)
    return [str(uuid.UUID(bytes=drawn[at : at + 16], version=4)) for at in range(0, len(drawn), 16)]
