"""Application tokens of people: who may create, list and revoke them. (The command line makes the organization's.)

A person's token reaches only flows that its owner may run at that moment. The owner and admins list and revoke it.
Tokens of the local owner belong to the organization once the first account exists; admins list those.
"""

from datetime import UTC, datetime, timedelta
from typing import Literal, Unpack

from flowground.access import Access, AskedPage
from flowground.core.caller import Caller, Sees, Sets
from flowground.core.errors import InvalidRequest, NotAllowed
from flowground.core.words import read_name
from flowground.store.people import tokens
from flowground.store.people.tokens import StoredToken, TokenFilter

LONGEST_NAME = 60
Reach = Literal["flow", "all"]
"""`flow`: a token for one flow. `all`: a token for every flow that its owner may run."""
_LONGEST_LIFE = timedelta(days=3660)
_MOST = 100
"""Tokens in force that one owner may have."""


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
    """Creates a token; returns it with its secret, which is shown once. `address` is the flow whose page asks.

    Raises NotSignedIn, FlowNotFound; NotAllowed where the caller may not run the flow over the API, is the local owner
    without the owner code, or asks for more rights than they have; InvalidRequest for an invalid name or expiry, and
    for too many tokens.
    """
    caller = await _require_person(access, caller)
    wired = await access.open_flow(caller, address)
    if not await access.may_run_api(caller, wired):
        raise NotAllowed(f"{wired.name} is shared for its playground, not for its API.", hint="Ask its author.")
    if (sees == "inside" and not caller.sees_inside) or (sets == "unprotected" and not caller.sets_unprotected):
        raise NotAllowed("A token may see and set no more than its owner.", hint="Make one that sees answers.")
    clean_name = _check_name(name)
    if expires_in is not None and not timedelta(0) < expires_in <= _LONGEST_LIFE:
        raise InvalidRequest("A token expires in at most 10 years, or never.")
    if await access.store.read(tokens.count_in_force, owner=_find_owner(caller)) >= _MOST:
        raise InvalidRequest(f"There are {_MOST} tokens in use already.", hint="Revoke those that nothing uses.")
    return await access.store.write(
        tokens.create,
        name=clean_name,
        owner=_find_owner(caller),
        flows=(wired.id,) if reach == "flow" else None,
        expires_at=None if expires_in is None else datetime.now(UTC) + expires_in,
        by=str(caller.owner),
        sees=sees,
        sets=sets,
    )


async def find_page(
    access: Access, caller: Caller, *, flow_id: str | None = None, is_own: bool = False, **page: Unpack[AskedPage]
) -> tuple[list[StoredToken], int]:
    """A page of tokens that are not revoked (also expired ones), newest first, and how many match the words.

    Members get their own tokens; admins also everyone's and the organization's, unless `is_own`. With `flow_id`, only
    tokens whose scope includes this flow. Raises NotSignedIn and NotAllowed as `make`.
    """
    caller = await _require_person(access, caller)
    words = page.get("words", "")
    only = TokenFilter(_find_owner(caller), caller.role == "admin" and not is_own, words, flow_id)
    return await access.store.read(tokens.find_page, only=only, limit=page["limit"], offset=page.get("offset", 0))


async def find_setting(access: Access, caller: Caller, flow_id: str) -> StoredToken | None:
    """The caller's newest token in force that reaches the flow and was made to set more than its author opened."""
    caller = await _require_person(access, caller)
    only = TokenFilter(_find_owner(caller), flow_id=flow_id, sets="unprotected")
    found, _ = await access.store.read(tokens.find_page, only=only, limit=1)
    return found[0] if found else None


async def revoke(access: Access, caller: Caller, token_id: str) -> None:
    """Revokes a token of the caller's list at once. Raises InvalidRequest for unknown tokens and those of others."""
    caller = await _require_person(access, caller)
    is_theirs = caller.role == "admin" or await access.store.read(tokens.is_of, token_id=token_id, member=caller.id)
    if not is_theirs or not await access.store.write(tokens.revoke, token_id=token_id, by=str(caller.owner)):
        raise InvalidRequest("There is no such token in use.")


async def _require_person(access: Access, caller: Caller) -> Caller:
    """The caller with their present role. Raises NotAllowed unless they may own tokens."""
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
    clean_name = read_name(name, most=LONGEST_NAME)
    if clean_name is None:
        raise InvalidRequest(f"A token's name is one line of at most {LONGEST_NAME} characters.")
    return clean_name
