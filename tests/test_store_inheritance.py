"""The local owner's conversations are the first admin's, on both databases."""

from datetime import UTC, datetime

import pytest

from flowground.store import Store
from flowground.store.flows import presets
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.people import PASSWORD, Open
from tests.stored import list_messages, list_sessions

pytestmark = pytest.mark.anyio
PLACES = [("talk", "one"), ("talk", "two"), ("other", "one")]


async def said(store: Store, owner: str, flow_id: str, session_id: str) -> list[str]:
    found = await store.read(list_messages, flow_id=flow_id, owner=owner, session_id=session_id)
    return [message.text for message in found]


async def test_the_first_admin_finds_what_was_said_before(open_sign_in: Open, store: Store) -> None:
    opened = await open_sign_in()
    for owner in ("local:owner", "token:somebody"):
        for number, (flow, session) in enumerate(PLACES):
            for text in ("first", "second"):
                message = StoredMessage(f"{owner}-{number}-{text}", "user", text, "complete", datetime.now(UTC))
                await store.write(turns.begin_turn, flow_id=flow, owner=owner, session_id=session, message=message)
    await store.write(presets.save, owner="local:owner", flow_id="talk", name="mine", values={})
    await opened.create_first_account("grace", "Grace", PASSWORD)
    for flow, session in PLACES:
        assert await said(store, "member:grace", flow, session) == ["first", "second"]
        assert await said(store, "local:owner", flow, session) == []
        assert await said(store, "token:somebody", flow, session) == ["first", "second"]
    listed = await store.read(list_sessions, flow_id="talk", owner="member:grace")
    assert sorted((info.session_id, info.title, info.messages) for info in listed) == [
        ("one", "first", 2),
        ("two", "first", 2),
    ]
    assert [preset.name for preset in await store.read(presets.list_presets, owner="member:grace", flow_id="talk")] == [
        "mine"
    ]
