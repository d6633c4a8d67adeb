"""`members add`, `list`, `remove`: people of the organization, also while a server runs."""

import argparse
import getpass
import sys
from typing import get_args

from flowground.caller import Role
from flowground.cli.output import print_table, tell
from flowground.cli.resources import ACTOR, Commands, add_group, load_settings, open_sign_in, open_store, say_no_such
from flowground.errors import InvalidRequest
from flowground.sign_in import SignIn
from flowground.sign_in.passwords import clean_name
from flowground.store.people import members


def add_to(commands: Commands) -> None:
    group = add_group(commands, "members", "people who may sign in")
    add = group.add_parser("add", help="add a person; the first one ends local mode for good")
    add.add_argument("name", metavar="NAME", help="the name to sign in with")
    add.add_argument("--role", choices=get_args(Role), default="member", help="default: member")
    add.add_argument("--display-name", default="", metavar="TEXT", help="the name others see")
    add.add_argument("--email", metavar="ADDRESS")
    add.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input; done anyway where that is no terminal",
    )
    # Asked for outside the event loop, which would keep Ctrl-C from the prompt.
    add.set_defaults(command=lambda given: _add(given, _ask_password(from_input=given.password_stdin)))
    listing = group.add_parser("list", help="show all members, those of config.yaml too")
    listing.set_defaults(command=_list)
    remove = group.add_parser("remove", help="remove a person with their sign-ins, tokens and conversations")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(command=_remove)


async def _add(given: argparse.Namespace, password: str) -> None:
    async with open_sign_in(load_settings()) as sign_in:
        was_local = await sign_in.is_local_mode()
        member = await sign_in.roster.add(
            given.name,
            display_name=given.display_name,
            role=given.role,
            password=password,
            email=given.email,
            by=ACTOR,
        )
    tell(f"{member.name} can sign in now, as {member.role}.")
    if was_local:
        tell("This was the first account: from now on everybody has to sign in.")


async def _list(_: argparse.Namespace) -> None:
    async with open_sign_in(load_settings()) as sign_in:
        found = await sign_in.roster.list_members()
    print_table(
        ("NAME", "DISPLAY_NAME", "ROLE", "SOURCE", "PASSWORD", "STATE"),
        [
            (
                member.name,
                member.display_name,
                member.role,
                "config.yaml" if member.source == "config" else member.source,
                "yes" if member.has_password else "no",
                "active" if member.is_active else "inactive",
            )
            for member in found
        ],
    )


async def _remove(given: argparse.Namespace) -> None:
    """Works on the database first: a name that stands in config.yaml too would keep the app from starting."""
    settings = load_settings()
    name = clean_name(given.name)
    async with open_store(settings) as store:
        if not await store.write(members.remove, name=name, by=ACTOR):
            roster = SignIn(settings, store).roster
            roster.require_stored(name)
            raise InvalidRequest(say_no_such("member", name, [member.name for member in await roster.list_members()]))
    tell(f"{name} is removed, with sign-ins, tokens and conversations.")


def _ask_password(*, from_input: bool) -> str:
    """One line of standard input, or asked for twice at the terminal. Raises InvalidRequest."""
    if from_input or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise InvalidRequest("The two passwords differ.")
    return password
