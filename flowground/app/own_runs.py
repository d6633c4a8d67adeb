"""A caller's own runs that were begun before: they are found again, and stopped in whatever process they run."""

import asyncio
import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.core.errors import DecidedElsewhere, RunElsewhere, RunNotFound
from flowground.core.events import ToolWaits
from flowground.core.messages import Decision
from flowground.runs.scope import NothingWaits
from flowground.store import Store
from flowground.store.runs import conversations, progress, requests, session_lists
from flowground.store.runs.records import RunRecord
from flowground.store.runs.requests import PassedDecision

_RUN_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_POLL_SECONDS, _POLLS = 0.25, 32
"""Seconds between two looks whether another process has done what it was told, and how many: it looks every two
seconds."""


class DecidedCall(NamedTuple):
    """A call by its number in its run, the digest that was shown with it, and what a person says."""

    call: int
    digest: str
    decision: Decision


async def open_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """The caller's own run, of a flow that they may run: a person's by whichever token or page it began.

    Those who open every flow find their runs of flows that are gone too. A run whose process died has its end after
    this. Raises RunNotFound.
    """
    run = await runtime.store.read(progress.find_run, run_id=run_id) if _RUN_ID.fullmatch(run_id) else None
    if run is None or run.owner not in await _list_owners(runtime, caller):
        raise RunNotFound(run_id)
    reach = await runtime.access.list_reach(caller)
    if reach is not None and run.flow_id not in reach:
        raise RunNotFound(run_id)
    if run.status == "running" and run.holder != runtime.running.holder and await runtime.interruptions.end_left_runs():
        return await runtime.store.read(progress.find_run, run_id=run_id) or run
    return run


async def list_runs(
    runtime: Runtime, caller: Caller, *, owners: Collection[str], after: str | None, limit: int
) -> Sequence[RunRecord]:
    """Those of these owners that `open_run` opens for them, the one that began last first; behind the run `after`.

    Raises RunNotFound where that is none of theirs.
    """
    if after is not None:
        await open_run(runtime, caller, after)
    flows = await runtime.access.list_reach(caller)
    return await runtime.store.read(session_lists.list_runs, owners=owners, flows=flows, after=after, limit=limit)


async def _list_owners(runtime: Runtime, caller: Caller) -> Sequence[str]:
    """Whose runs are the caller's: a person's by any of their tokens, and in whatever way they began them."""
    if caller.person is None:
        return [str(caller.owner)]
    return await runtime.store.read(conversations.list_owners, member=caller.person)


async def stop_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """Ends the caller's own run, in whatever process it runs; the run as it has ended. One that had ended stays so.

    Raises RunNotFound, and RunElsewhere where another process has not ended it within some seconds.
    """
    run = await open_run(runtime, caller, run_id)
    if run.status == "running" and not await runtime.running.stop(run.id):
        await runtime.store.write(requests.ask_stop, run_id=run.id, kind="own", by=str(caller.owner))
        if not await wait_for_end(runtime.store, run.id):
            raise RunElsewhere
    return await open_run(runtime, caller, run_id)


async def decide(runtime: Runtime, caller: Caller, run_id: str, decided: DecidedCall) -> RunRecord:
    """Allows or refuses a call of the caller's own run that waits, in whatever process; their rights are read anew for
    it, here. The run then.

    Raises RunNotFound, NothingWaits, and DecidedElsewhere where another process has not taken it within some seconds.
    """
    run = await open_run(runtime, caller, run_id)
    if run.status != "running":
        raise NothingWaits
    if not runtime.running.decide(run.id, *decided):
        await _pass_on(runtime.store, PassedDecision(run.id, *decided))
    return run


async def list_waiting(runtime: Runtime, run: RunRecord) -> Sequence[ToolWaits]:
    """Calls of a run that wait for a person; another process says so of its own within half a second."""
    if run.holder == runtime.running.holder:
        return runtime.running.list_waiting(run.id)
    return await runtime.store.read(requests.list_waiting, run_id=run.id)


async def _pass_on(store: Store, passed: PassedDecision) -> None:
    """Raises NothingWaits and DecidedElsewhere."""
    await store.write(requests.pass_on, passed=passed)
    for _ in range(_POLLS):
        if outcome := await store.read(requests.read_outcome, passed=passed):
            await store.write(requests.drop, passed=passed)
            if outcome == "nothing_waits":
                raise NothingWaits
            return
        await asyncio.sleep(_POLL_SECONDS)
    raise DecidedElsewhere


async def wait_for_end(store: Store, run_id: str) -> bool:
    """Waits until a run that was asked to stop has its end. False where it has none after some seconds."""
    for _ in range(_POLLS):
        run = await store.read(progress.find_run, run_id=run_id)
        if run is None or run.status != "running":
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False
