"""May this caller do this? Every kind of caller at every kind of flow; unknown and forbidden look the same. What a
flow's owner says about who may open it acts at once, and looking as somebody else shows what they meet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flowground.access.people import find_who_may_open
from flowground.access.sharing import preview_as, publish, read_sharing, share
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.store import Store, publications
from flowground.store.people import groups, members, sign_ins
from flowground.store.publications import Sharing
from tests.running import chat_flow, look_at_once, organization, running, sign_in
from tests.stored import list_entries

FLOWS = {name: chat_flow("scripted", name.title()) for name in ("shared", "chat-only", "private")}
FLOWS["owned"] = "owners: [ada]\n" + chat_flow("scripted", "Owned")
ADMIN = Caller(kind="member", id="root", role="admin")
MIA = Caller(kind="member", id="mia", role="member")
TOKEN = Caller(kind="token", id="1", role="admin")
MIAS = Caller(kind="token", id="3", role="member", flows=frozenset({"private", "shared"}), person="mia")
UNPROVEN = Caller(kind="local", id="owner", role="admin", is_proven=False)
PUBLIC = {"sharing": {"allow_public": True}}


async def put(runtime: Runtime, sharing: Sharing, flow_id: str = "shared", by: str = "tests") -> None:
    """Past every check of who may."""
    await runtime.store.write(publications.change, flow_id=flow_id, sharing=sharing, by=by)


async def opens(runtime: Runtime, caller: Caller) -> bool:
    seen = [flow.id for flow in await runtime.access.list_flows(caller)] == ["shared"]
    try:
        await runtime.access.open_flow(caller, "shared")
    except FlowNotFound:
        assert not seen
        return False
    assert seen
    return True


async def test_an_unknown_flow_is_asked_about_as_a_forbidden_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the time that an answer takes would say which flows there are."""
    asked: list[str] = []
    read = Store.read

    async def note(store: Store, job: Callable[..., object], **given: object) -> object:
        if job is publications.find:  # what the process looks after by itself is read beside it
            asked.append(f"{sorted(given)}")
        return await read(store, job, **given)

    async with running(tmp_path, FLOWS, config=PUBLIC) as runtime:
        monkeypatch.setattr(Store, "read", note)
        for caller in (MIA, replace(MIAS, flows=None), LOCAL_OWNER):
            questions = []
            for name in ("private", "unknown"):
                asked.clear()
                with suppress(FlowNotFound):
                    await runtime.access.open_flow(caller, name)
                await runtime.access.admit_visitor("browser", name)
                questions.append([*asked])
            assert questions[0] == questions[1] != []
        monkeypatch.undo()


async def test_publishing_asks_the_local_owner_for_the_owner_code(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        with pytest.raises(NotAllowed, match="owner code"):
            await publish(runtime.access, UNPROVEN, "private", is_shared=True)
        assert not await runtime.access.is_shared("private")
        await publish(runtime.access, LOCAL_OWNER, "private", is_shared=True)
        assert await runtime.access.is_shared("private")
        cookie = await runtime.sign_in.redeem(await runtime.sign_in.issue_ticket(None, "browser"), "browser")
        owner = await runtime.sign_in.verify_cookie(str(cookie))
        assert owner is not None
        assert (await runtime.access.recheck(owner)).is_proven
        await runtime.sign_in.revoke(str(owner.sign_in_id))  # a proof ends with the cookie it came from
        rechecked = await runtime.access.recheck(owner)
        assert (rechecked.kind, rechecked.is_proven) == ("local", False)
        with pytest.raises(NotAllowed, match="owner code"):
            await publish(runtime.access, owner, "shared", is_shared=True)


@pytest.mark.parametrize(
    ("mode", "refused"),
    [("open", {}), ("link", {UNPROVEN: "the link"}), ("off", dict.fromkeys((LOCAL_OWNER, UNPROVEN), "first account"))],
)
async def test_before_any_account_settings_say_who_may(tmp_path: Path, mode: str, refused: dict[Caller, str]) -> None:
    async with running(tmp_path, FLOWS, config={"local_mode": mode}) as runtime:
        access = runtime.access
        for caller in (LOCAL_OWNER, UNPROVEN):
            if caller not in refused:
                assert replace(await access.recheck(caller), unlocks="none") == caller
            else:
                with pytest.raises(NotSignedIn, match=refused[caller]):
                    await access.recheck(caller)
            assert await access.is_proven_local_owner(caller) is caller.is_proven
        assert not await access.is_proven_local_owner(ADMIN)
        await runtime.store.write(members.add, name="root", display_name="Root", role="admin", password="x", by="tests")
        for caller in (LOCAL_OWNER, UNPROVEN):
            assert not await access.is_proven_local_owner(caller)
            with pytest.raises(NotSignedIn, match="has accounts now"):
                await access.recheck(caller)


async def test_a_new_file_is_there_at_the_first_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, FLOWS, config=PUBLIC) as runtime:
        access = runtime.access
        look_at_once(monkeypatch)
        await runtime.library.close()  # its looks end: who comes while one is under way takes what was there before
        await asyncio.to_thread(str)  # a thread that waits already is no quicker than who does not wait for its look
        for name in ("first", "second", "third"):
            await put(runtime, Sharing(True, "public"), name)
            (tmp_path / "flows" / f"{name}.yaml").write_text(chat_flow("scripted", "New"), "utf-8")
            if name == "first":
                assert (await access.open_flow(LOCAL_OWNER, name)).id == name
            elif name == "second":
                assert name in {flow.id for flow in await access.list_flows(LOCAL_OWNER)}
            else:
                assert await access.admit_visitor("browser", name) is not None


