"""The sign-in room without a server: opened by the fixture `open_sign_in` with whatever settings a test gives."""

from collections.abc import Awaitable, Callable
from typing import Any

import bcrypt

from flowground.sign_in import SignIn

PASSWORD = "correct horse"
HASHED = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
Open = Callable[..., Awaitable[SignIn]]


def named(**usernames: Any) -> dict[str, Any]:
    return {"usernames": usernames}


async def cookie_of(sign_in: SignIn, member: str | None) -> str:
    cookie = await sign_in.redeem(await sign_in.issue_ticket(member, "browser"), "browser")
    assert cookie is not None
    return cookie
