"""May this caller do this? Every kind of caller at every kind of flow; unknown and forbidden look the same."""

from pathlib import Path

import pytest

from flowground.access.sharing import publish
from flowground.caller import LOCAL_OWNER, Caller
from flowground.errors import FlowNotFound, NotAllowed
from flowground.store.flows import publications
from tests.running import chat_flow, running

pytestmark = pytest.mark.anyio

FLOWS = {
    "shared": chat_flow("scripted", "Shared"),
    "private": chat_flow("scripted", "Private"),
    "owned": "owners: [ada]\n" + chat_flow("scripted", "Owned"),
}
ADMIN = Caller(kind="member", name="root", role="admin")
ADA = Caller(kind="member", name="ada", role="author")
BEN = Caller(kind="member", name="ben", role="author")
MIA = Caller(kind="member", name="mia", role="member")
TOKEN = Caller(kind="token", name="1", role="admin")
SCOPED = Caller(kind="token", name="2", role="admin", flows=frozenset({"private"}))
MIAS = Caller(kind="token", name="3", role="member", flows=frozenset({"private", "shared"}), owner="mia")


@pytest.mark.parametrize(
    ("caller", "visible"),
    [
        (LOCAL_OWNER, {"shared", "private", "owned"}),
        (ADMIN, {"shared", "private", "owned"}),
        (ADA, {"shared", "private", "owned"}),
        (MIA, {"shared"}),
        (TOKEN, {"shared", "private", "owned"}),
        (SCOPED, {"private"}),
        (MIAS, {"shared"}),
    ],
)
async def test_what_a_caller_sees_is_what_a_caller_may_open(tmp_path: Path, caller: Caller, visible: set[str]) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        shared = publications.Sharing(shared=True, api=True)
        await runtime.store.write(publications.change, flow_id="shared", sharing=shared, by="tests")
        assert {flow.id for flow in await runtime.access.list_flows(caller)} == visible
        for name in (*FLOWS, "unknown"):
            if name in visible:
                assert (await runtime.access.open_flow(caller, name)).id == name
            else:
                with pytest.raises(FlowNotFound) as refusal:
                    await runtime.access.open_flow(caller, name)
                assert refusal.value.message == f"Flow identifier {name} not found"


@pytest.mark.parametrize(
    ("caller", "publishes"),
    [
        (LOCAL_OWNER, {"shared", "private", "owned"}),
        (ADMIN, {"shared", "private", "owned"}),
        (ADA, {"shared", "private", "owned"}),
        (BEN, {"shared", "private"}),
        (MIA, set()),
        (TOKEN, {"shared", "private", "owned"}),
    ],
)
async def test_who_may_publish(tmp_path: Path, caller: Caller, publishes: set[str]) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        flows = runtime.catalogue.flows().values()
        assert {flow.id for flow in flows if runtime.access.may_publish(caller, flow)} == publishes


async def test_publishing_asks_the_local_owner_for_the_owner_code(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        unproven = Caller(kind="local", name="owner", role="admin", proven=False)
        with pytest.raises(NotAllowed, match="owner code"):
            await publish(runtime.access, unproven, "private", shared=True)
        assert not await runtime.access.is_shared("private")
        await publish(runtime.access, LOCAL_OWNER, "private", shared=True)
        assert await runtime.access.is_shared("private")
