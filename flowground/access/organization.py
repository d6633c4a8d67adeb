"""What admins do with people and groups. Every deed asks anew whether the caller still is one, and is in the trail."""

from collections.abc import Collection
from dataclasses import dataclass

from flowground.access import Access
from flowground.caller import Caller, Role
from flowground.errors import InvalidRequest, NotAllowed
from flowground.sign_in import Member
from flowground.sign_in.passwords import clean_name
from flowground.store.people import groups, sign_ins
from flowground.store.people.groups import Group
from flowground.store.people.password_links import PasswordLink
from flowground.store.people.sign_ins import BrowserSignIn


@dataclass(frozen=True, slots=True)
class Organization:
    """Every method raises NotSignedIn once the caller is signed out, and NotAllowed when they may not."""

    access: Access

    async def members(self, caller: Caller) -> list[Member]:
        """Everyone, by name; authors may look too, to choose with whom they share."""
        await self._require_inside(caller)
        return await self.access.sign_in.members()

    async def groups(self, caller: Caller) -> list[Group]:
        """By name, with members; authors may look too."""
        await self._require_inside(caller)
        return await self.access.store.read(groups.list_groups)

    async def invite(
        self, caller: Caller, name: str, *, display_name: str = "", role: Role = "member", email: str | None = None
    ) -> tuple[PasswordLink, str]:
        """Makes a member without a password, and the secret of the one-time link that sets it; shown once.

        For a member who never set one, a new link: the earlier is over. Raises InvalidRequest for a name that is taken.
        """
        by = (await self._require_admin(caller)).key
        sign_in = self.access.sign_in
        known = await sign_in.member(name)
        if known is None:
            await sign_in.add_member(name, display_name=display_name, role=role, email=email, by=by)
        elif known.has_password or known.source == "config":
            raise InvalidRequest(f"There is already a member {known.name}.")
        elif known.role != role:
            await sign_in.set_role(name, role, by=by)
        return await sign_in.links.create("invitation", name, by=by)

    async def reset(self, caller: Caller, name: str) -> tuple[PasswordLink, str]:
        """The secret of a one-time link that sets a new password. What was before goes on until it is used.

        Raises InvalidRequest when there is no such active member.
        """
        admin = await self._require_admin(caller)
        return await self.access.sign_in.links.create("reset", name, by=admin.key)

    async def links(self, caller: Caller) -> list[PasswordLink]:
        """Invitations and resets that are still good, newest first."""
        await self._require_admin(caller)
        return await self.access.sign_in.links.good()

    async def revoke_link(self, caller: Caller, link_id: str) -> bool:
        """False when it was not good any more."""
        admin = await self._require_admin(caller)
        return await self.access.sign_in.links.revoke(link_id, by=admin.key)

    async def set_role(self, caller: Caller, name: str, role: Role) -> None:
        """Acts at the member's next action. Raises InvalidRequest; NotAllowed for the last admin and for members of
        config.yaml, whose role stands there."""
        admin = await self._require_admin(caller)
        await self.access.sign_in.set_role(name, role, by=admin.key)

    async def set_active(self, caller: Caller, name: str, *, active: bool) -> None:
        """Deactivated: signed out everywhere, tokens stopped, links over; all of it is theirs again when activated,
        but they sign in anew. Raises like `set_role`."""
        admin = await self._require_admin(caller)
        await self.access.sign_in.set_active(name, active=active, by=admin.key)

    async def remove(self, caller: Caller, name: str) -> None:
        """With sign-ins, tokens, conversations and every right. Raises like `set_role`."""
        admin = await self._require_admin(caller)
        if not await self.access.sign_in.remove_member(name, by=admin.key, keep_admin=True):
            raise InvalidRequest(f"There is no member {clean_name(name)}.")

    async def sign_ins(self, caller: Caller, name: str) -> list[BrowserSignIn]:
        """Where a member is signed in, newest first."""
        await self._require_admin(caller)
        return await self.access.store.read(sign_ins.list_of, member=clean_name(name))

    async def sign_out_everywhere(self, caller: Caller, name: str) -> int:
        """How many sign-ins that ended."""
        admin = await self._require_admin(caller)
        return await self.access.sign_in.sign_out_everywhere(name, by=admin.key)

    async def add_group(self, caller: Caller, name: str) -> Group:
        """Raises InvalidRequest when the name is empty, too long or taken."""
        admin = await self._require_admin(caller)
        return await self.access.store.write(groups.add, name=name, by=admin.key)

    async def rename_group(self, caller: Caller, group_id: str, name: str) -> None:
        """Raises InvalidRequest like `add_group`."""
        admin = await self._require_admin(caller)
        _require(await self.access.store.write(groups.rename, group_id=group_id, name=name, by=admin.key))

    async def remove_group(self, caller: Caller, group_id: str) -> None:
        """Its people lose what only the group let them open, at their next action."""
        admin = await self._require_admin(caller)
        _require(await self.access.store.write(groups.remove, group_id=group_id, by=admin.key))

    async def set_group_members(self, caller: Caller, group_id: str, names: Collection[str]) -> None:
        """Who is in the group from now on. Raises InvalidRequest for people who are not there."""
        admin = await self._require_admin(caller)
        known = {member.name for member in await self.access.sign_in.members()}
        before = {
            name for group in await self.access.store.read(groups.list_groups) if group.id == group_id
            for name in group.members
        }  # fmt: skip
        if unknown := sorted(set(names) - known - before):
            raise InvalidRequest(f"There is no member {unknown[0]}.")
        done = await self.access.store.write(groups.set_members, group_id=group_id, members=set(names), by=admin.key)
        _require(done)

    async def _require_admin(self, caller: Caller) -> Caller:
        caller = await self.access.recheck(caller)
        if caller.kind != "member" or caller.role != "admin":
            raise NotAllowed("Only admins may do this.")
        return caller

    async def _require_inside(self, caller: Caller) -> None:
        caller = await self.access.recheck(caller)
        if caller.kind not in ("member", "local") or not caller.sees_inside:
            raise NotAllowed("Only admins and authors may do this.")


def _require(done: bool) -> None:
    if not done:
        raise InvalidRequest("This group is not there any more.")
