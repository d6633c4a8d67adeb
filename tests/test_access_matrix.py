"""Every cell of the access matrix (tests/access_matrix.py) that this process answers: what pages ask, and the API."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from flowground.access import feedback, flow_files, insides, shared_chats
from flowground.api.app import create_api
from flowground.app import flow_tests, knowledge_admin
from flowground.app.runtime import Runtime
from flowground.core.caller import Caller, Owner
from flowground.core.errors import FlowNotFound, InvalidRequest, NotAllowed, NotSignedIn
from flowground.knowledge import KnowledgeMissing
from flowground.store import publications
from flowground.store.people import members, tokens
from flowground.store.publications import Sharing
from flowground.store.runs import feedback as ratings
from flowground.store.runs import shared_chats as store_shared_chats
from flowground.store.runs import turns, usage
from flowground.store.runs.feedback import FeedbackFilter
from flowground.store.runs.records import RunRecord, StoredMessage
from tests.access_matrix import FLOWS, PEOPLE, STATES, TOKENS, add_people, cells, sharings
from tests.running import running


@dataclass
class House:
    """Callers of pages that were open when all was well, their cookies, and what holders of tokens ran before."""

    runtime: Runtime
    group: str
    cookies: dict[str, str]
    callers: dict[str, Caller]
    secrets: dict[str, str]
    runs: dict[str, str]
    shared_chat: str = ""

    async def change(self, state: str) -> None:
        sharing = sharings(self.group)[state]
        await self.runtime.store.write(publications.change, flow_id="talk", sharing=sharing, by="tests")


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    config = {"sharing": {"allow_public": True}, "authors": {"may_write": "authors"}}
    async with running(folder, FLOWS, config=config) as runtime:
        write = runtime.store.write
        await write(publications.change, flow_id="outer", sharing=Sharing(True, shares_api=True), by="tests")
        house = House(runtime, await add_people(runtime.store, runtime.sign_in), {}, {}, {}, {})
        for who in PEOPLE:
            ticket = await runtime.sign_in.issue_ticket(who.replace(" ", "-"), "browser")
            house.cookies[who] = await runtime.sign_in.redeem(ticket, "browser") or ""
            caller = await runtime.sign_in.verify_cookie(house.cookies[who])
            assert caller is not None
            house.callers[who] = caller
        for who, owner in TOKENS.items():
            only = ("other",) if who == "foreign token" else None
            token, secret = await write(tokens.create, name="t", owner=owner, flows=only, expires_at=None, by="tests")
            house.secrets[who] = secret
            place = await say_before(runtime, str(Owner("programs", owner) if owner else Owner("token", token.id)))
            ran = RunRecord(f"run-{token.id}", "talk", "v", place["owner"], "s", "complete", datetime.now(UTC), 0.1)
            await write(turns.finish_turn, **place, answers=(), run=ran)
            house.runs[who] = ran.id
        place = await say_before(runtime, str(house.callers["owner"].owner))
        house.shared_chat = (await write(store_shared_chats.share, **place, expires_at=None)).id
        await write(members.set_active, member="deactivated", is_active=False, by="tests")
        yield house


async def say_before(runtime: Runtime, owner: str) -> dict[str, Any]:
    said = StoredMessage(owner, "user", "said before", "complete", datetime.now(UTC))
    place: dict[str, Any] = {"flow_id": "talk", "owner": owner, "session_id": "s"}
    await runtime.store.write(turns.begin_turn, **place, message=said)
    return place


async def opens(runtime: Runtime, caller: Caller, chat: str) -> bool:
    caller = await runtime.access.recheck(caller)
    is_listed = "talk" in [flow.id for flow in await runtime.access.list_flows(caller)]
    try:
        await runtime.access.open_flow(caller, "talk")
    except FlowNotFound:
        assert not is_listed
    return is_listed


async def reads_shared(runtime: Runtime, caller: Caller, chat: str) -> bool:
    return await shared_chats.open_shared(runtime.access, caller, chat) is not None


async def reads_file(runtime: Runtime, caller: Caller, chat: str) -> None:
    inside = await insides.read_inside(runtime.access, caller, "talk")
    assert inside == await insides.read_file(runtime.access, caller, "talk.yaml")
    assert inside.text == FLOWS["talk"]


async def adds_file(runtime: Runtime, caller: Caller, chat: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"kept"

    await knowledge_admin.add_file(runtime, caller, "talk", "handbook", file_name="a.txt", pieces=pieces())


DRAFT: dict[str, Any] = {"before": "", "content": FLOWS["talk"].encode()}
OTHER: dict[str, Any] = {"before": "of another file", "after": FLOWS["talk"].encode()}
TURN = {"flow_id": "talk", "session_id": "s", "message_id": "m"}
Ask = Callable[[Runtime, Caller, str], Awaitable[object]]
BEHIND_PAGES: dict[str, tuple[Ask, ...]] = {
    "chat": (opens, reads_shared),
    "inside": (
        reads_file,
        lambda runtime, caller, _: insides.read_file(runtime.access, caller, "talk.yaml"),
        lambda runtime, caller, _: insides.read_turn(runtime.access, caller, **TURN),
        lambda runtime, caller, _: flow_tests.run_tests(runtime, caller, "talk"),
        lambda runtime, caller, _: flow_tests.find_report(runtime, caller, "talk"),
        lambda runtime, caller, _: knowledge_admin.list_knowledge(runtime, caller, "talk"),
        lambda runtime, caller, _: knowledge_admin.list_knowledge(runtime, caller, ""),
        lambda runtime, caller, _: knowledge_admin.read_knowledge(runtime, caller, "talk", "handbook"),
        lambda runtime, caller, _: knowledge_admin.find_passages(runtime, caller, "talk", "handbook", "what?"),
    ),
    "own": (
        adds_file,
        lambda runtime, caller, _: flow_files.open_flow_file(runtime.access, caller, "talk.yaml"),
        lambda runtime, caller, _: flow_files.check_flow_file(runtime.access, caller, "talk.yaml", b""),
        lambda runtime, caller, _: flow_files.replace_flow_file(runtime.access, caller, "talk.yaml", **OTHER),
        lambda runtime, caller, _: flow_files.try_flow_file(runtime.access, caller, "talk.yaml", **DRAFT),
        lambda runtime, caller, _: knowledge_admin.remove_file(runtime, caller, "talk", "handbook", "nothing"),
        lambda runtime, caller, _: feedback.read_own(
            runtime.access, caller, "talk", ratings.list_page, only=FeedbackFilter()
        ),
        lambda runtime, caller, _: feedback.read_own(
            runtime.access, caller, "talk", usage.sum_usage, since=datetime.now(UTC), days=1
        ),
    ),
}


async def ask(house: House, question: Ask, caller: Caller) -> str:
    try:
        answer = await question(house.runtime, caller, house.shared_chat)
    except NotSignedIn:
        return "nobody"
    except (FlowNotFound, NotAllowed):
        return "no"
    except (InvalidRequest, KnowledgeMissing):  # of what is not there, for who would see it
        return "yes"
    return "no" if answer is False else "yes"


async def run(client: httpx2.AsyncClient, run_id: str) -> int:
    said = {"input_value": "hi", "session_id": "new"}
    answers = [await client.post(f"/api/v1/run/{name}", json=said) for name in ("talk", "unknown")]
    if answers[0].status_code == 404:  # forbidden looks like unknown
        assert answers[0].text.replace("talk", "unknown") == answers[1].text
    return answers[0].status_code


async def messages(client: httpx2.AsyncClient, run_id: str) -> int:
    answer = await client.get("/api/v1/monitor/messages?session_id=s")
    sessions = await client.get("/api/v1/monitor/messages/sessions")
    assert answer.status_code == sessions.status_code
    if answer.status_code != 200:
        return answer.status_code
    texts = [message["text"] for message in answer.json()]
    assert (texts, "s" in sessions.json()) in ((["said before"], True), ([], False))
    return 200 if texts else 404


async def runs(client: httpx2.AsyncClient, run_id: str) -> int:
    """Of a run of their own that is complete."""
    path, said = f"/api/v1/runs/{run_id}", {"call": 1, "digest": "0" * 64, "decision": "once"}
    answer, events = await client.get(path), await client.get(f"{path}/events")
    stop, decided = await client.post(f"{path}/stop"), await client.post(f"{path}/decisions", json=said)
    codes = [one.status_code for one in (answer, events, stop, decided)]
    listed = await client.get("/api/v1/runs")
    assert listed.status_code == (403 if answer.status_code == 403 else 200)
    assert listed.status_code == 403 or (run_id in listed.text) == (answer.status_code == 200)
    assert codes in ([200, 410, 200, 409], [answer.status_code] * 4)
    return answer.status_code


async def flows(client: httpx2.AsyncClient, run_id: str) -> int:
    answer, one = await client.get("/api/v1/flows/"), await client.get("/api/v1/flows/talk")
    if answer.status_code == 200:
        assert one.status_code == (200 if "talk" in [flow["id"] for flow in answer.json()] else 404)
    return one.status_code


async def files(client: httpx2.AsyncClient, run_id: str) -> int:
    """All calls of a file of their own."""
    sent = {"file": ("a.txt", run_id.encode())}
    up = await client.post("/api/v1/files/upload/talk", files=sent)
    if up.status_code != 201:
        unknown = await client.post("/api/v1/files/upload/unknown", files=sent)
        for path in ("list/talk", "download/talk/x", "images/talk/x"):
            answer = await client.get(f"/api/v1/files/{path}")
            assert (answer.status_code, answer.text) == (up.status_code, unknown.text)
        assert (await client.delete("/api/v1/files/delete/talk/x")).status_code == up.status_code
        return up.status_code
    path = up.json()["file_path"]
    names = (await client.get("/api/v1/files/list/talk")).json()["files"]
    assert [f"talk/{name}" for name in names] == [path]
    assert (await client.get(f"/api/v1/files/download/{path}")).content == sent["file"][1]
    await client.delete(f"/api/v1/files/delete/{path}")
    return 200


AT_THE_API = (messages, runs, files, flows, run)


def open_client(runtime: Runtime, **headers: str) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=create_api(lambda: runtime), raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://flowground", headers=headers)


def open_clients(house: House) -> dict[str, httpx2.AsyncClient]:
    """A sign-in is no token."""
    cookie = {"cookie": f"flowground={house.cookies['admin']}"}
    everybody = {who: open_client(house.runtime, **{"x-api-key": secret}) for who, secret in house.secrets.items()}
    return everybody | {"signed out": open_client(house.runtime), "admin": open_client(house.runtime, **cookie)}


async def test_every_cell(tmp_path: Path) -> None:
    assert list(sharings("group")) == STATES
    found, expected = {}, {}
    async with open_house(tmp_path) as house:
        for secret in house.secrets.values():  # a token is no sign-in
            assert await house.runtime.sign_in.verify_cookie(secret) is None
        for who, cookie in house.cookies.items():  # a page that is opened anew has the same caller
            caller = await house.runtime.sign_in.verify_cookie(cookie)
            assert caller == (None if who == "deactivated" else house.callers[who])
        clients = open_clients(house)
        for state in STATES:
            await house.change(state)
            visitor = await house.runtime.access.admit_visitor("browser", "talk")
            assert (visitor is not None) == (state == "public")
            for what in BEHIND_PAGES if state in ("off", "public") else ["chat"]:
                for who, caller in house.callers.items():
                    found[what, who, state] = {await ask(house, question, caller) for question in BEHIND_PAGES[what]}
                    expected[what, who, state] = {cells(what, state).get(who, "nobody")}
            for who, client in clients.items():
                codes = {await door(client, house.runs.get(who, "none")) for door in AT_THE_API}
                found["API", who, state] = {{200: "yes", 404: "no", 403: "nobody"}.get(one, str(one)) for one in codes}
                expected["API", who, state] = {cells("API", state).get(who, "nobody")}
    assert found == expected


async def test_what_does_not_depend_on_how_the_flow_is_shared(tmp_path: Path) -> None:
    """A flow inside another that they may run: whoever may run the outer one runs it there, and changes nothing of it.
    What a token is, files of its own for all flows, and the description of the API, which names no flow."""
    async with open_house(tmp_path) as house:
        await house.change("off")
        general = (await open_client(house.runtime).get("/api/openapi.json")).text
        assert "talk" not in general.lower()
        for who, client in open_clients(house).items():
            runs_outer = {"foreign token": 404, "deactivated's token": 403}.get(who, 200 if who in TOKENS else 403)
            answer = await client.post("/api/v1/run/outer", json={"input_value": "hi"})
            assert (answer.status_code, "You said: hi" in answer.text) == (runs_outer, runs_outer == 200), who
            for tweak in ({"Sub": {"flow": "other"}}, {"Model": {"temperature": 1}}):
                refused = await client.post("/api/v1/run/outer", json={"input_value": "hi", "tweaks": tweak})
                assert refused.status_code == (422 if runs_outer == 200 else runs_outer), who
            me = await client.get("/api/v1/me")
            assert me.status_code == (403 if runs_outer == 403 else 200), who
            assert runs_outer == 403 or house.runs[who] == f"run-{me.json()['token']['id']}"
            assert (await client.get("/api/openapi.json")).text == general
            await own_files(client, is_nobody=runs_outer == 403)


async def own_files(client: httpx2.AsyncClient, *, is_nobody: bool) -> None:
    sent = {"file": ("a.txt", b"mine")}
    if is_nobody:
        refused = [await client.post("/api/v2/files/", files=sent)]
        for method, path in (("GET", ""), ("GET", "x"), ("PUT", "x?name=y"), ("DELETE", "x"), ("DELETE", "")):
            refused.append(await client.request(method, f"/api/v2/files/{path}"))
        assert {answer.status_code for answer in refused} == {403}
    else:
        key = (await client.post("/api/v2/files/", files=sent)).json()["id"]
        assert [row["id"] for row in (await client.get("/api/v2/files/")).json()] == [key]
