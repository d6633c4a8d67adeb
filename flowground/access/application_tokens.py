"""Application tokens of people: who may make, see and revoke which. (The command line makes the organization's.)

A person's token reaches what they themselves may run at that moment, and no more; its owner and admins see and revoke
it. The local owner ends with the first account: tokens made before belong to the organization, whose admins see them.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal

from flowground.access import Access
from flowground.core.caller import Caller, Sees, Sets
from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.core.words import read_name
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken, TokenFilter

LONGEST_NAME = 60
_LONGEST_LIFE = timedelta(days=3660)
_MOST = 100
"""Tokens in force of one owner: more are forgotten ones."""

Reach = Literal["flow", "all"]
"""`flow`: only the flow it is made for. `all`: every flow that its owner may run."""


async def make(
    access: Access,
    caller: Caller,
    address: str,
    *,
    name: str,
    reach: Reach = "flow",
    expires_in: timedelta | None = None,
    sees: Sees = "answers",
    sets: Sets = "opened",
) -> tuple[StoredToken, str]:
    """The new token and its secret, which is shown once; `address` is the flow's whose pane asks.

    Raises NotSignedIn, FlowNotFound, NotAllowed where the caller may not run the flow over the API, has not proven to
    be the local owner, or asks for a token that may more than they; and InvalidRequest for a name, an expiry or a
    number of tokens that cannot be.
    """
    caller = await _require_person(access, caller)
    wired = await access.open_flow(caller, address)
    if not await access.may_run_api(caller, wired):
        raise NotAllowed(f"{wired.name} is shared for its playground, not for its API.", hint="Ask its author.")
    if (sees == "inside" and not caller.sees_inside) or (sets == "unprotected" and not caller.sets_unprotected):
        raise NotAllowed("A token may see and set no more than its owner.", hint="Make one that sees answers.")
    said = _check_name(name)
    if expires_in is not None and not timedelta(0) < expires_in <= _LONGEST_LIFE:
        raise InvalidRequest("A token expires in at most 10 years, or never.")
    if await access.store.read(tokens.count_in_force, owner=_find_owner(caller)) >= _MOST:
        raise InvalidRequest(f"There are {_MOST} tokens in use already.", hint="Revoke those that nothing uses.")
    return await access.store.write(
        tokens.create,
        name=said,
        owner=_find_owner(caller),
        flows=(wired.id,) if reach == "flow" else None,
        expires_at=None if expires_in is None else datetime.now(UTC) + expires_in,
        by=str(caller.owner),
        sees=sees,
        sets=sets,
    )


async def find_page(
    access: Access,
    caller: Caller,
    words: str = "",
    *,
    flow_id: str | None = None,
    is_own: bool = False,
    limit: int,
    offset: int = 0,
) -> tuple[list[StoredToken], int]:
    """Tokens that are not revoked (expired ones are there), newest first, and how many have these words: the caller's
    own; an admin's everyone's and the organization's too, unless `is_own`.

    `flow_id` keeps those whose scope has this flow. Raises as `make` does of the caller.
    """
    caller = await _require_person(access, caller)
    only = TokenFilter(_find_owner(caller), caller.role == "admin" and not is_own, words, flow_id)
    return await access.store.read(tokens.find_page, only=only, limit=limit, offset=offset)


async def find_setting(access: Access, caller: Caller, flow_id: str) -> StoredToken | None:
    """The caller's newest token in force that reaches the flow and was made to set more than its author opened."""
    caller = await _require_person(access, caller)
    only = TokenFilter(_find_owner(caller), flow_id=flow_id, sets="unprotected")
    found, _ = await access.store.read(tokens.find_page, only=only, limit=1)
    return found[0] if found else None


async def revoke(access: Access, caller: Caller, token_id: str) -> None:
    """Ends a token of the caller's list, at once. Raises InvalidRequest alike for unknown ones and those of others."""
    caller = await _require_person(access, caller)
    is_theirs = caller.role == "admin" or await access.store.read(tokens.is_of, token_id=token_id, member=caller.id)
    if not is_theirs or not await access.store.write(tokens.revoke, token_id=token_id, by=str(caller.owner)):
        raise InvalidRequest("There is no such token in use.")


async def _require_person(access: Access, caller: Caller) -> Caller:
    """The caller as they are now, when they are somebody who may keep a token."""
    caller = await access.recheck(caller)
    access.require_lasting(caller)
    if caller.kind not in ("member", "local"):
        raise NotAllowed("Only people can make, see and revoke tokens.")
    return caller


def _find_owner(caller: Caller) -> str | None:
    return caller.id if caller.kind == "member" else None


def _check_name(name: str) -> str:
    if not name.strip():
        raise InvalidRequest("Give the token a name: what will use it?")
    said = read_name(name, most=LONGEST_NAME)
    if said is None:
        raise InvalidRequest(f"A token's name is one line of at most {LONGEST_NAME} characters.")
    return said
