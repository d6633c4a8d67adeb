"""Links to chats, as those who made them change them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flowground.access import shared_chats
from flowground.errors import FlowNotFound
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.runs import shared_chats as stored_chats
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.organization import sign_in

pytestmark = pytest.mark.anyio


async def test_a_link_is_renewed_by_its_maker_while_they_may_open_the_flow(acme: Runtime) -> None:
    bob, write = await sign_in(acme, "bob"), acme.store.write
    await write(publications.change, flow_id="talk", sharing=Sharing(True), by="tests")
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(bob.owner), "session_id": "s"}

    async def say(text: str) -> None:
        message = StoredMessage(text, "user", text, "complete", datetime.now(UTC))
        await write(turns.begin_turn, **place, message=message)

    async def count() -> int:
        return len(await acme.store.read(stored_chats.read_messages, key=link.id))

    await say("one")
    link = await shared_chats.share_chat(acme.access, bob, flow_id="talk", session_id="s", expires_at=None)
    await say("two")
    assert not await shared_chats.renew_link(acme.access, await sign_in(acme, "zoe"), link.id)
    assert not await shared_chats.renew_link(acme.access, bob, "unknown")
    assert await count() == 1
    assert await shared_chats.renew_link(acme.access, bob, link.id)
    assert await count() == 2
    await say("three")
    await write(publications.change, flow_id="talk", sharing=Sharing(False), by="tests")
    with pytest.raises(FlowNotFound):
        await shared_chats.renew_link(acme.access, bob, link.id)
    assert await count() == 2


async def test_ones_links_are_found_by_title_and_flow(acme: Runtime) -> None:
    olga = await sign_in(acme, "olga")
    for number, text in enumerate(("Tea at noon", "Coffee")):
        place: dict[str, Any] = {"flow_id": "talk", "owner": str(olga.owner), "session_id": str(number)}
        message = StoredMessage(text, "user", text, "complete", datetime.now(UTC))
        await acme.store.write(turns.begin_turn, **place, message=message)
        await shared_chats.share_chat(acme.access, olga, flow_id="talk", session_id=str(number), expires_at=None)
    for words, titles in (("", ["Coffee", "Tea at noon"]), ("TEA talk", ["Tea at noon"]), ("tea x", [])):
        page = await shared_chats.list_own(acme.access, olga, words)
        assert ([one.title for one in page.shown], page.count) == (titles, len(titles))
