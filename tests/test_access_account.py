"""My password, my sign-ins, my data, links to my chats: mine alone. What people say of answers is their owners'.

Asking for a flow tells nothing; approving lets exactly that person in.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from flowground.access import account, feedback, shared_chats
from flowground.access import sharing as access_requests
from flowground.access.feedback import RatedPlace
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Owner, RunRequest
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.core.events import ComponentFinished
from flowground.store import publications
from flowground.store.people import access_requests as stored_requests
from flowground.store.people import groups, members, tokens
from flowground.store.publications import Sharing
from flowground.store.runs import feedback as ratings
from flowground.store.runs import shared_chats as stored_chats
from flowground.store.runs import turns
from flowground.store.runs.feedback import FeedbackFilter, SharedConversation
from flowground.store.runs.records import StoredMessage
from tests.people import HASHED, PASSWORD, make_cookie
from tests.running import FLOWS, organization, sign_in, start_turn
from tests.stored import collect_data, list_entries, list_messages

NEW = "another long phrase"


async def test_a_new_password_ends_every_cookie_from_before_this_ones_too(acme: Runtime) -> None:
    here, there = await sign_in(acme, "bob"), await make_cookie(acme.sign_in, "bob")
    pending = await acme.sign_in.issue_ticket("bob", "browser")
    await account.change_password(acme.access, here, PASSWORD, NEW, address="here")
    assert await acme.sign_in.verify_cookie(there) is None
    assert await acme.sign_in.redeem(pending, "browser") is None
    with pytest.raises(NotSignedIn):
        await account.find_sign_ins(acme.access, here, limit=9)
    assert await acme.sign_in.check_password("bob", PASSWORD, "here") is None
    [found], _ = await account.find_sign_ins(acme.access, await sign_in(acme, "bob"), limit=9)
    assert found.agent == "Firefox"


async def test_the_old_password_is_asked_for_and_guessing_it_locks(acme: Runtime) -> None:
    bob = await sign_in(acme, "bob")
    for new, said in (("short", "at least 8"), (PASSWORD, "is the same as the old one"), ("password123", "too common")):
        with pytest.raises(InvalidRequest, match=said):
            await account.change_password(acme.access, bob, PASSWORD, new, address="here")
    for _ in range(5):
        with pytest.raises(InvalidRequest, match="not your current password"):
            await account.change_password(acme.access, bob, "wrong password", NEW, address="here")
    with pytest.raises(NotSignedIn, match="Too many"):
        await account.change_password(acme.access, bob, PASSWORD, NEW, address="here")
    assert (await account.find_sign_ins(acme.access, bob, limit=9))[1]


async def test_i_end_my_own_sign_ins_and_nobody_elses(acme: Runtime) -> None:
    bob, olga = await sign_in(acme, "bob"), await sign_in(acme, "olga")
    other = await make_cookie(acme.sign_in, "bob")
    [newest, _], _ = await account.find_sign_ins(acme.access, bob, limit=9)
    assert not await account.sign_out(acme.access, bob, str(olga.sign_in_id))
    assert (await account.find_sign_ins(acme.access, olga, limit=9))[1]
    assert await account.sign_out(acme.access, bob, newest.id)
    assert await acme.sign_in.verify_cookie(other) is None
    assert (await account.find_sign_ins(acme.access, bob, limit=9))[1] == 1


async def say(acme: Runtime, owner: str, text: str, session: str = "s") -> None:
    step = ComponentFinished("Prompt", "Prompt", 0.1, "the secret prompt", None, None)
    message = StoredMessage(text, "user", text, "complete", datetime.now(UTC), trace=(step,))
    place: dict[str, Any] = {"flow_id": "talk", "owner": owner, "session_id": session}
    await acme.store.write(turns.begin_turn, **place, message=message)


async def test_my_data_is_all_of_mine_and_none_of_the_flows(acme: Runtime) -> None:
    options: dict[str, Any] = {"flows": None, "expires_at": None, "by": "tests"}
    token, secret = await acme.store.write(tokens.create, name="laptop", owner="bob", **options)
    for owner, text in (
        ("member:bob", "said on a page"),
        (str(Owner("programs", "bob")), "said by a program"),
        ("member:olga", "x"),
    ):
        await say(acme, owner, text)
    for name, people in (("Sales", {"bob", "olga"}), ("Others", {"olga"})):
        group = await acme.store.write(groups.add, name=name, by="tests")
        await acme.store.write(groups.change_members, group_id=group.id, added=people, by="tests")
    bob = await sign_in(acme, "bob")
    file = "".join([piece async for piece in await account.read_data(acme.access, bob)])
    assert file.startswith('{\n "name": "bob",\n')
    data = json.loads(file)
    assert (data["name"], data["display_name"], data["email"]) == ("bob", "Bob", "bob@example.com")
    assert (data["role"], data["groups"], data["access_requests"]) == ("member", ["Sales"], [])
    [browser] = data["sign_ins"]
    assert browser["browser"] == "Firefox"
    assert datetime.fromisoformat(browser["since"]) < datetime.now(UTC) < datetime.fromisoformat(browser["until"])
    said = [talk["messages"][0]["text"] for talk in data["conversations"]]
    assert said == ["said on a page", "said by a program"]
    assert data["tokens"][0]["begins"] == token.prefix
    assert "the secret prompt" not in file
    assert secret not in file
    assert str(bob.sign_in_id) not in file
    assert await account.delete_conversations(acme.access, bob) == 2
    assert (await collect_data(acme.access, bob))["conversations"] == []
    assert (await collect_data(acme.access, await sign_in(acme, "olga")))["conversations"] != []


async def test_who_is_no_member_has_no_account(acme: Runtime) -> None:
    for caller in (Caller("token", "1", "admin"), Caller("token", "1", "member", person="bob")):
        with pytest.raises(NotAllowed):
            await account.read_data(acme.access, caller)
    with pytest.raises(NotSignedIn):
        await account.delete_conversations(acme.access, Caller("member", "bob", "member", sign_in_id="made up"))


async def test_a_link_is_renewed_by_its_maker_while_they_may_open_the_flow(acme: Runtime) -> None:
    bob, owner = await sign_in(acme, "bob"), "member:bob"
    await acme.store.write(publications.change, flow_id="talk", sharing=Sharing(True), by="tests")

    async def count() -> int:
        return (await acme.store.read(stored_chats.read_page, key=link.id))[1]

    await say(acme, owner, "one")
    link = await shared_chats.share_chat(acme.access, bob, flow_id="talk", session_id="s", expires_at=None)
    await say(acme, owner, "two")
    assert not await shared_chats.renew_link(acme.access, await sign_in(acme, "zoe"), link.id)
    assert not await shared_chats.renew_link(acme.access, bob, "unknown")
    assert await count() == 1
    assert await shared_chats.renew_link(acme.access, bob, link.id)
    assert await count() == 2
    await say(acme, owner, "three")
    await acme.store.write(publications.change, flow_id="talk", sharing=Sharing(False), by="tests")
    with pytest.raises(FlowNotFound):
        await shared_chats.renew_link(acme.access, bob, link.id)
    assert await count() == 2


async def test_ones_links_are_found_by_title_and_flow(acme: Runtime) -> None:
    olga = await sign_in(acme, "olga")
    for session, text in enumerate(("Tea at noon", "Coffee")):
        await say(acme, str(olga.owner), text, str(session))
        await shared_chats.share_chat(acme.access, olga, flow_id="talk", session_id=str(session), expires_at=None)
    for words, titles in (("", ["Coffee", "Tea at noon"]), ("TEA talk", ["Tea at noon"]), ("tea x", [])):
        page, count = await shared_chats.list_own(acme.access, olga, words=words, limit=9)
        assert ([one.title for one in page], count) == (titles, len(titles))


EVERYTHING = FeedbackFilter()


async def ask(runtime: Runtime, caller: Caller) -> RatedPlace:
    """A turn of the flow that olga owns; where its answer stands."""
    turn = await start_turn(runtime, caller, "talk", RunRequest("Hello", session_id="s"))
    await turn.task
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(caller.owner), "session_id": "s"}
    (*_, answer) = await runtime.store.read(list_messages, **place)
    return RatedPlace("talk", "s", answer.id)


async def read_shared(runtime: Runtime, caller: Caller, place: RatedPlace) -> SharedConversation | None:
    read = ratings.read_conversation
    return await feedback.read_own(runtime.access, caller, "talk", read, message_id=place.message_id)


@pytest.mark.parametrize("who", ["olga", "augusta"])
async def test_owners_and_admins_read_feedback_and_other_authors_do_not(acme: Runtime, who: str) -> None:
    author, reader = await sign_in(acme, "anton"), await sign_in(acme, who)
    place, flow = await ask(acme, author), acme.catalogue.list_flows()["talk"]
    await feedback.rate(acme.access, author, place, "bad")
    page = await feedback.read_own(acme.access, reader, "talk", ratings.list_page, only=EVERYTHING)
    assert [(item.rating.value, item.shared) for item in page.items] == [("bad", None)]
    assert [await feedback.count_bad(acme.access, caller, flow) for caller in (reader, author)] == [1, 0]
    assert await read_shared(acme, reader, place) is None
    await feedback.explain(acme.access, author, place, labels=["wrong"], reason=" No. ", shares_conversation=True)
    shared = await read_shared(acme, reader, place)
    assert (shared and shared.messages[0].text) == "Hello"
    for read in (
        feedback.read_own(acme.access, author, "talk", ratings.list_page, only=EVERYTHING),
        feedback.read_own(acme.access, author, "talk", ratings.count_values, only=EVERYTHING),
        read_shared(acme, author, place),
    ):
        with pytest.raises(NotAllowed, match="Only the owners of Talk can read its feedback"):
            await read
    await feedback.rate(acme.access, author, place, None)
    assert await read_shared(acme, reader, place) is None
    assert (await feedback.read_own(acme.access, reader, "talk", ratings.list_page, only=EVERYTHING)).items == ()


async def test_a_reason_is_bounded_and_its_labels_are_known(acme: Runtime) -> None:
    olga = await sign_in(acme, "olga")
    place = await ask(acme, olga)
    await feedback.rate(acme.access, olga, place, "bad")
    with pytest.raises(InvalidRequest, match="2,001 characters"):
        await feedback.explain(acme.access, olga, place, labels=[], reason="x" * 2_001, shares_conversation=True)
    labels: Any = ["ugly"]
    with pytest.raises(InvalidRequest, match="no such reason"):
        await feedback.explain(acme.access, olga, place, labels=labels, reason="", shares_conversation=True)
    found = await feedback.find_rating(acme.access, olga, place)
    assert (found and (found.reason, found.labels, found.shares_conversation)) == ("", (), False)


@pytest.fixture
async def bob(acme: Runtime) -> Caller:
    return await sign_in(acme, "bob")


async def share(acme: Runtime, sharing: Sharing) -> None:
    await acme.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")


async def waiting(acme: Runtime, name: str) -> list[tuple[str, str, str]]:
    found, _ = await access_requests.find_waiting(acme.access, await sign_in(acme, name))
    return [(request.flow_id, request.member, request.note) for request in found]


async def opens(acme: Runtime, name: str) -> bool:
    return "talk" in [flow.id for flow in await acme.access.list_flows(await sign_in(acme, name))]


async def ask_as_bob(acme: Runtime) -> str:
    """The id of the one request that waits then."""
    await access_requests.ask(acme.access, await sign_in(acme, "bob"), "talk")
    [request], _ = await access_requests.find_waiting(acme.access, await sign_in(acme, "olga"))
    return request.id


async def is_nothing_to(acme: Runtime, name: str, request: str) -> None:
    for decide in (access_requests.approve, access_requests.deny):
        with pytest.raises(InvalidRequest, match="no longer exists"):
            await decide(acme.access, await sign_in(acme, name), request)


async def test_unknown_and_forbidden_flows_are_answered_alike_and_only_real_ones_kept(acme: Runtime) -> None:
    bob = await sign_in(acme, "bob")
    for address in ("talk", "unknown", "../talk", ""):
        await access_requests.ask(acme.access, bob, address, " please ")  # returns nothing, raises nothing
    await access_requests.ask(acme.access, bob, "talk", "again")
    assert await waiting(acme, "olga") == [("talk", "bob", "please")]
    assert await waiting(acme, "augusta") == [("talk", "bob", "please")]
    assert await waiting(acme, "anton") == []
    assert await waiting(acme, "bob") == []


async def test_what_one_asked_is_told_alike_for_real_and_unknown_flows(tmp_path: Path) -> None:
    flows = FLOWS | {"third": FLOWS["talk"] + "api: {endpoint_name: by-name}\n"}
    async with organization(tmp_path, flows) as acme:
        bob, augusta = await sign_in(acme, "bob"), await sign_in(acme, "augusta")
        for address in ("third", "unknown"):
            await access_requests.ask(acme.access, bob, address, "please")
        for address, is_asked in {"third": True, "unknown": True, "by-name": False, "Third": False, "": False}.items():
            assert (await access_requests.find_last(acme.access, bob, address) is not None) == is_asked, address
        data = "".join([piece async for piece in await account.read_data(acme.access, bob)])
        mine = [(item["flow"], item["state"]) for item in json.loads(data)["access_requests"]]
        assert sorted(mine) == [("third", "open"), ("unknown", "open")]
        with pytest.raises(InvalidRequest, match="so long"):
            await access_requests.ask(acme.access, bob, "x" * 201)
        zoe = await sign_in(acme, "zoe")  # who asks by the endpoint's name is let in
        await access_requests.ask(acme.access, zoe, "by-name")
        assert (await access_requests.find_waiting(acme.access, augusta, flow_id="third", limit=0))[1] == 2
        found, _ = await access_requests.find_waiting(acme.access, augusta, flow_id="third")
        (request,) = (one for one in found if one.member == "zoe")
        await access_requests.approve(acme.access, augusta, request.id)
        assert [wired.id for wired in await acme.access.list_flows(zoe)] == ["third"]


async def test_asking_is_bounded_alike_for_all_addresses(acme: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, asked, refused, says in (
        ("bob", [f"unknown {number}" for number in range(5)], ("unknown", "talk"), "asked for access to several flows"),
        ("zoe", ["talk", "unknown", "talk"], ("other", "elsewhere"), "as many flows as one may"),
    ):
        caller = await sign_in(acme, name)
        for address in asked:
            await access_requests.ask(acme.access, caller, address)
        for address in refused:
            with pytest.raises(InvalidRequest, match=says):
                await access_requests.ask(acme.access, caller, address)
        assert await acme.sign_in.attempts.find_wait(name, "access") == 0
        monkeypatch.setattr(stored_requests, "MOST_OPEN", 2)


OFF = Sharing(is_shared=False, audience="organization", shares_api=True)
FORMER = Sharing(is_shared=False, audience="people", members=frozenset({"zoe"}))
PEOPLE = Sharing(is_shared=True, audience="people", members=frozenset({"zoe"}), shares_api=True)
EVERYBODY = Sharing(is_shared=True, audience="organization", shares_api=True)
BOB = Sharing(is_shared=True, audience="people", members=frozenset({"bob"}))
BOTH = replace(PEOPLE, members=frozenset({"zoe", "bob"}))


@pytest.mark.parametrize(
    ("before", "after"), [(None, BOB), (OFF, BOB), (FORMER, BOB), (PEOPLE, BOTH), (EVERYBODY, EVERYBODY)]
)
async def test_approving_lets_this_person_in_and_nobody_else(acme: Runtime, before: Any, after: Sharing) -> None:
    request = await ask_as_bob(acme)
    if before is not None:
        await share(acme, before)
    await access_requests.approve(acme.access, await sign_in(acme, "olga"), request)
    assert await acme.store.read(publications.read_sharing, flow_id="talk") == after
    assert await opens(acme, "bob")
    assert await waiting(acme, "olga") == []
    actions = [(entry.actor, entry.action, entry.subject) for entry in await acme.store.read(list_entries)]
    assert ("member:olga", "access.approved", "talk member:bob") in actions
    assert ("member:bob", "access.requested", "talk") in actions


async def test_who_was_denied_is_told_and_may_ask_again(acme: Runtime) -> None:
    bob, zoe = await sign_in(acme, "bob"), await sign_in(acme, "zoe")
    for asker, address in ((bob, "talk"), (bob, "unknown")):
        await access_requests.ask(acme.access, asker, address)
        last = await access_requests.find_last(acme.access, asker, address)
        assert last is not None
        assert not last.is_denied
    [waits], _ = await access_requests.find_waiting(acme.access, await sign_in(acme, "olga"))
    request = waits.id
    await access_requests.deny(acme.access, await sign_in(acme, "olga"), request)
    told = [(asker, address) for asker in (bob, zoe) for address in ("talk", "unknown", "other")]
    lasts = [await access_requests.find_last(acme.access, *one) for one in told]
    assert [last and last.is_denied for last in lasts] == [True, False, None, None, None, None]
    assert not await opens(acme, "bob")
    await is_nothing_to(acme, "olga", request)
    assert await waiting(acme, "olga") == []
    await access_requests.ask(acme.access, bob, "talk", "once more")
    assert await waiting(acme, "olga") == [("talk", "bob", "once more")]
    last = await access_requests.find_last(acme.access, bob, "talk")
    assert last is not None
    assert not last.is_denied


async def test_nobody_but_owners_and_admins_decides(acme: Runtime) -> None:
    request = await ask_as_bob(acme)
    for name in ("anton", "bob", "zoe"):
        await is_nothing_to(acme, name, request)
    assert await waiting(acme, "olga") != []


async def test_somebody_who_left_is_not_let_in(acme: Runtime) -> None:
    request = await ask_as_bob(acme)
    await acme.store.write(members.set_active, member="bob", is_active=False, by="tests")
    with pytest.raises(InvalidRequest, match="no longer active"):
        await access_requests.approve(acme.access, await sign_in(acme, "augusta"), request)
    await acme.store.write(members.remove, member="bob", by="tests")
    assert await waiting(acme, "olga") == []


async def test_requests_are_found_by_who_asks_for_what_and_why(tmp_path: Path) -> None:
    config = {"credentials": {"usernames": {"carl": {"first_name": "Carla", "password": HASHED}}}}
    async with organization(tmp_path, config=config) as acme:
        for asker, flow, note in (("bob", "talk", "For the report"), ("zoe", "other", "soon"), ("carl", "other", "")):
            await access_requests.ask(acme.access, await sign_in(acme, asker), flow, note)
        ada = await sign_in(acme, "augusta")
        for words, askers in (
            ("", ["bob", "zoe", "carl"]),
            ("REPORT", ["bob"]),
            ("other", ["zoe", "carl"]),
            ("other soon", ["zoe"]),
            ("Carlà", ["carl"]),
            ("bob other", []),
        ):
            found, count = await access_requests.find_waiting(acme.access, ada, words, limit=2)
            assert ([one.member for one in found], count) == (askers[:2], len(askers)), words
        assert (await access_requests.find_waiting(acme.access, ada, limit=0))[1] == 3
        assert (await access_requests.find_waiting(acme.access, ada, flow_id="talk", limit=0))[1] == 1
        assert (await access_requests.find_waiting(acme.access, await sign_in(acme, "anton"), limit=0))[1] == 0