async def test_groups_follow_their_members(tmp_path: Path) -> None:
    config: dict[str, Any] = {"credentials": {"usernames": {"mia": {}, "max": {}}}}
    async with running(tmp_path, FLOWS, config=config) as runtime:
        write = runtime.store.write
        group = await write(groups.add, name="Sales", by="tests")
        sharing = Sharing(True, "people", groups=frozenset({group.id}))
        await put(runtime, sharing)
        assert not await opens(runtime, MIA)
        await write(groups.change_members, group_id=group.id, added=["mia", "max"], by="tests")
        assert await opens(runtime, MIA)
        who, _ = await find_who_may_open(runtime.access, sharing, limit=20)
        assert [member.name for member in who] == ["max", "mia"]
        await write(groups.change_members, group_id=group.id, removed=["mia"], by="tests")
        assert not await opens(runtime, MIA)
        await write(groups.change_members, group_id=group.id, added=["mia"], by="tests")
        await write(groups.remove, group_id=group.id, by="tests")
        again = await write(groups.add, name="Sales", by="tests")
        await write(groups.change_members, group_id=again.id, added=["mia"], by="tests")
        assert not await opens(runtime, MIA)


async def test_an_expiry_acts_by_itself_and_turning_on_again_forgets_it(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        soon = datetime.now(UTC) + timedelta(days=1)
        await share(runtime.access, LOCAL_OWNER, "shared", Sharing(True, expires_at=soon))
        assert await opens(runtime, MIA)
        assert (await read_sharing(runtime.access, LOCAL_OWNER, "shared")).expires_at == soon
        past = Sharing(True, expires_at=datetime.now(UTC) - timedelta(seconds=1))
        with pytest.raises(InvalidRequest, match="in the past"):
            await share(runtime.access, LOCAL_OWNER, "shared", past)
        await put(runtime, past)
        assert not await opens(runtime, MIA)
        assert not await runtime.access.is_shared("shared")
        await publish(runtime.access, LOCAL_OWNER, "shared", is_shared=True)
        assert await opens(runtime, MIA)


async def test_without_sign_in_only_where_config_yaml_allows_it(tmp_path: Path) -> None:
    public = Sharing(True, "public")
    visitor = Caller(kind="visitor", id="x", role="member", is_proven=False)
    async with running(tmp_path / "off", FLOWS) as runtime:
        access = runtime.access
        with pytest.raises(NotAllowed, match="not allowed here"):
            await share(access, LOCAL_OWNER, "shared", public)
        await put(runtime, public)  # from a time when it was allowed
        assert await access.admit_visitor("a browser", "shared") is None
        assert await opens(runtime, MIA)
        with pytest.raises(NotSignedIn, match="Sign in first"):
            await access.recheck(visitor)
        assert await access.recheck(MIAS) == MIAS
    async with running(tmp_path / "on", FLOWS, config=PUBLIC) as runtime:
        access = runtime.access
        assert await access.recheck(visitor) == visitor
        await share(access, LOCAL_OWNER, "shared", Sharing(True))
        assert await access.admit_visitor("a browser", "shared") is None
        await share(access, LOCAL_OWNER, "shared", public)
        one, two = [await access.admit_visitor(browser, "shared") for browser in ("one", "two")]
        assert one is not None
        assert two is not None
        assert str(one.owner) != str(two.owner)
        assert "one" not in str(one.owner)
        assert await opens(runtime, await access.recheck(one))
        for browser, flow in (("one", "owned"), ("one", "unknown"), ("", "shared")):
            assert await access.admit_visitor(browser, flow) is None
        with pytest.raises(NotAllowed, match="needs an account"):
            access.require_lasting(one)
        with pytest.raises(NotAllowed):
            await share(access, one, "shared", Sharing(True))
        await share(access, LOCAL_OWNER, "shared", Sharing(True))
        assert not await opens(runtime, one)
        with pytest.raises(NotSignedIn):
            await access.recheck(MIA)


async def test_only_people_and_groups_that_are_there(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"credentials": {"usernames": {"maria": {}}}}) as runtime:
        with pytest.raises(InvalidRequest, match="no member mariah"):
            await share(runtime.access, TOKEN, "shared", Sharing(True, "people", frozenset({"zoe", "mariah"})))
        with pytest.raises(InvalidRequest, match="One of these groups"):
            await share(runtime.access, TOKEN, "shared", Sharing(True, groups=frozenset({"x"})))
        gone = Sharing(True, "people", frozenset({"left the company"}))
        await put(runtime, gone)
        await share(runtime.access, TOKEN, "shared", Sharing(True, "people", gone.members | {"maria"}))


