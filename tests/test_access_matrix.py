"""Every cell of the access matrix (tests/access_matrix.py): who gets what of a flow, at each door, in each state."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.access import answered_turns, feedback, flow_files, insides, shared_chats, usage
from flowground.api import create_api
from flowground.caller import Caller, Role
from flowground.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.flow.tests import FlowTest
from flowground.flow_tests import pages
from flowground.runtime import Runtime
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from flowground.store.people import groups, members, tokens
from flowground.store.runs import shared_chats as store_shared_chats
from flowground.store.runs import turns, whole_chats
from flowground.store.runs.feedback import FeedbackFilter
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.access_matrix import STATES, cells
from tests.running import chat_flow, running

pytestmark = pytest.mark.anyio
OUTER = """
components:
  Said: {type: ChatInput}
  Sub: {type: RunFlow, flow: talk, input_value: "${Said}"}
  Out: {type: ChatOutput, input_value: "${Sub}"}
"""
FLOWS = {
    "talk": "owners: [owner]\nchat: {accepts: [text/*]}\nknowledge: {handbook: {uploads: true}}\n"
    + chat_flow("scripted", "Talk"),
    "other": chat_flow("scripted", "Other"),
    "outer": OUTER,
}
PEOPLE: dict[str, Role] = {
    "member": "member", "named member": "member", "group member": "member", "deactivated": "member",
    "author": "author", "owner": "author", "admin": "admin",
}  # fmt: skip
OWNERS = {
    "member's token": "member", "named member's token": "named-member", "group member's token": "group-member",
    "author's token": "author", "organization's token": None, "foreign token": None,
    "deactivated's token": "deactivated",
}  # fmt: skip


def sharings(group: str) -> dict[str, Sharing]:
    """Who is deactivated is named too, and in the group: it must not matter."""
    named, of_group = frozenset({"named-member", "deactivated"}), frozenset({group})
    return {
        "off": Sharing(False, "people", named, of_group, shares_api=True),
        "people": Sharing(True, "people", named, shares_api=True),
        "group": Sharing(True, "people", groups=of_group, shares_api=True),
        "organization": Sharing(True, shares_api=True),
        "page only": Sharing(True),
        "public": Sharing(True, "public", shares_api=True),
        "expired": Sharing(True, "public", named, of_group, True, datetime.now(UTC) - timedelta(seconds=1)),
    }


OUTER_IS_SHARED = Sharing(True, shares_api=True)


@dataclass
class Somebody:
    """What one of the table's people holds: cookie and open page from when all was well, or a token."""

    cookie: str = ""
    caller: Caller | None = None
    token: str = ""
    run_id: str = "none"


@asynccontextmanager
async def house(folder: Path, state: str) -> AsyncIterator[tuple[Runtime, Mapping[str, Somebody], httpx2.AsyncClient]]:
    config = {"sharing": {"allow_public": True}}
    async with running(folder, FLOWS, config=config) as runtime:
        everybody = {"signed out": Somebody()}
        for who, role in PEOPLE.items():
            everybody[who] = await _person(runtime, who.replace(" ", "-"), role)
        for who, owner in OWNERS.items():
            everybody[who] = await _token(runtime, owner, ("other",) if who == "foreign token" else None)
        group = await runtime.store.write(groups.add, name="Group", by="tests")
        within = {"group-member", "deactivated"}
        await runtime.store.write(groups.change_members, group_id=group.id, added=within, by="tests")
        await runtime.store.write(publications.change, flow_id="talk", sharing=sharings(group.id)[state], by="tests")
        await runtime.store.write(publications.change, flow_id="outer", sharing=OUTER_IS_SHARED, by="tests")
        await runtime.store.write(members.set_active, member="deactivated", is_active=False, by="tests")
        transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://flowground") as client:
            yield runtime, everybody, client


async def _person(runtime: Runtime, name: str, role: Role) -> Somebody:
    await runtime.sign_in.roster.add(name, role=role, by="tests")
    cookie = await runtime.sign_in.redeem(await runtime.sign_in.issue_ticket(name, "browser"), "browser")
    assert cookie is not None
    return Somebody(cookie, await runtime.sign_in.verify_cookie(cookie))


