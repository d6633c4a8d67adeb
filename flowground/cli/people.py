"""`members` and `keys`: people of the organization, and its application tokens; also while a server runs."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from flowground.access.passwords import clean_name
from flowground.access.roster import Roster
from flowground.app import own_runs
from flowground.app.retention import REMOVED, RetentionTask
from flowground.cli.output import echo, note, print_table, write_minute
from flowground.cli.resources import (
    ACTOR,
    explain_unknown,
    find_flow,
    load_settings,
    open_sign_in,
    open_store,
    read_catalogue,
)
from flowground.core.caller import Role, Sees, Sets
from flowground.core.errors import InvalidRequest
from flowground.runs.files import Files
from flowground.settings import RetentionSettings
from flowground.settings.limits import PublicSettings
from flowground.store import Store
from flowground.store.people import identities, members, removals, tokens
from flowground.store.people.members import Member
from flowground.store.runs import requests
from flowground.store.runs.conversations import list_owners


def add_member(
    name: str, role: Role | None, display_name: str, email: str | None, password_stdin: bool
) -> Coroutine[Any, Any, None]:
    """Adds a person. The password is a line of standard input, or asked for twice at the terminal."""
    # Outside of the event loop, in which Ctrl-C would not reach the prompt.
    if not password_stdin and sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
    else:
        if not password_stdin:
            note("Standard input is not a terminal: its first line is taken as the password.")
        password = sys.stdin.readline().rstrip("\r\n")
    return _add_member(name, role, display_name, email, password)


async def _add_member(name: str, role: Role | None, display_name: str, email: str | None, password: str) -> None:
    """Raises InvalidRequest, also for a first account that would not be an admin."""
    settings = load_settings()
    async with open_sign_in(settings) as (_, sign_in):
        is_first = not settings.credentials.usernames and await sign_in.is_local_mode()
        if is_first and role not in (None, "admin"):
            raise InvalidRequest(
                f"The first account is an admin's: without one nobody could administer. {name} was not added.",
                hint=f"Leave out `--role {role}`, or add the admin first.",
            )
        if is_first:
            member = await sign_in.roster.add_first(name, display_name, password, email=email, by=ACTOR)
        else:
            member = await sign_in.roster.add(
                name, display_name=display_name, role=role or "member", password=password, email=email, by=ACTOR
            )
    note(f"{member.name} can sign in now, as {member.role}.")
    if is_first:
        note("This was the first account: from now on everybody has to sign in.")


async def list_members() -> None:
    """Prints all members of the database."""
    async with open_sign_in(load_settings()) as (_, sign_in):
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


async def rename_member(name: str, new: str) -> None:
    """Changes the name with which a person signs in. Raises InvalidRequest, NotAllowed."""
    async with _open_member(name) as (_, roster, member):
        new = await roster.rename(member.id, new, by=ACTOR)
    note(f"{member.name} signs in as {new} from now on; the password stays.")


async def show_member_as(name: str, display_name: str) -> None:
    """Changes the name that others see. Raises InvalidRequest, NotAllowed."""
    async with _open_member(name) as (_, roster, member):
        await roster.show_as(member.id, display_name, by=ACTOR)
    note(f"Others see {member.name} under the new name.")


async def remove_member(name: str) -> None:
    """Removes a person with their data. Raises InvalidRequest, NotAllowed."""
    async with _open_member(name) as (store, roster, member):
        owners = list_owners(member.id)
        # As on the page: the last admin stays, unless config.yaml has another one.
        keep_admin = not roster.has_configured_admin
        await store.write(members.remove, member=member.id, by=ACTOR, keep_admin=keep_admin)
        running = await store.read(requests.find_running, owners=owners)
        await asyncio.gather(*(own_runs.wait_for_end(store, run_id) for run_id in running))
        retention_task = RetentionTask(store, RetentionSettings(), PublicSettings(), rest=0)
        with closing(Files(store, load_settings())) as retention_task.files:  # it deletes the bytes of their files too
            await retention_task.forget(only=[REMOVED])
        left = await store.read(removals.list_removals)
    note(f"{member.name} is removed, with sign-ins, tokens and conversations.")
    if left:
        note("Not everything could be deleted yet: the server, or its next start, deletes the rest.")


@asynccontextmanager
async def _open_member(name: str) -> AsyncIterator[tuple[Store, Roster, Member]]:
    """A member whom config.yaml does not name, by the name they sign in with. Raises InvalidRequest, NotAllowed."""
    name = clean_name(name)
    async with open_sign_in(load_settings()) as (store, sign_in):
        member = await sign_in.roster.find_named(name)
        if member is None:
            everyone = await sign_in.roster.list_members()
            raise InvalidRequest(explain_unknown("member", name, [member.name for member in everyone]))
        await sign_in.roster.require_stored(member.id)
        yield store, sign_in.roster, member


async def create_token(name: str, flows: Sequence[str], expires: timedelta | None, sees: Sees, sets: Sets) -> None:
    """Creates a token and prints it alone on stdout. Raises InvalidRequest for an unknown flow."""
    settings = load_settings()
    catalogue = read_catalogue(settings)
    scope = tuple(dict.fromkeys(find_flow(catalogue, address).id for address in flows)) or None
    async with open_store(settings) as store:
        token, secret = await store.write(
            tokens.create,
            name=name,
            owner=None,
            flows=scope,
            expires_at=datetime.now(UTC) + expires if expires else None,
            by=ACTOR,
            sees=sees,
            sets=sets,
        )
    reach = ", ".join(scope) if scope else "every flow"
    until = f"until {write_minute(token.expires_at)}" if token.expires_at else "until it is revoked"
    seen = "answers only" if sees == "answers" else "the inside of flows"
    settable = "what their authors opened" if sets == "opened" else "every field that is not protected"
    note(f"{token.name} may run {reach} {until}. It sees {seen} and may set {settable}. The token is shown only now:")
    echo(secret)


async def list_tokens() -> None:
    """Prints all tokens, those of people too."""
    async with open_store(load_settings()) as store:
        found = await store.read(tokens.list_tokens, everyone=True)
        names = await store.read(identities.list_names)
    print_table(
        ("ID", "TOKEN", "NAME", "OWNER", "FLOWS", "STATE", "EXPIRES", "LAST_USED", "USES", "SEES", "SETS"),
        [
            (
                token.id,
                f"{token.prefix}…",
                token.name,
                names.get(token.owner, token.owner) if token.owner else "organization",
                "all" if token.flows is None else ",".join(token.flows),
                "revoked" if token.revoked_at else "active" if token.is_in_force else "expired",
                write_minute(token.expires_at),
                write_minute(token.last_used_at),
                str(token.uses),
                token.sees,
                token.sets,
            )
            for token in found
        ],
    )


async def revoke_token(id: str) -> None:  # noqa: A002 - as help names it
    """Revokes a token by its id, the beginning of the id, or the token itself. Raises InvalidRequest."""
    async with open_store(load_settings()) as store:
        by_secret = await store.read(tokens.find_any, secret=id)
        known = await store.read(tokens.list_tokens, everyone=True)
        found = [by_secret] if by_secret else [token for token in known if token.id.startswith(id)]
        if len(found) != 1:
            problem = f"{len(found)} tokens begin with {id!r}." if found else "There is no such token."
            raise InvalidRequest(problem, hint="`keys list` shows their ids.")
        is_ended = await store.write(tokens.revoke, token_id=found[0].id, by=ACTOR)
    note(f"{found[0].name} {'is revoked' if is_ended else 'was revoked before'}.")
