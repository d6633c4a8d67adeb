"""The local owner's conversations are the first admin's, on both databases."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowground.settings import Settings
from flowground.sign_in import SignIn
from flowground.store import Store
from flowground.store.flows import presets
from flowground.store.runs import conversations
from flowground.store.runs.conversations import StoredMessage
from tests.servers import write_folder
from tests.store_databases import DATABASES, empty_database

pytestmark = pytest.mark.anyio
PLACES = [("talk", "one"), ("talk", "two"), ("other", "one")]


@pytest.fixture(params=DATABASES)
async def sign_in(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[SignIn, Store]]:
    with empty_database(request.param, tmp_path) as url:
        store = Store.open(url)
        opened = SignIn(Settings.load(write_folder(tmp_path, config={}, flows={})), store)
        await opened.start()
        yield opened, store
        opened.close()
        store.close()


async def said(store: Store, owner: str, flow_id: str, session_id: str) -> list[str]:
    found = await store.read(conversations.list_messages, flow_id=flow_id, owner=owner, session_id=session_id)
    return [message.text for message in found]


async def test_the_first_admin_finds_what_was_said_before(sign_in: tuple[SignIn, Store]) -> None:
    opened, store = sign_in
    for owner in ("local:owner", "token:somebody"):
        for number, (flow, session) in enumerate(PLACES):
            for text in ("first", "second"):
                message = StoredMessage(f"{owner}-{number}-{text}", "user", text, "complete", datetime.now(UTC))
                await store.write(
                    conversations.begin_turn, flow_id=flow, owner=owner, session_id=session, message=message
                )
    await store.write(presets.save, owner="local:owner", flow_id="talk", name="mine", values={})
    await opened.create_first_account("grace", "Grace", "a long good phrase")
    for flow, session in PLACES:
        assert await said(store, "member:grace", flow, session) == ["first", "second"]
        assert await said(store, "local:owner", flow, session) == []
        assert await said(store, "token:somebody", flow, session) == ["first", "second"]
    listed = await store.read(conversations.list_sessions, flow_id="talk", owner="member:grace")
    assert sorted((info.session_id, info.title, info.messages) for info in listed) == [
        ("one", "first", 2),
        ("two", "first", 2),
    ]
    assert [preset.name for preset in await store.read(presets.list_presets, owner="member:grace", flow_id="talk")] == [
        "mine"
    ]