async def _token(runtime: Runtime, owner: str | None, flows: tuple[str, ...] | None) -> Somebody:
    token, secret = await runtime.store.write(
        tokens.create, name="t", owner=owner, flows=flows, expires_at=None, by="tests"
    )
    said = StoredMessage(token.id, "user", "said before", "complete", datetime.now(UTC))
    place: dict[str, Any] = {"flow_id": "talk", "owner": f"token:{token.id}", "session_id": "s"}
    await runtime.store.write(turns.begin_turn, **place, message=said)
    ran = RunRecord(f"run-{token.id}", "talk", "v", place["owner"], "s", "complete", datetime.now(UTC), 0.1)
    await runtime.store.write(turns.finish_turn, **place, answers=(), run=ran)
    return Somebody(token=secret, run_id=ran.id)


async def page(runtime: Runtime, somebody: Somebody) -> str:
    """As the pages do it, a new page and one that was open before; home lists what opens."""
    new = await _opens(runtime, await runtime.sign_in.verify_cookie(somebody.cookie or somebody.token))
    if somebody.caller is not None:
        # Somebody deactivated is signed out of the open page; who comes anew without a sign-in is a visitor.
        assert await _opens(runtime, somebody.caller) == ("sign in" if new == "visitor" else new)
    return new


async def _opens(runtime: Runtime, caller: Caller | None) -> str:
    caller = caller or await runtime.access.admit_visitor("browser", "talk")
    if caller is None:
        return "sign in"
    try:
        caller = await runtime.access.recheck(caller)
    except NotSignedIn:
        return "sign in"
    listed = "talk" in [flow.id for flow in await runtime.access.list_flows(caller)]
    with pytest.raises(FlowNotFound, match="Flow identifier unknown not found"):
        await runtime.access.open_flow(caller, "unknown")
    try:
        await runtime.access.open_flow(caller, "talk")
    except FlowNotFound:
        assert not listed
        return "nothing"
    assert listed
    return "visitor" if caller.kind == "visitor" else "opens"


async def read_feedback(runtime: Runtime, somebody: Somebody) -> str:
    """As the page does it, new and open before: nobody is a visitor there."""
    new = await runtime.sign_in.verify_cookie(somebody.cookie or somebody.token)
    found = "sign in" if new is None else await _read_ratings(runtime, new)
    if somebody.caller is not None:
        assert await _read_ratings(runtime, somebody.caller) == found
    return found


async def _read_ratings(runtime: Runtime, caller: Caller) -> str:
    try:
        await feedback.list_page(runtime.access, caller, "talk", FeedbackFilter())
    except NotSignedIn:
        found = "sign in"
    except (FlowNotFound, NotAllowed):
        found = "nothing"
    else:
        found = "reads"
    if found == "reads":
        await usage.sum_usage(runtime.access, caller, "talk", since=datetime.now(UTC), days=1)
    else:
        with pytest.raises((NotSignedIn, FlowNotFound, NotAllowed)):
            await usage.sum_usage(runtime.access, caller, "talk", since=datetime.now(UTC), days=1)
    return found


async def read_inside(runtime: Runtime, somebody: Somebody) -> str:
    """As the page does it, new and open before, by the flow's address and by its file's name."""
    new = await runtime.sign_in.verify_cookie(somebody.cookie or somebody.token)
    found = "sign in" if new is None else await _read_file(runtime, new)
    if somebody.caller is not None:
        assert await _read_file(runtime, somebody.caller) == found
    return found


async def _read_file(runtime: Runtime, caller: Caller) -> str:
    test, turn = FlowTest(message="hi"), {"flow_id": "talk", "session_id": "s", "message_id": "m"}
    doors: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: pages.run_tests(runtime, caller, "talk"),
        lambda: pages.try_test(runtime, caller, "talk", test),
        lambda: pages.find_report(runtime, caller, "talk"),
        lambda: flow_files.read_flow_file(runtime.access, caller, "talk"),
        lambda: answered_turns.read_turn(runtime.access, caller, **turn),
    )
    try:
        inside = await insides.read_inside(runtime.access, caller, "talk")
    except NotSignedIn:
        return "sign in"
    except FlowNotFound:
        for door in doors:
            with pytest.raises(FlowNotFound):
                await door()
        with pytest.raises(FlowNotFound):
            await insides.read_file(runtime.access, caller, "talk.yaml")
        return "nothing"
    assert inside == await insides.read_file(runtime.access, caller, "talk.yaml")
    for name in ("unknown.yaml", "../config.yaml", "config.yaml", ""):
        with pytest.raises(FlowNotFound):
            await insides.read_file(runtime.access, caller, name)
    assert inside.text == FLOWS["talk"]
    *read, read_turn = doors
    for door in read:
        await door()
    with pytest.raises(InvalidRequest, match="There is no whole answer here"):
        await read_turn()
    return "reads"


