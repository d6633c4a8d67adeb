"""A caller's own runs: found again, stopped, and their waiting tool calls decided, in whatever process they run."""

import asyncio
import re
from collections.abc import Collection, Sequence

from flowground.app.runtime import Runtime
from flowground.core.caller import Caller
from flowground.core.errors import DecidedElsewhere, RunElsewhere, RunNotFound
from flowground.core.events import ToolWaits, list_waiting_calls
from flowground.runs.scope import NothingWaits
from flowground.store import Store
from flowground.store.runs import chunks, conversations, progress, requests, session_lists
from flowground.store.runs.records import RunRecord
from flowground.store.runs.requests import PassedDecision

_RUN_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_POLL_SECONDS, _POLLS = 0.25, 40
"""Most seconds between two polls of another process's progress, and how many polls: the first ones come sooner."""


async def open_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """The caller's own run, of a flow that they may run; a person's runs began by any of their tokens or pages.

    Admins and authors also find runs of deleted flows. Raises RunNotFound.
    """
    run = await runtime.store.read(progress.find_run, run_id=run_id) if _RUN_ID.fullmatch(run_id) else None
    owners: Sequence[str] = [str(caller.owner)]
    if caller.person is not None:  # also those of their tokens and trials
        owners = conversations.list_owners(caller.person)
    if run is None or run.owner not in owners:
        raise RunNotFound(run_id)
    reach = await runtime.access.list_reach(caller)
    if reach is not None and run.flow_id not in reach:
        raise RunNotFound(run_id)
    return run


async def list_runs(
    runtime: Runtime, caller: Caller, *, owners: Collection[str], after: str | None, limit: int
) -> Sequence[RunRecord]:
    """The runs of these owners that `open_run` opens for the caller, the newest first, after the run `after`.

    Raises RunNotFound where `after` is no run of the caller's.
    """
    if after is not None:
        await open_run(runtime, caller, after)
    flows = await runtime.access.list_reach(caller)
    return await runtime.store.read(session_lists.list_runs, owners=owners, flows=flows, after=after, limit=limit)


async def stop_run(runtime: Runtime, caller: Caller, run_id: str) -> RunRecord:
    """Stops the caller's own run in whatever process; returns the ended run. A run that had ended stays as it is.

    Raises RunNotFound, and RunElsewhere where another process has not stopped it within some seconds.
    """
    run = await open_run(runtime, caller, run_id)
    if run.status == "running" and not await runtime.running.stop(run.id):
        await runtime.store.write(requests.ask_stop, run_id=run.id, kind="own", by=str(caller.owner))
        if not await wait_for_end(runtime.store, run.id):
            raise RunElsewhere
    return await open_run(runtime, caller, run_id)


async def decide(runtime: Runtime, caller: Caller, decided: PassedDecision) -> RunRecord:
    """Allows or refuses a waiting call of the caller's own run, in whatever process; returns the run.

    Raises RunNotFound, NothingWaits, and DecidedElsewhere where another process has not taken the decision within some
    seconds.
    """
    run = await open_run(runtime, caller, decided.run_id)
    if run.status != "running":
        raise NothingWaits
    if not runtime.running.decide(*decided):
        await _pass_on(runtime.store, decided)
    return run


async def list_waiting(runtime: Runtime, run: RunRecord) -> Sequence[ToolWaits]:
    """Calls of a run that wait for a person; those of another process appear within a quarter of a second, where
    messages of the run are stored."""
    if run.holder == runtime.running.holder:
        return runtime.running.list_waiting(run.id)
    return list_waiting_calls(await runtime.store.read(chunks.read, run_id=run.id))


async def _pass_on(store: Store, passed: PassedDecision) -> None:
    """Passes a decision to the run's process and waits for its outcome. Raises NothingWaits and DecidedElsewhere."""
    await store.write(requests.pass_on, passed=passed)
    for number in range(_POLLS):
        if outcome := await store.read(requests.read_outcome, passed=passed):
            if outcome == "nothing_waits":
                raise NothingWaits
            return
        await asyncio.sleep(min(_POLL_SECONDS, 0.02 * (number + 1)))
    raise DecidedElsewhere


async def wait_for_end(store: Store, run_id: str) -> bool:
    """Waits until a run that was asked to stop has ended. False where it has not after some seconds."""
    for number in range(_POLLS):
        run = await store.read(progress.find_run, run_id=run_id)
        if run is None or run.status != "running":
            return True
        await asyncio.sleep(min(_POLL_SECONDS, 0.02 * (number + 1)))
    return False
