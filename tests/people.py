"""The people of the tests' organizations, and how they sign in where no browser is needed."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import bcrypt

from flowground.access.sign_in import SignIn
from flowground.core.caller import Role

PASSWORD = "correct horse battery"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
ROLES: Mapping[str, Role] = {"augusta": "admin", "olga": "author", "bob": "member", "zoe": "member"}
PEOPLE: Mapping[str, Any] = {
    name: {"password": HASHED, "roles": [role], "first_name": "Ada" if name == "augusta" else name.title()}
    for name, role in ROLES.items()
}
"""As config.yaml names them; all have PASSWORD. Ada signs in as augusta: a word that stands nowhere by chance."""
Open = Callable[..., Awaitable[SignIn]]
"""The fixture `open_sign_in`: the sign-in room without a server, with whatever settings a test gives."""


def make_credentials(**usernames: Any) -> dict[str, Any]:
    return {"usernames": usernames}


CREDENTIALS = {"credentials": make_credentials(**PEOPLE)}


async def make_cookie(sign_in: SignIn, member: str | None) -> str:
    """What a browser gets that says it is Firefox; `member` None is the local owner's."""
    cookie = await sign_in.redeem(await sign_in.issue_ticket(member, "browser"), "browser", "Firefox")
    assert cookie is not None
    return cookie
