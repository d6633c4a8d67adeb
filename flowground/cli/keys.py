"""`keys create`, `list`, `revoke`: application tokens of the organization, also while a server runs."""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import get_args

from flowground.caller import Sees, Sets
from flowground.cli.commands import Commands, add_group
from flowground.cli.output import print_table, tell, write_minute
from flowground.cli.resources import ACTOR, find_flow, load_settings, open_store, read_catalogue
from flowground.errors import InvalidRequest
from flowground.settings import Settings
from flowground.store.people import identities, tokens
from flowground.store.people.tokens import StoredToken

_AS_OWNER = "owner's"
"""What a person's tokens of before there was a choice see and set: as much as their owner may at that moment."""
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def add_to(commands: Commands) -> None:
    keys = add_group(commands, "keys", "application tokens for API callers")
    create = keys.add_parser("create", help="make a token; it is printed once, on the last line")
    create.add_argument("name", metavar="NAME", help="what it is for")
    create.add_argument("--flow", action="append", metavar="ID", help="only this flow; may be given several times")
    create.add_argument("--expires", type=_read_duration, metavar="30d", help="12h, 30d, 8w, …; default: never")
    create.add_argument(
        "--sees",
        choices=get_args(Sees),
        default="answers",
        help="answers: what flows answer (the default); inside: prompts, traces, every field and whole errors too",
    )
    create.add_argument(
        "--sets",
        choices=get_args(Sets),
        default="opened",
        help="opened: the fields that a flow's author opened to members (the default); unprotected: every field that "
        "is not protected. This can reveal a flow's prompt",
    )
    create.set_defaults(command=_create)
    listing = keys.add_parser("list", help="show all tokens, without their secrets")
    listing.set_defaults(command=_list)
    revoke = keys.add_parser("revoke", help="end a token; it acts at once")
    revoke.add_argument("id", metavar="ID", help="as `keys list` shows it, or its beginning; or the token itself")
    revoke.set_defaults(command=_revoke)


async def _create(given: argparse.Namespace) -> None:
    settings = load_settings()
    flows = _find_scope(given.flow, settings)
    async with open_store(settings) as store:
        token, secret = await store.write(
            tokens.create,
            name=given.name,
            owner=None,
            flows=flows,
            expires_at=datetime.now(UTC) + given.expires if given.expires else None,
            by=ACTOR,
            sees=given.sees,
            sets=given.sets,
        )
    reach = ", ".join(flows) if flows else "every flow"
    until = f"until {write_minute(token.expires_at)}" if token.expires_at else "until it is revoked"
    sees = "answers only" if given.sees == "answers" else "the inside of flows"
    sets = "what their authors opened" if given.sets == "opened" else "every field that is not protected"
    tell(f"{token.name} may run {reach} {until}. It sees {sees} and may set {sets}. The token is shown only now:")
    print(secret)


async def _list(_: argparse.Namespace) -> None:
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
                _name_state(token),
                write_minute(token.expires_at),
                write_minute(token.last_used_at),
                str(token.uses),
                token.sees or ("inside" if token.owner is None else _AS_OWNER),
                token.sets or ("unprotected" if token.owner is None else _AS_OWNER),
            )
            for token in found
        ],
    )


async def _revoke(given: argparse.Namespace) -> None:
    async with open_store(load_settings()) as store:
        by_secret = await store.read(tokens.find_any, secret=given.id)
        known = await store.read(tokens.list_tokens, everyone=True)
        meant = [by_secret] if by_secret else [token for token in known if token.id.startswith(given.id)]
        if len(meant) != 1:
            problem = f"{len(meant)} tokens begin with {given.id!r}." if meant else "There is no such token."
            raise InvalidRequest(problem, hint="`keys list` shows their ids.")
        ended = await store.write(tokens.revoke, token_id=meant[0].id, by=ACTOR)
    tell(f"{meant[0].name} {'is revoked' if ended else 'was revoked before'}.")


def _find_scope(addresses: list[str] | None, settings: Settings) -> tuple[str, ...] | None:
    """Ids of the named flows. Raises InvalidRequest for one that does not exist."""
    if not addresses:
        return None
    catalogue = read_catalogue(settings)
    return tuple(dict.fromkeys(find_flow(catalogue, address).id for address in addresses))


def _name_state(token: StoredToken) -> str:
    if token.revoked_at:
        return "revoked"
    return "active" if token.is_in_force else "expired"


def _read_duration(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 12h, 30d or 8w")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
