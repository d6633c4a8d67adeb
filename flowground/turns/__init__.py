"""One user message and its reply in a session: history, run, save; the same for every door."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from flowground.caller import Caller, RunRequest
from flowground.components.base import NO_OUTSIDE, Models, Outside
from flowground.components.io import output_kind
from flowground.errors import InvalidRequest
from flowground.events import Event, RunFinished, TurnStarted
from flowground.files.seen import refuse_images
from flowground.files.taken import list_taken, take_files
from flowground.random_ids import make_id
from flowground.runner import run_flow
from flowground.runner.budget import RunBudget
from flowground.runner.selection import read_input
from flowground.running import RunningRuns
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import conversations as people
from flowground.turns.record import TurnRecord
from flowground.turns.terms import TurnTerms
from flowground.tweaks import apply_tweaks, refuse_missing
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
    outside: Outside = NO_OUTSIDE,
) -> AsyncGenerator[Event, None]:
    """Events of one turn: `TurnStarted` once the user's message is stored, `TurnFinished` once the answer is.

    `wired` comes from `access` at this very action. Raises what `terms`, `apply_tweaks`, `refuse_missing` and
    `begin_version` raise before anything is stored, and RunErrors after the failure is stored. What was said is kept:
    marked "failed" then, and "stopped" where the turn was cancelled or closed, or an admin ended it.
    """
    store, budget = running.store, _open_budget(settings)
    owner = await _find_owner(store, caller, flow_id=wired.id, session_id=request.session_id)
    request = await _take_files(store, wired, request, caller, models, owner=owner, settings=settings)
    tweaked = apply_tweaks(wired, request, unknown=settings.tweaks.unknown, caller=caller)
    turn = _describe(tweaked.wired, request, (*request.warnings, *tweaked.warnings))
    _check(tweaked.wired, request, said=turn.input_value, limit=settings.limits.message_chars)
    terms.refuse(tweaked.wired)
    record = TurnRecord(caller, owner, tweaked.wired, request, store, running, turn, terms, budget)
    await record.begin()
    try:
        yield record.turn
        terms.refuse(tweaked.wired)  # it may have been switched off while the question was stored
        run = run_flow(
            tweaked.wired,
            replace(request, time_zone=request.time_zone or settings.organization.timezone),
            models=terms.repeatable.note_models(models) if terms.repeatable else models,
            outside=terms.repeatable.count_outside(outside) if terms.repeatable else outside,
            sees_inside=caller.sees_inside,
            limits=settings.limits,
            budget=budget,
            **record.follow_run(),
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


def _open_budget(settings: Settings) -> RunBudget:
    prices, default = settings.prices, settings.default_model
    return RunBudget(settings.limits, lambda used: prices.sum_cost(used, default), prices.currency)


async def _find_owner(store: Store, caller: Caller, *, flow_id: str, session_id: str | None) -> str:
    """Whose conversation goes on, or begins, as the store keeps it."""
    if not session_id or not caller.has_kept_apart or caller.person is None:
        return str(caller.owner)
    here = {"flow_id": flow_id, "session_id": session_id}
    return await store.read(people.find_session, **here, member=caller.person, token=caller.id)


async def _take_files(
    store: Store,
    wired: WiredFlow,
    request: RunRequest,
    caller: Caller,
    models: Models,
    *,
    owner: str,
    settings: Settings,
) -> RunRequest:
    """Of whoever says it, here or, for a program, by other tokens of the person."""
    if not (request.files or request.tweaks or request.taken_files):
        return request
    owners = dict.fromkeys((str(caller.owner), owner))
    taken = await take_files(
        store, wired, request, caller=caller, owners=list(owners), most=settings.limits.message_files
    )
    refuse_images(wired, models, list_taken(taken, wired))
    return taken


def _describe(wired: WiredFlow, request: RunRequest, warnings: tuple[str, ...]) -> TurnStarted:
    chats = [name for name in wired.outputs if output_kind(wired.components[name]) == "chat"]
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
    )


def _name_senders(wired: WiredFlow, user_message_id: str, answer_ids: Mapping[str, str]) -> dict[str, str]:
    """Who says the question and the answers, by their ids, where the flow does not call them as `SENDERS` does."""
    senders: dict[str, str] = {}
    for component_id, key in ((wired.chat_input_id, user_message_id), *answer_ids.items()):
        name = getattr(wired.components.get(component_id or ""), "sender_name", "")
        if name not in ("", "User" if key == user_message_id else "AI"):
            senders[key] = name
    return senders


def _check(wired: WiredFlow, request: RunRequest, *, said: str | None, limit: int) -> None:
    refuse_missing(wired, request)
    if said is not None and len(said) > limit:
        raise InvalidRequest(f"The message has {len(said):,} characters; {limit:,} is the limit.")
