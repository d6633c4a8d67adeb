"""A caller's own runs that were begun before: they are found again, and stopped in whatever process they run."""

import asyncio
import re

from flowground.caller import Caller, Owner
from flowground.errors import FlowNotFound, RunElsewhere, RunNotFound
from flowground.runtime import Runtime
from flowground.store import Store
from flowground.store.people import tokens
from flowground.store.runs import progress, stop_requests
from flowground.store.runs.records import RunRecord

_RUN_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_STOP_PAUSE, _STOP_LOOKS = 0.25, 32
"""Seconds between two looks whether another process has ended a run, and how many: it looks every two seconds."""


async def open_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """The caller's own run, of a flow that they may run: a person's by whichever token or page it began.

    Those who open every flow find their runs of flows that are gone too. A run whose process died has its end after
    this. Raises RunNotFound.
    """
    run = await runtime.store.read(progress.find_run, run_id=run_id) if _RUN_ID.fullmatch(run_id) else None
    if run is None or not await _is_own(runtime, caller, run.owner):
        raise RunNotFound(run_id)
    if not caller.opens_every_flow or caller.flows is not None:
        try:
            await runtime.access.open_flow(caller, run.flow_id)
        except FlowNotFound:
            raise RunNotFound(run_id) from None
    if run.status == "running" and run.holder != runtime.running.holder and await runtime.interruptions.end_left_runs():
        return await runtime.store.read(progress.find_run, run_id=run_id) or run
    return run


async def _is_own(runtime: Runtime, caller: Caller, owner: str) -> bool:
    """Whether a run's owner is the caller: a person by any of their tokens, and in whatever way they began it."""
    if owner == str(caller.owner) or caller.person is None:
        return owner == str(caller.owner)
    whose = Owner.read(owner)
    if whose.kind == "token":
        return await runtime.store.read(tokens.is_of, token_id=whose.id, member=caller.person)
    return whose in (Owner("member", caller.person), Owner("programs", caller.person))


async def stop_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """Ends the caller's own run, in whatever process it runs; the run as it has ended. One that had ended stays so.

    Raises RunNotFound, and RunElsewhere where another process has not ended it within some seconds.
    """
    run = await open_run(runtime, caller, run_id)
    if run.status == "running" and not await runtime.running.stop(run.id):
        await runtime.store.write(stop_requests.ask_stop, run_id=run.id, kind="own", by=str(caller.owner))
        if not await wait_for_end(runtime.store, run.id):
            raise RunElsewhere
    return await open_run(runtime, caller, run_id)


async def wait_for_end(store: Store, run_id: str) -> bool:
    """Waits until a run that was asked to stop has its end. False where it has none after some seconds."""
    for _ in range(_STOP_LOOKS):
        run = await store.read(progress.find_run, run_id=run_id)
        if run is None or run.status != "running":
            return True
        await asyncio.sleep(_STOP_PAUSE)
    return False
