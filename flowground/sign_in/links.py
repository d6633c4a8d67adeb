"""Invitations and resets: one-time links with which somebody chooses the password of one member."""

import secrets
import time

from flowground.errors import InvalidRequest, NotSignedIn
from flowground.sign_in.roster import Roster
from flowground.sign_in.tries import Tries
from flowground.store import Store
from flowground.store.people import members, password_links
from flowground.store.people.members import Member
from flowground.store.people.password_links import LinkKind, PasswordLink
from flowground.store.people.tokens import hash_secret

GOOD_FOR_SECONDS: dict[LinkKind, float] = {"invitation": 7 * 86_400, "reset": 86_400}


class PasswordLinks:
    """What is wrong with a link that is not good is never said: unknown, used, expired and revoked look the same."""

    def __init__(self, store: Store, roster: Roster, tries: Tries) -> None:
        self._store = store
        self._roster = roster
        self._tries = tries

    async def create(self, kind: LinkKind, member: str, *, by: str) -> tuple[PasswordLink, str]:
        """The link for a member, by id, and its secret, which is nowhere else. Ends the member's earlier links.

        Raises InvalidRequest when there is no such active member.
        """
        found = await self._roster.find(member)
        if found is None or not found.is_active:
            raise InvalidRequest(f"There is no active member {member}.")
        secret = secrets.token_urlsafe(32)
        link = await self._store.write(
            password_links.add,
            kind=kind,
            member=member,
            hashed=hash_secret(secret),
            expires_at=time.time() + GOOD_FOR_SECONDS[kind],
            by=by,
        )
        return link, secret

    async def find(self, secret: str, address: str) -> tuple[PasswordLink, Member]:
        """The link and whose password it sets. Raises NotSignedIn when it is not good; those are counted by address."""
        link = await self._store.read(password_links.find, hashed=hash_secret(secret)) if secret else None
        member = await self._roster.find(link.member) if link else None
        if link is None or member is None or not member.is_active or not await self._is_by_admin(link):
            await self._tries.count_bad_link(address)
            raise _say_not_good()
        return link, member

    async def _is_by_admin(self, link: PasswordLink) -> bool:
        """Whether who made it may still make links; config.yaml may have taken that from them since."""
        kind, _, member = link.created_by.partition(":")
        if kind != "member":
            return True
        maker = await self._roster.find(member)
        return maker is not None and maker.is_active and maker.role == "admin"

    async def was_used_by(self, secret: str, member: str) -> bool:
        """Whether this member, by id, chose their password with this link. Nobody else learns that there was one."""
        return bool(secret) and await self._store.read(
            password_links.was_used_by, hashed=hash_secret(secret), member=member
        )

    async def redeem(self, secret: str, password: str, address: str) -> Member:
        """Sets the password; every sign-in and every other link of the member ends.

        Raises NotSignedIn like `find`, InvalidRequest when it may not be a password (the link stays good).
        """
        _, member = await self.find(secret, address)
        hashed = await self._roster.hash(password)
        if not await self._store.write(members.set_password_by_link, link=hash_secret(secret), password=hashed):
            raise _say_not_good()
        return member


def _say_not_good() -> NotSignedIn:
    return NotSignedIn("This link no longer works.", code="link_over", hint="Ask whoever sent it to you for a new one.")
