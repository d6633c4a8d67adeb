"""May this caller do this? Every kind of caller at every kind of flow; unknown and forbidden look the same."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from flowground.access import Access
from flowground.access.sharing import publish
from flowground.caller import LOCAL_OWNER, Caller, RunRequest
from flowground.errors import FlowNotFound, NotAllowed, NotSignedIn
from flowground.runtime import Runtime
from flowground.store import Store
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import members
from flowground.store.runs import transcripts
from tests.running import chat_flow, look_at_once, running, take_turn

pytestmark = pytest.mark.anyio

FLOWS = {
    "shared": chat_flow("scripted", "Shared"),
    "private": chat_flow("scripted", "Private"),
    "owned": "owners: [ada]\n" + chat_flow("scripted", "Owned"),
}
ADMIN = Caller(kind="member", id="root", role="admin")
ADA = Caller(kind="member", id="ada", role="author")
BEN = Caller(kind="member", id="ben", role="author")
MIA = Caller(kind="member", id="mia", role="member")
TOKEN = Caller(kind="token", id="1", role="admin")
SCOPED = Caller(kind="token", id="2", role="admin", flows=frozenset({"private"}))
MIAS = Caller(kind="token", id="3", role="member", flows=frozenset({"private", "shared"}), person="mia")


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
        shared = publications.Sharing(is_shared=True, shares_api=True)
        await runtime.store.write(publications.change, flow_id="shared", sharing=shared, by="tests")
        assert {flow.id for flow in await runtime.access.list_flows(caller)} == visible
        for name in (*FLOWS, "unknown"):
            if name in visible:
                assert (await runtime.access.open_flow(caller, name)).id == name
            else:
                with pytest.raises(FlowNotFound) as refusal:
                    await runtime.access.open_flow(caller, name)
                assert refusal.value.message == f"Flow identifier {name} not found"


@pytest.mark.parametrize("caller", [MIA, replace(MIAS, flows=None), LOCAL_OWNER])
async def test_an_unknown_flow_is_asked_about_as_a_forbidden_one_is(
    tmp_path: Path, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the time that an answer takes would say which flows there are."""
    asked: list[str] = []
    read = Store.read

    async def note(store: Store, job: Callable[..., object], **given: object) -> object:
        if job is publications.find:  # what the process looks after by itself is read beside it
            asked.append(f"{sorted(given)}")
        return await read(store, job, **given)

    async with running(tmp_path, FLOWS, config={"sharing": {"allow_public": True}}) as runtime:
        monkeypatch.setattr(Store, "read", note)
        questions = []
        for name in ("private", "unknown"):
            asked.clear()
            with suppress(FlowNotFound):
                await runtime.access.open_flow(caller, name)
            await runtime.access.admit_visitor("browser", name)
            questions.append([*asked])
        monkeypatch.undo()
    assert questions[0] == questions[1]
    assert len(questions[0]) > 0


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
        flows = runtime.catalogue.list_flows().values()
        assert {flow.id for flow in flows if runtime.access.may_publish(caller, flow)} == publishes


