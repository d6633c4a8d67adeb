"""A message that a flow stored keeps its name in files of the chat, in what is shared of it, and in one's own data."""

import json
import time
from pathlib import Path

import pytest

from flowground.caller import LOCAL_OWNER, RunRequest
from flowground.conversation.files import ChatFile, FileFormat
from flowground.store.runs import exports, shared_chats, whole_chats
from tests.running import running, take_turn

pytestmark = pytest.mark.anyio

FLOW = """\
name: Notes
components:
  In: {type: ChatInput}
  Note: {type: StoreMessage, message: "Noted: ${In}", sender_name: Clerk}
  Out: {type: ChatOutput, input_value: "You said ${In}."}
"""


async def test_a_stored_message_keeps_its_name_wherever_the_chat_goes(tmp_path: Path) -> None:
    owner = str(LOCAL_OWNER.owner)
    place = {"flow_id": "notes", "owner": owner, "session_id": "s"}
    async with running(tmp_path, {"notes": FLOW}) as runtime:
        wired = await runtime.access.open_flow(LOCAL_OWNER, "notes")
        _ = [event async for event in take_turn(runtime, LOCAL_OWNER, wired, RunRequest("Bread", session_id="s"))]
        head = await runtime.store.read(whole_chats.find_head, **place)
        assert head is not None
        file = ChatFile(head, "notes", owner, "Notes", sees_inside=False)

        async def write(how: FileFormat) -> str:
            return "".join([piece async for piece in file.write(runtime, how)])

        assert "\n## Notes\n\nYou said Bread.\n\n## Clerk\n\nNoted: Bread\n" in await write("markdown")
        told = json.loads(await write("json"))["messages"]
        assert [one.get("sender_name") for one in told] == [None, None, "Clerk"]

        link = await runtime.store.write(shared_chats.share, **place, expires_at=None)
        shared = await runtime.store.read(shared_chats.read_messages, key=link.id)
        assert [one.text for one in shared] == ["Bread", "You said Bread.", "Clerk: Noted: Bread"]

        keys = await runtime.store.read(exports.list_keys, owners=[owner], until=time.time() + 1)
        part = await runtime.store.read(exports.read_part, keys=keys, after=exports.ExportPlace())
        assert [one.get("sender_name") for one in part.chats[0].messages] == [None, None, "Clerk"]