async def share_chat(runtime: Runtime, everybody: Mapping[str, Somebody]) -> str:
    """The owner of the flow, who may always open it, shares a chat."""
    assert everybody["owner"].caller
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(everybody["owner"].caller.owner), "session_id": "shared"}
    said = StoredMessage("shared", "user", "said between us", "complete", datetime.now(UTC))
    await runtime.store.write(turns.begin_turn, **place, message=said)
    link = await runtime.store.write(store_shared_chats.share, **place, expires_at=None)
    return link.id


async def read_shared_chat(runtime: Runtime, somebody: Somebody, key: str) -> str:
    """As the page does it, new and open before; who reads it may copy it, and nobody else."""
    new = await runtime.sign_in.verify_cookie(somebody.cookie or somebody.token)
    found = "sign in" if new is None else await _read_and_copy(runtime, new, key)
    if somebody.caller is not None:
        assert await _read_and_copy(runtime, somebody.caller, key) == found
    return found


async def _read_and_copy(runtime: Runtime, caller: Caller, key: str) -> str:
    access, session = runtime.access, f"copy of {caller.id}"
    try:
        assert await shared_chats.open_shared(access, caller, "unknown") is None
        opened = await shared_chats.open_shared(access, caller, key)
        copied = await shared_chats.continue_as_copy(access, caller, key, session)
    except NotSignedIn:
        return "sign in"
    place: dict[str, Any] = {"flow_id": "talk", "owner": str(caller.owner), "session_id": session}
    copy = await runtime.store.read(whole_chats.read_part, **place)
    if opened is None:
        assert (copied, [*copy.messages]) == (None, [])
        return "nothing"
    page = await shared_chats.read_page(access, opened, offset=0)
    assert [one.text for one in page.shown] == [one.text for one in copy.messages] == ["said between us"]
    return "reads"


def _holding(somebody: Somebody) -> dict[str, str]:
    return {"x-api-key": somebody.token} if somebody.token else {"cookie": f"flowground={somebody.cookie}"}


