"""What admins see and end: the runs of all processes, and flows and providers that are switched off.

No conversation is shown. Functions with a caller check that they are an admin now: they raise NotSignedIn or
NotAllowed.
"""

from dataclasses import dataclass
from datetime import datetime

from flowground.access.people import require_admin
from flowground.access.roster import find_name
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Owner
from flowground.core.errors import InvalidRequest, StoppedByAdmin
from flowground.runs.running import Interruptions, RunningRuns
from flowground.store import Store, publications
from flowground.store.people import members
from flowground.store.publications import SAYS_CHARS, Switch, SwitchKind
from flowground.store.runs import requests, usage
from flowground.store.runs.usage import RunningRun

MOST_RUNS = 100
"""The newest runs that are listed."""


@dataclass(frozen=True, slots=True)
class RunNow:
    """A run that goes on now. `who` and `via` are shown to people: a display name, and the token or page that began it.

    `is_here`: this process runs it. `is_stopping`: its process was asked to stop it. `tokens` is what models have
    counted so far; `chars` the length of the text so far, approximate where another process runs it.
    """

    id: str
    flow_id: str
    who: str
    via: str
    started_at: datetime
    is_here: bool
    is_stopping: bool
    tokens: int | None
    chars: int


async def list_runs(
    store: Store, interruptions: Interruptions, *, running: RunningRuns | None = None
) -> tuple[list[RunNow], int]:
    """The newest `MOST_RUNS` runs of all processes, and how many there are. `running` has the runs of this process.

    Runs whose process died are ended first.
    """
    found, count = await store.read(usage.list_running, most=MOST_RUNS)
    if any(run.holder != store.process.id for run in found) and await interruptions.end_left_runs():
        found, count = await store.read(usage.list_running, most=MOST_RUNS)
    people = {person for run in found if (person := _find_person(run))}
    names = await store.read(members.find_display_names, members=people) if people else {}
    return [_describe(run, names, running) for run in found], count


def _describe(run: RunningRun, names: dict[str, str], running: RunningRuns | None) -> RunNow:
    here = running.list_runs().get(run.id) if running else None
    person = _find_person(run)
    usage = here.usage if here else None
    return RunNow(
        id=run.id,
        flow_id=run.flow_id,
        who=find_name(names, person) if person else _name_nobody(run),
        via=_name_via(run),
        started_at=run.started_at,
        is_here=here is not None,
        is_stopping=run.is_stopping,
        tokens=usage.total_tokens if usage else None,
        chars=here.said_chars if here else run.kept_chars,
    )


def _find_person(run: RunningRun) -> str | None:
    """The id of the member who runs it; None where nobody is a member."""
    if run.token:
        return run.member
    owner = Owner.read(run.owner)
    return owner.id if owner.kind in ("member", "programs") else None


def _name_nobody(run: RunningRun) -> str:
    """A name for whoever runs it where that is no member."""
    match Owner.read(run.owner).kind:
        case "visitor":
            return "A visitor"
        case "local":
            return "This computer"
        case _:
            return "The organization"


def _name_via(run: RunningRun) -> str:
    if run.token:
        return f"token “{run.token}”"
    return "Try it" if Owner.read(run.owner).kind in ("programs", "token") else "playground"


async def list_all_runs(runtime: Runtime, caller: Caller) -> tuple[list[RunNow], int]:
    """As `list_runs`, for an admin."""
    await require_admin(runtime.access, caller)
    return await list_runs(runtime.store, runtime.interruptions, running=runtime.running)


async def list_switches(runtime: Runtime, caller: Caller) -> list[Switch]:
    """Flows and providers that are switched off in all processes."""
    await require_admin(runtime.access, caller)
    return await runtime.store.read(publications.list_switches)


async def stop(runtime: Runtime, caller: Caller, run_id: str) -> None:
    """Stops a run: here at once, in another process within seconds. Raises InvalidRequest where it has ended."""
    by = await require_admin(runtime.access, caller)
    if not await runtime.store.write(requests.ask_stop, run_id=run_id, kind="admin", by=by):
        raise InvalidRequest("This run has ended already.")
    await runtime.running.stop(run_id, StoppedByAdmin())


async def switch_off(runtime: Runtime, caller: Caller, kind: SwitchKind, name: str, says: str) -> None:
    """Ends runs of a flow or provider and lets none begin; people see the sentence `says`. Raises InvalidRequest for an
    unknown flow or provider."""
    by = await require_admin(runtime.access, caller)
    known = runtime.catalogue.list_flows() if kind == "flow" else runtime.models.list_names()
    if name not in known:
        raise InvalidRequest(f"There is no {kind} {name} any more.")
    await runtime.switches.switch_off(kind, name, says=clean_sentence(says), by=by)


async def switch_on(runtime: Runtime, caller: Caller, kind: SwitchKind, name: str) -> None:
    """Lets the flow or provider run again, from the next message on."""
    await runtime.switches.switch_on(kind, name, by=await require_admin(runtime.access, caller))


def clean_sentence(says: str) -> str:
    """The sentence for people in one line. Raises InvalidRequest where it is too long."""
    line = " ".join(says.split())
    if len(line) > SAYS_CHARS:
        raise InvalidRequest(f"The sentence has {len(line)} characters; {SAYS_CHARS} is the limit.")
    return line
