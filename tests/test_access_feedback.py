"""Who reads what people say of a flow's answers: its owners, and nobody else."""

from dataclasses import replace
from typing import Any

import pytest

from flowground.access import feedback, ratings
from flowground.access.ratings import RatedPlace
from flowground.caller import Caller, RunRequest
from flowground.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.runtime import Runtime
from flowground.store.runs.feedback import FeedbackFilter
from tests.organization import sign_in
from tests.running import start_turn
from tests.stored import list_messages

pytestmark = pytest.mark.anyio
EVERYTHING = FeedbackFilter()


async def ask(runtime: Runtime, caller: Caller) -> RatedPlace:
    """A turn of the flow that olga owns; where its answer stands."""
    turn = await start_turn(runtime, caller, "talk", RunRequest("Hello", session_id="s"))
    await turn.task
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(caller.owner), "session_id": "s"}
    (*_, answer) = await runtime.store.read(list_messages, **place)
    return RatedPlace("talk", "s", answer.id)


@pytest.mark.parametrize("who", ["olga", "augusta"])
async def test_owners_and_admins_read_it(acme: Runtime, who: str) -> None:
    author = await sign_in(acme, "anton")
    place = await ask(acme, author)
    await ratings.rate(acme.access, author, place, "bad")
    reader = await sign_in(acme, who)
    page = await feedback.list_page(acme.access, reader, "talk", EVERYTHING)
    assert [(item.rating.value, item.shared) for item in page.items] == [("bad", None)]
    assert await feedback.count_bad(acme.access, reader, acme.catalogue.list_flows()["talk"]) == 1
    assert await feedback.read_conversation(acme.access, reader, "talk", place.message_id) is None
    await ratings.explain(acme.access, author, place, labels=["wrong"], reason=" No. ", shares_conversation=True)
    shared = await feedback.read_conversation(acme.access, reader, "talk", place.message_id)
    assert shared is not None
    assert shared.messages[0].text == "Hello"
    await ratings.rate(acme.access, author, place, None)
    assert await feedback.read_conversation(acme.access, reader, "talk", place.message_id) is None
    assert (await feedback.list_page(acme.access, reader, "talk", EVERYTHING)).items == ()


async def test_an_author_who_does_not_own_the_flow_reads_nothing(acme: Runtime) -> None:
    author = await sign_in(acme, "anton")
    place = await ask(acme, author)
    await ratings.rate(acme.access, author, place, "bad")
    wired = acme.catalogue.list_flows()["talk"]
    assert await feedback.count_bad(acme.access, author, wired) == 0
    refused = "Only the owners of Talk can read its feedback"
    for read in (feedback.list_page, feedback.count_ratings):
        with pytest.raises(NotAllowed, match=refused):
            await read(acme.access, author, "talk", EVERYTHING)
    with pytest.raises(NotAllowed, match=refused):
        await feedback.read_conversation(acme.access, author, "talk", place.message_id)


async def test_members_tokens_and_who_signed_out_read_nothing(acme: Runtime) -> None:
    wired = acme.catalogue.list_flows()["talk"]
    with pytest.raises(FlowNotFound):
        await feedback.list_page(acme.access, await sign_in(acme, "bob"), "talk", EVERYTHING)
    assert not feedback.may_read(acme.access, Caller("token", "t", "admin", person="augusta"), wired)
    assert not feedback.may_read(acme.access, Caller("visitor", "v", "member", is_proven=False), wired)
    olga = await sign_in(acme, "olga")
    with pytest.raises(NotSignedIn):
        await feedback.list_page(acme.access, replace(olga, sign_in_id="made up"), "talk", EVERYTHING)


async def test_a_reason_is_bounded_and_its_labels_are_known(acme: Runtime) -> None:
    olga = await sign_in(acme, "olga")
    place = await ask(acme, olga)
    await ratings.rate(acme.access, olga, place, "bad")
    with pytest.raises(InvalidRequest, match="2,001 characters"):
        await ratings.explain(acme.access, olga, place, labels=[], reason="x" * 2_001, shares_conversation=True)
    labels: Any = ["ugly"]
    with pytest.raises(InvalidRequest, match="no such reason"):
        await ratings.explain(acme.access, olga, place, labels=labels, reason="", shares_conversation=True)
    found = await ratings.find_rating(acme.access, olga, place)
    assert found is not None
    assert (found.reason, found.labels, found.shares_conversation) == ("", (), False)