async def run(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.post("/api/v1/run/talk", json={"input_value": "hi"}, headers=_holding(somebody))
    unknown = await client.post("/api/v1/run/unknown", json={"input_value": "hi"}, headers=_holding(somebody))
    if answer.status_code == 404:  # forbidden looks like unknown
        assert answer.text.replace("talk", "unknown") == unknown.text
    return str(answer.status_code)


async def inner_flow(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.post("/api/v1/run/outer", json={"input_value": "hi"}, headers=_holding(somebody))
    if answer.status_code == 200:
        said = answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"]
        assert said == "You said: hi"
    for tweak in ({"Sub": {"flow": "other"}}, {"Model": {"temperature": 1}}):
        body = {"input_value": "hi", "tweaks": tweak}
        refused = await client.post("/api/v1/run/outer", json=body, headers=_holding(somebody))
        assert refused.status_code == (422 if answer.status_code == 200 else answer.status_code)
    return str(answer.status_code)


async def messages(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.get("/api/v1/monitor/messages", headers=_holding(somebody))
    sessions = await client.get("/api/v1/monitor/messages/sessions", headers=_holding(somebody))
    assert answer.status_code == sessions.status_code
    if answer.status_code != 200:
        return str(answer.status_code)
    texts = [message["text"] for message in answer.json()]
    assert (texts, sessions.json()) in ((["said before"], ["s"]), ([], []))
    return "own" if texts else "none"


async def runs(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.get(f"/api/v1/runs/{somebody.run_id}", headers=_holding(somebody))
    events = await client.get(f"/api/v1/runs/{somebody.run_id}/events", headers=_holding(somebody))
    stop = await client.post(f"/api/v1/runs/{somebody.run_id}/stop", headers=_holding(somebody))
    assert stop.status_code == answer.status_code
    said = {"call": 1, "digest": "0" * 64, "decision": "once"}
    path = f"/api/v1/runs/{somebody.run_id}/decisions"
    decided = await client.post(path, json=said, headers=_holding(somebody))
    assert decided.status_code == (409 if answer.status_code == 200 else answer.status_code)
    assert events.status_code == (410 if answer.status_code == 200 else answer.status_code)
    return str(answer.status_code)


async def flows(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.get("/api/v1/flows/", headers=_holding(somebody))
    one = await client.get("/api/v1/flows/talk", headers=_holding(somebody))
    if answer.status_code != 200:
        assert one.status_code == answer.status_code
        return str(answer.status_code)
    listed = "talk" in [flow["id"] for flow in answer.json()]
    assert one.status_code == (200 if listed else 404)
    return "listed" if listed else "none"


async def files(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    """All calls of one's own file, and of another's: of the organization's other token, which was put there before."""
    holding = _holding(somebody)
    sent = {"file": ("a.txt", b"of " + somebody.token.encode())}
    v2 = await client.post("/api/v2/files/", files=sent, headers=holding)
    up = await client.post("/api/v1/files/upload/talk", files=sent, headers=holding)
    unknown = await client.post("/api/v1/files/upload/unknown", files=sent, headers=holding)
    if v2.status_code != 201:
        for method, path in (
            ("GET", "/api/v2/files/"), ("GET", "/api/v2/files/x"), ("PUT", "/api/v2/files/x?name=y"),
            ("DELETE", "/api/v2/files/x"), ("DELETE", "/api/v2/files/"), ("GET", "/api/v1/files/list/talk"),
            ("GET", "/api/v1/files/download/talk/x"), ("GET", "/api/v1/files/images/talk/x"),
            ("DELETE", "/api/v1/files/delete/talk/x"),
        ):  # fmt: skip
            refused = await client.request(method, path, headers=holding)
            assert refused.status_code == v2.status_code == up.status_code
        return str(up.status_code)
    listed = (await client.get("/api/v2/files/", headers=holding)).json()
    assert [row["id"] for row in listed] == [v2.json()["id"]]
    if up.status_code == 404:
        assert up.text == unknown.text
        for path in ("list/talk", "download/talk/x", "images/talk/x"):
            assert (await client.get(f"/api/v1/files/{path}", headers=holding)).text == unknown.text
        return "404"
    path = up.json()["file_path"]
    names = (await client.get("/api/v1/files/list/talk", headers=holding)).json()["files"]
    assert [f"talk/{name}" for name in names] == [path]
    got = await client.get(f"/api/v1/files/download/{path}", headers=holding)
    assert got.content == sent["file"][1]
    return "own"


async def me(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.get("/api/v1/me", headers=_holding(somebody))
    if answer.status_code != 200:
        return str(answer.status_code)
    said = answer.json()
    assert somebody.run_id == f"run-{said['token']['id']}"
    return "token"


async def openapi(client: httpx2.AsyncClient, somebody: Somebody) -> str:
    answer = await client.get("/api/openapi.json", headers=_holding(somebody))
    general = await client.get("/api/openapi.json")
    return "general" if answer.text == general.text and "talk" not in answer.text.lower() else "its own"


@pytest.mark.parametrize("state", STATES)
async def test_every_cell(tmp_path: Path, state: str) -> None:
    async with house(tmp_path, state) as (runtime, everybody, client):
        pages = {who: await page(runtime, somebody) for who, somebody in everybody.items()}
        assert pages == cells("page", state)
        readers = {who: await read_feedback(runtime, somebody) for who, somebody in everybody.items()}
        assert readers == cells("feedback", state)
        readers = {who: await read_inside(runtime, somebody) for who, somebody in everybody.items()}
        assert readers == cells("inside", state)
        key = await share_chat(runtime, everybody)
        readers = {who: await read_shared_chat(runtime, somebody, key) for who, somebody in everybody.items()}
        assert readers == cells("shared chat", state)
        for door in (messages, runs, files, flows, me, openapi, run, inner_flow):
            found = {who: await door(client, somebody) for who, somebody in everybody.items()}
            assert found == cells(door.__name__.replace("_", " "), state), door.__name__


def test_every_state_has_its_sharing() -> None:
    assert list(sharings("group")) == STATES
