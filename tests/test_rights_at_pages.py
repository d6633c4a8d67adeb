"""A message that waits for its turn is not answered once whoever sent it may no longer open the flow."""

import asyncio
from pathlib import Path

import pytest

from flowground.caller import Caller, RunRequest
from flowground.errors import FlowNotFound, NotSignedIn
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Audience, Sharing
from flowground.store.people import members
from tests.people import PASSWORD, make_cookie
from tests.running import chat_flow, running, start_turn
from tests.stored import list_runs

pytestmark = pytest.mark.anyio
FLOWS = {"echo": chat_flow("scripted:echo")}
CONFIG = {"limits": {"runs_at_once": 1}, "sharing": {"allow_public": True}}


async def share(runtime: Runtime, *, on: bool = True, audience: Audience = "public") -> None:
    sharing = Sharing(is_shared=on, audience=audience)
    await runtime.store.write(publications.change, flow_id="echo", sharing=sharing, by="tests")


async def sign_in(runtime: Runtime) -> Caller:
    await runtime.sign_in.create_first_account("ada", "Ada", PASSWORD)
    await runtime.sign_in.roster.add("mia", role="member", by="tests")
    caller = await runtime.sign_in.verify_cookie(await make_cookie(runtime.sign_in, "mia"))
    assert caller is not None
    return caller


@pytest.mark.parametrize("who", ["visitor", "member", "removed", "signed out"])
async def test_a_message_in_line_is_not_answered_once_its_sender_lost_the_flow(tmp_path: Path, who: str) -> None:
    async with running(tmp_path, FLOWS, config=CONFIG) as runtime:
        await share(runtime)
        caller: Caller | None = await sign_in(runtime)
        if who == "visitor":
            caller = await runtime.access.admit_visitor("browser", "echo")
        assert caller is not None
        await runtime.admission.take()  # the only place
        waiting = await start_turn(runtime, caller, "echo", RunRequest(input_value="hi", session_id="s"))
        await asyncio.sleep(0.6)
        assert waiting.is_waiting
        if who == "removed":
            await runtime.store.write(members.remove, member="mia", by="tests")
        elif who == "signed out":
            await runtime.sign_in.revoke(str(caller.sign_in_id))
        else:
            await share(runtime, on=False)
        await asyncio.sleep(0.6)
        runtime.admission.give_back()
        await asyncio.wait([waiting.task])
        assert type(waiting.error) is (FlowNotFound if who in ("visitor", "member") else NotSignedIn)
        assert await runtime.store.read(list_runs, flow_id="echo") == []
        await runtime.admission.take()  # it is free again
