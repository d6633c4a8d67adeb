"""`members add`, `list`, `rename`, `show-as`, `remove`: people of the organization, also while a server runs."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, closing
from typing import get_args

from flowground.caller import Role
from flowground.cli.commands import Commands, add_group
from flowground.cli.output import print_table, tell
from flowground.cli.resources import ACTOR, load_settings, open_sign_in, open_store, say_no_such
from flowground.errors import InvalidRequest
from flowground.files import Files
from flowground.forgetting import REMOVED, Forgetting
from flowground.settings import PublicSettings, RetentionSettings
from flowground.sign_in import SignIn
from flowground.sign_in.passwords import clean_name
from flowground.sign_in.roster import Roster
from flowground.store import Store
from flowground.store.people import members, removals
from flowground.store.people.members import Member
from flowground.store.runs import stop_requests
from flowground.store.runs.conversations import list_owners

_STOP_LOOKS = 30
"""In 6 seconds: a server looks every two what it shall stop."""


def add_to(commands: Commands) -> None:
    group = add_group(commands, "members", "people who may sign in")
    add = group.add_parser("add", help="add a person; the first one is an admin and ends local mode for good")
    add.add_argument("name", metavar="NAME", help="the name to sign in with")
    add.add_argument("--role", choices=get_args(Role), help="default: member, and admin for the first account")
    add.add_argument("--display-name", default="", metavar="TEXT", help="the name others see")
    add.add_argument("--email", metavar="ADDRESS")
    add.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input; the default where that is not a terminal",
    )
    # Asked for outside the event loop, which would keep Ctrl-C from the prompt.
    add.set_defaults(command=lambda given: _add(given, _ask_password(from_input=given.password_stdin)))
    listing = group.add_parser("list", help="show all members, including those of config.yaml")
    listing.set_defaults(command=_list)
    rename = group.add_parser("rename", help="give a person another name to sign in with; they keep everything")
    rename.add_argument("name", metavar="NAME")
    rename.add_argument("new", metavar="NEW")
    rename.set_defaults(command=_rename)
    show_as = group.add_parser("show-as", help="change the name that others see")
    show_as.add_argument("name", metavar="NAME")
    show_as.add_argument("shown", metavar="DISPLAY_NAME")
    show_as.set_defaults(command=_show_as)
    remove = group.add_parser("remove", help="remove a person with their sign-ins, tokens and conversations")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(command=_remove)


async def _add(given: argparse.Namespace, password: str) -> None:
    async with open_sign_in(load_settings()) as sign_in:
        if was_local := await sign_in.is_local_mode():
            member = await _add_first(sign_in, given, password)
        else:
            member = await sign_in.roster.add(
                given.name,
                display_name=given.display_name,
                role=given.role or "member",
                password=password,
                email=given.email,
                by=ACTOR,
            )
    tell(f"{member.name} can sign in now, as {member.role}.")
    if was_local:
        tell("This was the first account: from now on everybody has to sign in.")


async def _add_first(sign_in: SignIn, given: argparse.Namespace, password: str) -> Member:
    """Raises InvalidRequest for a role that would leave nobody who could add others."""
    if given.role not in (None, "admin"):
        raise InvalidRequest(
            f"The first account is an admin's: without one nobody could administer. {given.name} was not added.",
            hint=f"Leave out `--role {given.role}`, or add the admin first.",
        )
    return await sign_in.create_first_account(given.name, given.display_name, password, email=given.email, by=ACTOR)


async def _list(_: argparse.Namespace) -> None:
    async with open_sign_in(load_settings()) as sign_in:
        found = await sign_in.roster.list_members()
    print_table(
        ("NAME", "DISPLAY_NAME", "ROLE", "SOURCE", "PASSWORD", "STATE", "ID"),
        [
            (
                member.name,
                member.display_name,
                member.role,
                "config.yaml" if member.source == "config" else member.source,
                "yes" if member.has_password else "no",
                "active" if member.is_active else "inactive",
                member.id,
            )
            for member in found
        ],
    )


async def _rename(given: argparse.Namespace) -> None:
    async with _open_member(given.name) as (_, roster, member):
        name = await roster.rename(member.id, given.new, by=ACTOR)
    tell(f"{member.name} signs in as {name} from now on; the password stays.")


async def _show_as(given: argparse.Namespace) -> None:
    async with _open_member(given.name) as (_, roster, member):
        await roster.show_as(member.id, given.shown, by=ACTOR)
    tell(f"Others see {member.name} under the new name.")


async def _remove(given: argparse.Namespace) -> None:
    async with _open_member(given.name) as (store, roster, member):
        owners = await store.read(list_owners, member=member.id)
        # As the page does it: an organization without an admin could be administered by nobody but the command line.
        keep_admin = not roster.has_configured_admin
        await store.write(members.remove, member=member.id, by=ACTOR, keep_admin=keep_admin)
        await _wait_for_ends(store, owners)
        await _erase(store)
        left = await store.read(removals.list_removals)
    tell(f"{member.name} is removed, with sign-ins, tokens and conversations.")
    if left:
        tell("Not everything could be deleted yet: the server, or its next start, deletes the rest.")


async def _erase(store: Store) -> None:
    """What is left of people who were removed, with the bytes of their files."""
    forgetting = Forgetting(store, RetentionSettings(), PublicSettings(), rest=0)
    with closing(Files(store, load_settings())) as forgetting.files:
        await forgetting.forget(only=[REMOVED])


async def _wait_for_ends(store: Store, owners: Collection[str]) -> None:
    """Until nothing runs of these owners that a server was asked to stop, or it takes too long."""
    for _ in range(_STOP_LOOKS):
        if not await store.read(stop_requests.find_running, owners=owners):
            return
        await asyncio.sleep(0.2)


@asynccontextmanager
async def _open_member(name: str) -> AsyncIterator[tuple[Store, Roster, Member]]:
    """A member whom config.yaml does not name, by the name they sign in with. Raises InvalidRequest, NotAllowed.

    The file is not read: a name that stands in both would keep the app from starting.
    """
    settings, name = load_settings(), clean_name(name)
    async with open_store(settings) as store:
        with closing(SignIn(settings, store)) as sign_in:
            member = await sign_in.roster.find_named(name)
            if member is None:
                everyone = await sign_in.roster.list_members()
                raise InvalidRequest(say_no_such("member", name, [member.name for member in everyone]))
            await sign_in.roster.require_stored(member.id)
            yield store, sign_in.roster, member


def _ask_password(*, from_input: bool) -> str:
    """One line of standard input, or asked for twice at the terminal. Raises InvalidRequest."""
    if from_input or not sys.stdin.isatty():
        if not from_input:
            tell("Standard input is not a terminal: its first line is taken as the password.")
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise InvalidRequest("The two passwords differ.")
    return password
