"""Whether a flow may be shared as its owner wishes."""

from flowground.errors import InvalidRequest, NotAllowed, nearest
from flowground.sign_in import SignIn
from flowground.store import Store
from flowground.store.flows.publications import Sharing
from flowground.store.people import groups


async def check_sharing(
    sharing: Sharing, before: Sharing, *, store: Store, sign_in: SignIn, allow_public: bool
) -> None:
    """Raises NotAllowed for "public" where it is not allowed, InvalidRequest for added ones who are not there."""
    if sharing.audience == "public" and not allow_public:
        raise NotAllowed("Sharing without sign-in is not allowed here.", hint="config.yaml: sharing.allow_public")
    if sharing.shared and sharing.expired:
        raise InvalidRequest("The expiry date has passed already.")
    if added := sharing.members - before.members:
        known = {member.name for member in await sign_in.members()}
        for name in sorted(added - known):
            word = nearest(name, known)
            raise InvalidRequest(f"There is no member {name}.", hint=f"Did you mean {word}?" if word else None)
    if sharing.groups - before.groups - {group.id for group in await store.read(groups.list_groups)}:
        raise InvalidRequest("One of these groups is not there any more.")
