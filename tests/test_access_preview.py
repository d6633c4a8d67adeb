"""Looking as somebody else: the same answers as theirs, for those who may publish the flow only."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowground.access.member_lists import find_who_may_open
from flowground.access.sharing import look_as
from flowground.errors import FlowNotFound, NotAllowed, NotSignedIn
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import members, sign_ins
from tests.organization import organization, sign_in

pytestmark = pytest.mark.anyio


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with organization(tmp_path, config={"sharing": {"allow_public": True}}) as runtime:
        await runtime.store.write(members.set_active, member="zoe", is_active=False, by="tests")
        yield runtime


WHO = ["visitor", "member", "member:bob", "member:anton", "member:zoe", "member:nobody"]


@pytest.mark.parametrize(
    ("sharing", "seen"),
    [
        (Sharing(False), ["sign in", "nothing", "nothing", "opens", "sign in", "sign in"]),
        (Sharing(True), ["sign in", "opens", "opens", "opens", "sign in", "sign in"]),
        (
            Sharing(True, "people", frozenset({"bob", "zoe"})),
            ["sign in", "nothing", "opens", "opens", "sign in", "sign in"],
        ),
        (Sharing(True, "public"), ["opens", "opens", "opens", "opens", "sign in", "sign in"]),
    ],
)
async def test_it_shows_what_they_meet(acme: Runtime, sharing: Sharing, seen: list[str]) -> None:
    await acme.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")
    for name in ("augusta", "olga"):
        caller = await sign_in(acme, name)
        assert [(await look_as(acme.access, caller, "talk", who)).seen for who in WHO] == seen


async def test_only_who_may_publish_the_flow_looks(acme: Runtime) -> None:
    await acme.store.write(publications.change, flow_id="talk", sharing=Sharing(True), by="tests")
    for name in ("bob", "anton"):
        with pytest.raises(NotAllowed):
            await look_as(acme.access, await sign_in(acme, name), "talk", "member:augusta")
    olga = await sign_in(acme, "olga")
    with pytest.raises(FlowNotFound):
        await look_as(acme.access, olga, "unknown", "member")
    await acme.store.write(sign_ins.revoke_all, member="olga", by="tests")
    with pytest.raises(NotSignedIn):
        await look_as(acme.access, olga, "talk", "member")


async def test_who_may_open_it_is_known_before_it_is_saved(acme: Runtime) -> None:
    named = Sharing(True, "people", frozenset({"bob"}))
    for sharing, names in (
        (named, ["anton", "augusta", "bob", "olga"]),
        (Sharing(False), ["anton", "augusta", "olga"]),
    ):
        found = await find_who_may_open(acme.access, sharing, limit=20)
        assert ([member.name for member in found.shown], found.count) == (names, len(names))
    few = await find_who_may_open(acme.access, Sharing(True), limit=2)
    assert ([member.name for member in few.shown], few.count) == (["anton", "augusta"], 4)
