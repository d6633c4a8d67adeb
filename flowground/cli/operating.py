"""`runs`, `flows` and `providers`: what runs now, stopped and switched off; also while a server runs."""

from collections.abc import Iterable, Mapping

from flowground.access.roster import find_name
from flowground.app import own_runs
from flowground.cli.output import note, print_table, write_minute
from flowground.cli.resources import ACTOR, explain_unknown, find_flow, load_settings, open_store, read_catalogue
from flowground.core.caller import Owner
from flowground.core.errors import InvalidRequest, RunElsewhere
from flowground.core.words import count
from flowground.providers import KINDS
from flowground.runs.running import Interruptions
from flowground.store import Store, publications
from flowground.store.people import members
from flowground.store.publications import SAYS_CHARS, Publication, Switch, SwitchKind
from flowground.store.runs import requests, usage
from flowground.store.runs.usage import RunningRun

_MOST_RUNS = 100


async def list_runs() -> None:
    """Prints the newest runs, without anything that somebody wrote."""
    async with open_store(load_settings()) as store:
        await Interruptions(store).end_left_runs()  # of processes that died
        found, total = await store.read(usage.list_running, most=_MOST_RUNS)
        people = {person for run in found if (person := _find_person(run))}
        names = await store.read(members.find_display_names, members=people)
    rows = []
    for run in found:
        person = _find_person(run)
        who = find_name(names, person) if person else _name_nobody(run)
        chars = f"{run.kept_chars:,} characters" if run.kept_chars else ""
        rows.append((run.id, run.flow_id, who, _name_via(run), write_minute(run.started_at), chars))
    print_table(("ID", "FLOW", "WHO", "BY", "SINCE", "SAID"), rows)
    if total > len(found):
        note(f"These are the newest of {count(total, 'run')}.")


def _find_person(run: RunningRun) -> str | None:
    """The id of the member who runs it; None where nobody is a member."""
    if run.token:
        return run.member
    owner = Owner.read(run.owner)
    return owner.id if owner.kind in ("member", "programs") else None


def _name_nobody(run: RunningRun) -> str:
    """A name for whoever runs it where that is no member."""
    named = {"visitor": "A visitor", "local": "This computer"}
    return named.get(Owner.read(run.owner).kind, "The organization")


def _name_via(run: RunningRun) -> str:
    if run.token:
        return f"token “{run.token}”"
    return "Try it" if Owner.read(run.owner).kind in ("programs", "token") else "playground"


async def stop_run(id: str) -> None:  # noqa: A002 - as help names it
    """Stops a run and returns once it has ended. Raises InvalidRequest, RunElsewhere."""
    async with open_store(load_settings()) as store:
        found = await store.read(usage.find_ids, begin=id)
        if len(found) != 1:
            problem = f"Several runs begin with {id!r}." if found else "No such run is running."
            raise InvalidRequest(problem, hint="`runs list` shows their ids.")
        await store.write(requests.ask_stop, run_id=found[0], kind="admin", by=ACTOR)
        if not await own_runs.wait_for_end(store, found[0]):
            await Interruptions(store).end_left_runs()
            if not await own_runs.wait_for_end(store, found[0]):
                raise RunElsewhere
    note(f"{found[0]} has ended.")


async def switch_off(name: str, say: str, kind: SwitchKind) -> None:
    """Switches a flow or provider off. Raises InvalidRequest if it is unknown, or the sentence is too long."""
    settings = load_settings()
    if kind == "flow":
        name = find_flow(read_catalogue(settings), name).id
    elif name not in (known := {*KINDS, *settings.providers}):
        raise InvalidRequest(explain_unknown("provider", name, known))
    says = " ".join(say.split())
    if len(says) > SAYS_CHARS:
        raise InvalidRequest(f"The sentence has {len(says)} characters; {SAYS_CHARS} is the limit.")
    async with open_store(settings) as store:
        await store.write(publications.switch_off, kind=kind, name=name, says=says, by=ACTOR)
    note(f"{name} is off. Its runs end within seconds, and no new ones begin.")


async def switch_on(name: str, kind: SwitchKind) -> None:
    """Switches a flow or provider on again. Raises InvalidRequest if it is not off."""
    async with open_store(load_settings()) as store:
        if not await store.write(publications.switch_on, kind=kind, name=name, by=ACTOR):
            off = [switch.name for switch in await store.read(publications.list_switches) if switch.kind == kind]
            raise InvalidRequest(explain_unknown(f"switched-off {kind}", name, off))
    note(f"{name} is on.")


async def list_flows() -> None:
    """Prints all flows; files with mistakes too, by name."""
    settings = load_settings()
    catalogue = read_catalogue(settings)
    async with open_store(settings) as store:
        shared = {item.flow_id: item for item in await store.read(publications.list_publications) if item.is_in_force}
        off = {item.name: item for item in await store.read(publications.list_switches) if item.kind == "flow"}
        names = await _find_names(store, off.values())
    rows = []
    for wired in catalogue.list_flows().values():
        state = "on"
        if switch := off.get(wired.id):
            state = f"off since {write_minute(switch.changed_at)} by {_name_actor(switch.changed_by, names)}"
            state += f": {switch.says}" if switch.says else ""
        address = f"/api/v1/run/{wired.flow.api.endpoint_name or wired.id}"
        rows.append((wired.id, wired.name, address, _write_sharing(shared.get(wired.id)), state))
    wrong = catalogue.list_problems()
    rows += [(file, "", "", "", count(len(error.problems), "mistake")) for file, error in wrong.items()]
    print_table(("ID", "NAME", "ADDRESS", "SHARED_WITH", "STATE"), rows)
    if wrong:
        note("`validate` says what is wrong.")


def _write_sharing(found: Publication | None) -> str:
    if found is None:
        return ""
    return f"{found.audience} until {write_minute(found.expires_at)}" if found.expires_at else found.audience


async def list_providers() -> None:
    """Prints the providers that are off."""
    settings = load_settings()
    async with open_store(settings) as store:
        found = [switch for switch in await store.read(publications.list_switches) if switch.kind == "provider"]
        names = await _find_names(store, found)
    print_table(
        ("NAME", "SINCE", "BY", "TOLD"),
        [
            (switch.name, write_minute(switch.changed_at), _name_actor(switch.changed_by, names), switch.says)
            for switch in found
        ],
    )


async def _find_names(store: Store, switched: Iterable[Switch]) -> Mapping[str, str]:
    """Display names of those who switched something off, by id."""
    ids = {Owner.read(switch.changed_by).id for switch in switched if switch.changed_by != ACTOR}
    return await store.read(members.find_display_names, members=ids)


def _name_actor(actor: str, names: Mapping[str, str]) -> str:
    """The display name of a member; "cli" for the command line."""
    return actor if actor == ACTOR else find_name(names, Owner.read(actor).id)
