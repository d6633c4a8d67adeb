"""Members of config.yaml over a restart: what they had, and which of it still stands."""

import asyncio
from contextlib import closing
from pathlib import Path
from typing import Any

import bcrypt

from flowground.access.sign_in import SignIn
from flowground.core.caller import Caller
from flowground.core.errors import NotSignedIn
from flowground.settings import Settings
from flowground.store import Store, tables
from flowground.store.people import tokens
from tests.canary import finish_removals
from tests.people import HASHED, Open, make_cookie, make_credentials
from tests.stored import list_sessions

OTHER = bcrypt.hashpw(b"another horse", bcrypt.gensalt(4)).decode()

ADA = {"password": HASHED, "email": "ada@example.com"}


class Rights:
    """What a member had before a restart: two proofs of who they are, and something they said."""

    def __init__(self, cookie: str, token: str, ticket: str, link: str) -> None:
        self.cookie, self.token, self.ticket, self.link = cookie, token, ticket, link


async def serve(open_sign_in: Open, **usernames: Any) -> SignIn:
    """As a server starts with these members in config.yaml."""
    return await open_sign_in(credentials=make_credentials(**usernames))


def take_members(folder: Path) -> None:
    """Takes the members of the folder's config.yaml into its database, as the start of a server does."""
    settings = Settings.load(folder / "config.yaml")
    store = Store.open(settings.database)
    with closing(store), closing(SignIn(settings, store)) as sign_in:
        asyncio.run(sign_in.roster.start())


async def rights_of(sign_in: SignIn, store: Store, name: str) -> Rights:
    _, token = await store.write(tokens.create, name="n", owner=name, flows=None, expires_at=None, by="x")
    ticket = await sign_in.issue_ticket(name, "browser")
    cookie = await make_cookie(sign_in, name)
    _, link = await sign_in.links.create("reset", name, by="x")
    owner = str(Caller("member", name, "member").owner)
    row = {"flow_id": "echo", "owner": owner, "session_id": "s", "title": "t", "messages": 1}
    await store.write(
        lambda to: [to.execute(tables.sessions.insert().values(row | {"created_at": 1, "updated_at": 1}))]
    )
    return Rights(cookie, token, ticket, link)


async def holds(sign_in: SignIn, had: Rights) -> list[bool]:
    """Which still stand: the cookie, the token, the ticket, the link."""
    try:
        await sign_in.links.find(had.link, "here")
        link = True
    except NotSignedIn:
        link = False
    return [
        await sign_in.verify_cookie(had.cookie) is not None,
        await sign_in.verify_token(had.token) is not None,
        await sign_in.redeem(had.ticket, "browser") is not None,
        link,
    ]


async def id_of(sign_in: SignIn, name: str) -> str:
    member = await sign_in.roster.find_named(name)
    assert member is not None
    return member.id


async def said(store: Store, member: str) -> int:
    await finish_removals(store)
    found = await store.read(list_sessions, flow_id="echo", owner=f"member:{member}")
    return len(found)
