"""What a flow's owner says about who may open it, and that it acts at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowground.access.member_lists import find_who_may_open
from flowground.access.sharing import publish, read_sharing, share
from flowground.caller import LOCAL_OWNER, Caller
from flowground.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import groups
from tests.running import chat_flow, running
from tests.stored import list_entries

pytestmark = pytest.mark.anyio
FLOWS = {"talk": chat_flow("scripted", "Talk"), "owned": "owners: [ada]\n" + chat_flow("scripted", "Owned")}
MIA = Caller(kind="member", id="mia", role="member")
MIAS = Caller(kind="token", id="1", role="member", person="mia")
PUBLIC = {"sharing": {"allow_public": True}}


async def owner_shares(runtime: Runtime, **given: Any) -> None:
    await share(runtime.access, LOCAL_OWNER, "talk", Sharing(is_shared=True, **given))


async def opens(runtime: Runtime, caller: Caller) -> bool:
    seen = [flow.id for flow in await runtime.access.list_flows(caller)] == ["talk"]
    try:
        await runtime.access.open_flow(caller, "talk")
    except FlowNotFound:
        assert not seen
        return False
    assert seen
    return True


async def test_named_people_only(tmp_path: Path) -> None:
    config: dict[str, Any] = {"credentials": {"usernames": {"ada": {"roles": ["author"]}, "mia": {}, "max": {}}}}
    async with running(tmp_path, FLOWS, config=config) as runtime:
        for names, reached in (({"mia"}, True), ({"max"}, False), (set(), False)):
            sharing = Sharing(is_shared=True, audience="people", members=frozenset(names), shares_api=True)
            await runtime.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")
            assert await opens(runtime, MIA) is reached
            assert await opens(runtime, MIAS) is reached
            who = await find_who_may_open(runtime.access, sharing, limit=20)
            assert ([member.name for member in who.shown], who.count) == (sorted({"ada", *names}), 1 + len(names))


async def test_groups_follow_their_members(tmp_path: Path) -> None:
    config: dict[str, Any] = {"credentials": {"usernames": {"mia": {}, "max": {}}}}
    async with running(tmp_path, FLOWS, config=config) as runtime:
        write = runtime.store.write
        group = await write(groups.add, name="Sales", by="tests")
        sharing = Sharing(is_shared=True, audience="people", groups=frozenset({group.id}))
        await write(publications.change, flow_id="talk", sharing=sharing, by="tests")
        assert not await opens(runtime, MIA)
        await write(groups.change_members, group_id=group.id, added=["mia", "max"], by="tests")
        assert await opens(runtime, MIA)
        who = await find_who_may_open(runtime.access, sharing, limit=20)
        assert [member.name for member in who.shown] == ["max", "mia"]
        await write(groups.change_members, group_id=group.id, removed=["mia"], by="tests")
        assert not await opens(runtime, MIA)
        await write(groups.change_members, group_id=group.id, added=["mia"], by="tests")
        await write(groups.remove, group_id=group.id, by="tests")
        again = await write(groups.add, name="Sales", by="tests")
        await write(groups.change_members, group_id=again.id, added=["mia"], by="tests")
        assert not await opens(runtime, MIA)


async def test_the_api_is_shared_apart(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        flow = runtime.catalogue.list_flows()["talk"]
        await owner_shares(runtime)
        assert (await opens(runtime, MIA), await opens(runtime, MIAS)) == (True, False)
        assert not await runtime.access.may_run_api(MIA, flow)
        await owner_shares(runtime, shares_api=True)
        assert (await opens(runtime, MIA), await opens(runtime, MIAS)) == (True, True)
        assert await runtime.access.may_run_api(MIA, flow)
        assert await runtime.access.may_run_api(LOCAL_OWNER, flow)


async def test_an_expiry_acts_by_itself_and_turning_on_again_forgets_it(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        soon = datetime.now(UTC) + timedelta(days=1)
        await owner_shares(runtime, expires_at=soon)
        assert await opens(runtime, MIA)
        assert (await read_sharing(runtime.access, LOCAL_OWNER, "talk")).expires_at == soon
        past = datetime.now(UTC) - timedelta(seconds=1)
        with pytest.raises(InvalidRequest, match="in the past"):
            await owner_shares(runtime, expires_at=past)
        sharing = Sharing(is_shared=True, expires_at=past)
        await runtime.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")
        assert not await opens(runtime, MIA)
        assert not await runtime.access.is_shared("talk")
        await publish(runtime.access, LOCAL_OWNER, "talk", is_shared=True)
        assert await opens(runtime, MIA)


async def test_without_sign_in_only_where_config_yaml_allows_it(tmp_path: Path) -> None:
    async with running(tmp_path / "off", FLOWS) as runtime:
        with pytest.raises(NotAllowed, match="not allowed here"):
            await owner_shares(runtime, audience="public")
        sharing = Sharing(is_shared=True, audience="public")  # from a time when it was allowed
        await runtime.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")
        assert await runtime.access.admit_visitor("a browser", "talk") is None
        assert await opens(runtime, MIA)
    async with running(tmp_path / "on", FLOWS, config=PUBLIC) as runtime:
        await owner_shares(runtime)
        assert await runtime.access.admit_visitor("a browser", "talk") is None
        await owner_shares(runtime, audience="public")
        one, two = [await runtime.access.admit_visitor(browser, "talk") for browser in ("one", "two")]
        assert one is not None
        assert two is not None
        assert str(one.owner) != str(two.owner)
        assert "one" not in str(one.owner)
        assert await opens(runtime, await runtime.access.recheck(one))
        assert await runtime.access.admit_visitor("one", "owned") is None
        assert await runtime.access.admit_visitor("one", "unknown") is None
        assert await runtime.access.admit_visitor("", "talk") is None
        with pytest.raises(NotAllowed, match="needs an account"):
            runtime.access.require_lasting(one)
        with pytest.raises(NotAllowed):
            await share(runtime.access, one, "talk", Sharing(is_shared=True))
        assert not await runtime.access.may_run_api(one, runtime.catalogue.list_flows()["talk"])
        await owner_shares(runtime)
        assert not await opens(runtime, one)
        with pytest.raises(NotSignedIn):
            await runtime.access.recheck(Caller("member", "mia", "member"))


async def test_only_people_and_groups_that_are_there(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"credentials": {"usernames": {"maria": {}}}}) as runtime:
        admin = Caller(kind="token", id="1", role="admin")
        with pytest.raises(InvalidRequest, match="no member mariah"):
            await share(runtime.access, admin, "talk", Sharing(True, "people", frozenset({"zoe", "mariah"})))
        with pytest.raises(InvalidRequest, match="One of these groups"):
            await share(runtime.access, admin, "talk", Sharing(True, groups=frozenset({"x"})))
        gone = Sharing(True, "people", frozenset({"left the company"}))
        await runtime.store.write(publications.change, flow_id="talk", sharing=gone, by="tests")
        await share(runtime.access, admin, "talk", Sharing(True, "people", gone.members | {"maria"}))


async def test_the_trail_says_who_opened_it_to_whom(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        mia = frozenset({"mia"})
        for sharing in (Sharing(True, "people", mia, shares_api=True), Sharing(True, "organization"), Sharing(False)):
            await runtime.store.write(publications.change, flow_id="talk", sharing=sharing, by="member:ada")
        entries = [entry for entry in await runtime.store.read(list_entries) if entry.actor == "member:ada"]
        assert [(entry.action, entry.subject) for entry in reversed(entries)] == [
            ("flow.shared", "talk"),
            ("flow.audience_people", "talk"),
            ("flow.api_shared", "talk"),
            ("flow.opened_to", "talk member:mia"),
            ("flow.audience_organization", "talk"),
            ("flow.api_unshared", "talk"),
            ("flow.closed_to", "talk member:mia"),
            ("flow.unshared", "talk"),
        ]


async def test_a_proof_ends_with_the_cookie_it_came_from(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        cookie = await runtime.sign_in.redeem(await runtime.sign_in.issue_ticket(None, "browser"), "browser")
        owner = await runtime.sign_in.verify_cookie(str(cookie))
        assert owner is not None
        assert (await runtime.access.recheck(owner)).is_proven
        await runtime.sign_in.revoke(str(owner.sign_in_id))
        rechecked = await runtime.access.recheck(owner)
        assert (rechecked.kind, rechecked.is_proven) == ("local", False)
        with pytest.raises(NotAllowed, match="owner code"):
            await publish(runtime.access, owner, "talk", is_shared=True)
