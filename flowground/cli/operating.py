"""`runs`, `flows` and `providers`: what runs now, stopped and switched off; also while a server runs."""

import argparse
import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from flowground import operating, own_runs
from flowground.caller import Owner
from flowground.cli.commands import Commands, add_group
from flowground.cli.output import print_table, tell, write_minute
from flowground.cli.resources import ACTOR, find_flow, load_settings, open_store, read_catalogue, say_no_such
from flowground.errors import InvalidRequest, RunElsewhere
from flowground.interruptions import Interruptions
from flowground.loader import Catalogue
from flowground.providers import KINDS
from flowground.settings import Settings
from flowground.sign_in.roster import find_name
from flowground.store import Store
from flowground.store.flows import publications, switches
from flowground.store.flows.publications import Publication
from flowground.store.flows.switches import Switch, SwitchKind
from flowground.store.people import members
from flowground.store.runs import stop_requests, usage
from flowground.words import count


def add_to(commands: Commands) -> None:
    runs = add_group(commands, "runs", "what runs now, in all processes of the server")
    runs.add_parser("list", help="show the newest running runs").set_defaults(command=_list_runs)
    stop = runs.add_parser("stop", help="end a run; what it said is kept, and whoever waits for it is told")
    stop.add_argument("id", metavar="ID", help="as `runs list` shows it, or its beginning")
    stop.set_defaults(command=_stop)
    flows = _add_switches(commands, "flow", "all flows, and which of them are switched off", _find_flow_id)
    says = "show id, name, API address, who it is shared with, and mistakes in files"
    flows.add_parser("list", help=says).set_defaults(command=_list_flows)
    providers = _add_switches(commands, "provider", "providers of models to switch off and on", _find_provider)
    providers.add_parser("list", help="show the providers that are off").set_defaults(command=_list_providers_off)


def _add_switches(commands: Commands, kind: SwitchKind, says: str, find: Callable[[Settings, str], str]) -> Commands:
    group = add_group(commands, f"{kind}s", says)
    off = group.add_parser("off", help=f"end the runs of a {kind}, and let no new ones begin until it is switched on")
    off.add_argument("name", metavar="NAME")
    off.add_argument(
        "--say", default="", metavar="TEXT", help="a sentence for people, shown beside the notice that it is off"
    )
    off.set_defaults(command=partial(_switch_off, kind, find))
    on = group.add_parser("on", help="let it run again")
    on.add_argument("name", metavar="NAME")
    on.set_defaults(command=partial(_switch_on, kind))
    return group


async def _list_runs(_: argparse.Namespace) -> None:
    settings = load_settings()
    async with open_store(settings) as store:
        found, total = await operating.list_runs(store, Interruptions(store))
    print_table(
        ("ID", "FLOW", "WHO", "BY", "SINCE", "SAID"),
        [(run.id, run.flow_id, run.who, run.way, write_minute(run.started_at), _write_said(run)) for run in found],
    )
    if total > len(found):
        tell(f"These are the newest of {count(total, 'run')}.")


def _write_said(run: operating.RunNow) -> str:
    return f"about {run.chars:,} characters" if run.chars else ""


async def _stop(given: argparse.Namespace) -> None:
    async with open_store(load_settings()) as store:
        meant = await store.read(usage.find_ids, begin=given.id)
        if len(meant) != 1:
            problem = f"Several runs begin with {given.id!r}." if meant else "No such run is running."
            raise InvalidRequest(problem, hint="`runs list` shows their ids.")
        await store.write(stop_requests.ask_stop, run_id=meant[0], kind="admin", by=ACTOR)
        if not await own_runs.wait_for_end(store, meant[0]):
            await Interruptions(store).end_left_runs()
            if not await own_runs.wait_for_end(store, meant[0]):
                raise RunElsewhere
    tell(f"{meant[0]} has ended.")


async def _switch_off(kind: SwitchKind, find: Callable[[Settings, str], str], given: argparse.Namespace) -> None:
    settings = load_settings()
    name = await asyncio.to_thread(find, settings, given.name)
    says = operating.clean_sentence(given.say)
    async with open_store(settings) as store:
        await store.write(switches.switch_off, kind=kind, name=name, says=says, by=ACTOR)
    tell(f"{name} is off. Its runs end within seconds, and no new ones begin.")


async def _switch_on(kind: SwitchKind, given: argparse.Namespace) -> None:
    async with open_store(load_settings()) as store:
        if not await store.write(switches.switch_on, kind=kind, name=given.name, by=ACTOR):
            off = [switch.name for switch in await store.read(switches.list_switches) if switch.kind == kind]
            raise InvalidRequest(say_no_such(f"switched-off {kind}", given.name, off))
    tell(f"{given.name} is on.")


async def _list_flows(_: argparse.Namespace) -> None:
    """Those of files with mistakes too, by the file's name."""
    settings = load_settings()
    catalogue = await asyncio.to_thread(Catalogue, settings.flows)
    async with open_store(settings) as store:
        shared = {item.flow_id: item for item in await store.read(publications.list_publications) if item.is_in_force}
        off = {item.name: item for item in await store.read(switches.list_switches) if item.kind == "flow"}
        names = await _find_names(store, off.values())
    wrong = catalogue.list_problems()
    print_table(
        ("ID", "NAME", "ADDRESS", "SHARED_WITH", "STATE"),
        [
            (
                wired.id,
                wired.name,
                f"/api/v1/run/{wired.flow.api.endpoint_name or wired.id}",
                _write_sharing(shared.get(wired.id)),
                _write_switch(off[wired.id], names) if wired.id in off else "on",
            )
            for wired in catalogue.list_flows().values()
        ]
        + [(file, "", "", "", count(len(error.problems), "mistake")) for file, error in wrong.items()],
    )
    if wrong:
        tell("`validate` says what is wrong.")


def _write_sharing(found: Publication | None) -> str:
    if found is None:
        return ""
    return f"{found.audience} until {write_minute(found.expires_at)}" if found.expires_at else found.audience


def _write_switch(switch: Switch, names: Mapping[str, str]) -> str:
    said = f"off since {write_minute(switch.changed_at)} by {_name_actor(switch.changed_by, names)}"
    return f"{said}: {switch.says}" if switch.says else said


async def _list_providers_off(_: argparse.Namespace) -> None:
    settings = load_settings()
    async with open_store(settings) as store:
        found = await store.read(switches.list_switches)
        names = await _find_names(store, found)
    print_table(
        ("NAME", "SINCE", "BY", "TOLD"),
        [
            (switch.name, write_minute(switch.changed_at), _name_actor(switch.changed_by, names), switch.says)
            for switch in found
            if switch.kind == "provider"
        ],
    )


async def _find_names(store: Store, switched: Iterable[Switch]) -> Mapping[str, str]:
    """Who switched something off, by id."""
    ids = {Owner.read(switch.changed_by).id for switch in switched if switch.changed_by != ACTOR}
    return await store.read(members.find_display_names, members=ids)


def _name_actor(actor: str, names: Mapping[str, str]) -> str:
    """A member as pages show them; the command line as it is."""
    return actor if actor == ACTOR else find_name(names, Owner.read(actor).id)


def _find_flow_id(settings: Settings, address: str) -> str:
    return find_flow(read_catalogue(settings), address).id


def _find_provider(settings: Settings, name: str) -> str:
    known = {*KINDS, *settings.providers}
    if name not in known:
        raise InvalidRequest(say_no_such("provider", name, known))
    return name