async def test_the_trail_says_who_opened_it_to_whom(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        mia = frozenset({"mia"})
        for sharing in (Sharing(True, "people", mia, shares_api=True), Sharing(True, "organization"), Sharing(False)):
            await put(runtime, sharing, by="member:ada")
        entries = [entry for entry in await runtime.store.read(list_entries) if entry.actor == "member:ada"]
        assert [f"{entry.action} {entry.subject}" for entry in reversed(entries)] == [
            "flow.shared shared", "flow.audience_people shared", "flow.api_shared shared",
            "flow.opened_to shared member:mia", "flow.audience_organization shared", "flow.api_unshared shared",
            "flow.closed_to shared member:mia", "flow.unshared shared",
        ]  # fmt: skip


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Runtime]:
    async with organization(tmp_path, config=PUBLIC) as runtime:
        await runtime.store.write(members.set_active, member="zoe", is_active=False, by="tests")
        yield runtime


BOBS = Sharing(True, "people", frozenset({"bob", "zoe"}))


async def test_looking_as_somebody_shows_what_they_meet(acme: Runtime) -> None:
    who = ["visitor", "member"]
    for sharing, seen in (
        (Sharing(False), ["sign in", "nothing"]),
        (Sharing(True), ["sign in", "opens"]),
        (BOBS, ["sign in", "nothing"]),
        (Sharing(True, "public"), ["opens", "opens"]),
    ):
        await put(acme, sharing, "talk")
        for name in ("augusta", "olga"):
            caller = await sign_in(acme, name)
            found = [await preview_as(acme.access, caller, "talk", one) for one in who]
            assert found == seen


async def test_only_who_may_publish_the_flow_looks_as_somebody(acme: Runtime) -> None:
    await put(acme, Sharing(True), "talk")
    for name in ("bob", "anton"):
        with pytest.raises(NotAllowed):
            await preview_as(acme.access, await sign_in(acme, name), "talk", "member")
    olga = await sign_in(acme, "olga")
    with pytest.raises(FlowNotFound):
        await preview_as(acme.access, olga, "unknown", "member")
    await acme.store.write(sign_ins.revoke_all, member="olga", by="tests")
    with pytest.raises(NotSignedIn):
        await preview_as(acme.access, olga, "talk", "member")


async def test_who_may_open_it_is_known_before_it_is_saved(acme: Runtime) -> None:
    authors = ["anton", "augusta", "olga"]
    for sharing, names in ((BOBS, sorted([*authors, "bob"])), (Sharing(False), authors)):
        found, count = await find_who_may_open(acme.access, sharing, limit=20)
        assert ([member.name for member in found], count) == (names, len(names))
    few, count = await find_who_may_open(acme.access, Sharing(True), limit=2)
    assert ([member.name for member in few], count) == (["anton", "augusta"], 4)
