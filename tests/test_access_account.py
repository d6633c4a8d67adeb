"""My password, my sign-ins, my data, links to my chats: mine alone. What people say of answers is their owners'."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.access import account, feedback, shared_chats
from flowground.access.feedback import RatedPlace
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Owner, RunRequest
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.core.events import ComponentFinished
from flowground.store import publications
from flowground.store.people import groups, tokens
from flowground.store.publications import Sharing
from flowground.store.runs import shared_chats as stored_chats
from flowground.store.runs import turns
from flowground.store.runs.feedback import FeedbackFilter
from flowground.store.runs.records import StoredMessage
from tests.people import PASSWORD, make_cookie
from tests.running import sign_in, start_turn
from tests.stored import collect_data, list_messages

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
        (f"token:{token.id}", "said by a program"),
        (str(Owner("programs", "bob")), "tried in the app"),
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
    assert said == ["said on a page", "said by a program", "tried in the app"]
    assert data["tokens"][0]["begins"] == token.prefix
    assert "the secret prompt" not in file
    assert secret not in file
    assert str(bob.sign_in_id) not in file
    assert await account.delete_conversations(acme.access, bob) == 3
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
        page, count = await shared_chats.list_own(acme.access, olga, words)
        assert ([one.title for one in page], count) == (titles, len(titles))


EVERYTHING = FeedbackFilter()


async def ask(runtime: Runtime, caller: Caller) -> RatedPlace:
    """A turn of the flow that olga owns; where its answer stands."""
    turn = await start_turn(runtime, caller, "talk", RunRequest("Hello", session_id="s"))
    await turn.task
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(caller.owner), "session_id": "s"}
    (*_, answer) = await runtime.store.read(list_messages, **place)
    return RatedPlace("talk", "s", answer.id)


@pytest.mark.parametrize("who", ["olga", "augusta"])
async def test_owners_and_admins_read_feedback_and_other_authors_do_not(acme: Runtime, who: str) -> None:
    author, reader = await sign_in(acme, "anton"), await sign_in(acme, who)
    place, flow = await ask(acme, author), acme.catalogue.list_flows()["talk"]
    await feedback.rate(acme.access, author, place, "bad")
    page = await feedback.list_page(acme.access, reader, "talk", EVERYTHING)
    assert [(item.rating.value, item.shared) for item in page.items] == [("bad", None)]
    assert [await feedback.count_bad(acme.access, caller, flow) for caller in (reader, author)] == [1, 0]
    assert await feedback.read_conversation(acme.access, reader, "talk", place.message_id) is None
    await feedback.explain(acme.access, author, place, labels=["wrong"], reason=" No. ", shares_conversation=True)
    shared = await feedback.read_conversation(acme.access, reader, "talk", place.message_id)
    assert (shared and shared.messages[0].text) == "Hello"
    for read in (
        feedback.list_page(acme.access, author, "talk", EVERYTHING),
        feedback.count_ratings(acme.access, author, "talk", EVERYTHING),
        feedback.read_conversation(acme.access, author, "talk", place.message_id),
    ):
        with pytest.raises(NotAllowed, match="Only the owners of Talk can read its feedback"):
            await read
    await feedback.rate(acme.access, author, place, None)
    assert await feedback.read_conversation(acme.access, reader, "talk", place.message_id) is None
    assert (await feedback.list_page(acme.access, reader, "talk", EVERYTHING)).items == ()


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