async def test_publishing_asks_the_local_owner_for_the_owner_code(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        unproven = Caller(kind="local", id="owner", role="admin", is_proven=False)
        with pytest.raises(NotAllowed, match="owner code"):
            await publish(runtime.access, unproven, "private", is_shared=True)
        assert not await runtime.access.is_shared("private")
        await publish(runtime.access, LOCAL_OWNER, "private", is_shared=True)
        assert await runtime.access.is_shared("private")


UNPROVEN = Caller(kind="local", id="owner", role="admin", is_proven=False)


@pytest.mark.parametrize(
    ("mode", "is_proven", "refused"),
    [
        ("open", True, None),
        ("open", False, None),
        ("link", True, None),
        ("link", False, "Open the link"),
        ("off", True, "Create the first account"),
        ("off", False, "Create the first account"),
    ],
)
async def test_before_the_first_account_the_settings_say_who_may_go_on(
    tmp_path: Path, mode: str, is_proven: bool, refused: str | None
) -> None:
    async with running(tmp_path, FLOWS, config={"local_mode": mode}) as runtime:
        caller = LOCAL_OWNER if is_proven else UNPROVEN
        if refused is None:
            assert await runtime.access.recheck(caller) == caller
        else:
            with pytest.raises(NotSignedIn, match=refused):
                await runtime.access.recheck(caller)
        assert await runtime.access.is_proven_local_owner(caller) is is_proven
        assert not await runtime.access.is_proven_local_owner(ADMIN)
        await runtime.store.write(members.add, name="root", display_name="Root", role="admin", password="x", by="tests")
        assert not await runtime.access.is_proven_local_owner(caller)
        with pytest.raises(NotSignedIn, match="has accounts now"):
            await runtime.access.recheck(caller)


async def test_tokens_and_visitors_are_rechecked_by_what_holds_for_them(tmp_path: Path) -> None:
    visitor = Caller(kind="visitor", id="x", role="member", is_proven=False)
    async with running(tmp_path / "off", FLOWS) as runtime:
        assert await runtime.access.recheck(MIAS) == MIAS
        with pytest.raises(NotSignedIn, match="Sign in first"):
            await runtime.access.recheck(visitor)
    async with running(tmp_path / "on", FLOWS, config={"sharing": {"allow_public": True}}) as runtime:
        assert await runtime.access.recheck(visitor) == visitor


async def open_it(access: Access) -> bool:
    return (await access.open_flow(LOCAL_OWNER, "new")).id == "new"


async def list_it(access: Access) -> bool:
    return "new" in {flow.id for flow in await access.list_flows(LOCAL_OWNER)}


async def admit_to_it(access: Access) -> bool:
    return await access.admit_visitor("browser", "new") is not None


@pytest.mark.parametrize("ask", [open_it, list_it, admit_to_it])
async def test_a_new_file_is_there_at_the_first_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Access], Awaitable[bool]]
) -> None:
    async with running(tmp_path, FLOWS, config={"sharing": {"allow_public": True}}) as runtime:
        sharing = Sharing(is_shared=True, audience="public")
        await runtime.store.write(publications.change, flow_id="new", sharing=sharing, by="tests")
        look_at_once(monkeypatch)
        await runtime.library.close()  # its looks end: who comes while one is under way takes what was there before
        await asyncio.to_thread(str)  # a thread that waits already is no quicker than who does not wait for its look
        (tmp_path / "flows" / "new.yaml").write_text(chat_flow("scripted", "New"), "utf-8")
        assert await ask(runtime.access)


async def test_a_visitor_is_known_by_a_digest_of_their_browsers_secret_and_has_proven_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"sharing": {"allow_public": True}}) as runtime:
        sharing = Sharing(is_shared=True, audience="public")
        await runtime.store.write(publications.change, flow_id="shared", sharing=sharing, by="tests")
        visitor = await runtime.access.admit_visitor("browser", "shared")
        assert visitor == Caller("visitor", "8b4553cde110f1362e59a7646dbec236", "member", is_proven=False)


async def say(runtime: Runtime, caller: Caller, session: str) -> None:
    wired = await runtime.access.open_flow(caller, "shared")
    request = RunRequest(input_value="hi", session_id=session)
    async for _ in take_turn(runtime, caller, wired, request):
        pass


async def test_what_a_visitor_said_goes_with_their_browsers_new_name(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"sharing": {"allow_public": True}}) as runtime:
        sharing = Sharing(is_shared=True, audience="public")
        await runtime.store.write(publications.change, flow_id="shared", sharing=sharing, by="tests")
        old, new = [await runtime.access.admit_visitor(browser, "shared") for browser in ("old", "new")]
        assert old is not None
        assert new is not None
        assert not await runtime.access.carry_over("old", "new")
        await say(runtime, old, "s")
        assert await runtime.access.carry_over("old", "new")
        assert not await runtime.access.carry_over("old", "new")
        sessions = runtime.store.read(transcripts.list_session_ids, owners=[str(new.owner)])
        assert await sessions == ["s"]


async def test_whose_token_reaches_a_flow_over_the_api(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS, config={"sharing": {"allow_public": True}}) as runtime:
        flows = runtime.catalogue.list_flows()
        sharing = Sharing(is_shared=True, audience="public", shares_api=True)
        await runtime.store.write(publications.change, flow_id="shared", sharing=sharing, by="tests")
        visitor = await runtime.access.admit_visitor("browser", "shared")
        assert visitor is not None
        reached = {
            caller.id: {name for name, wired in flows.items() if await runtime.access.may_run_api(caller, wired)}
            for caller in (ADA, MIA, TOKEN, SCOPED, MIAS, visitor)
        }
        everything = {"shared", "private", "owned"}
        assert reached == {
            "ada": everything,
            "mia": {"shared"},
            "1": everything,
            "2": {"private"},
            "3": {"shared"},
            visitor.id: set(),
        }
