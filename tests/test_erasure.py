"""What was deleted is nowhere any more: not in the database, its log, the data folder, the server's memory or log.

What was deleted stands in no table of PostgreSQL and in no file of the data folder: a chat with its file and what it
cites, an account, what an author added to a knowledge, and its index.
"""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from flowground.app import knowledge_admin
from flowground.core.caller import LOCAL_OWNER
from flowground.core.errors import StoreUnavailable
from flowground.store import Store, tables
from flowground.store.people import members, tokens
from flowground.store.runs import conversations, erasing, files
from flowground.ui.page.parts import mark_gone
from tests.acme import FLOWS
from tests.api.calls import Api
from tests.api.serving import serving
from tests.canary import TALK, WORD, await_none, find_everywhere, find_in_files, find_in_tables, finish_removals, take
from tests.open_page import flow_text
from tests.page_socket import Browser, open_browser, open_page
from tests.people import PASSWORD
from tests.servers import PUBLIC, AppServer, House
from tests.store_databases import DATABASES, empty_database
from tests.stored import list_running
from tests.stored_chats import find_sessions
from tests.test_access_websocket import beside
from tests.waiting import eventually

HOUSE = House(
    flows=FLOWS | {"slow": flow_text("slow:echo")},
    config={"providers": {"slow": {"type": "scripted", "delay": 30}}, "sharing": {"allow_public": True}},
    shared={"talk": PUBLIC},
)


async def test_hundreds_of_turns_leave_nothing_beside_those_of_others(store: Store, url: str, tmp_path: Path) -> None:
    drawn = random.Random(7)
    for number in range(300):
        owner, word = drawn.choice([("member:ada", WORD), ("member:bob", "another")])
        said = f"{word} " * drawn.choice([1, 30, 300, 3000])
        await take(store, owner, f"s{number % 20}", said, interrupts=number % 3 == 0)
        if number % 7 == 0:
            renamed = {"owner": owner, "session_id": f"s{number % 20}", "title": f"{word} {'x' * (number % 60)}"}
            await store.write(conversations.rename_session, **TALK, **renamed)
    assert find_everywhere(url, tmp_path)
    others = await find_sessions(store, flow_id="talk", owner="member:bob")
    await store.erase(erasing.erase_conversations, owners=["member:ada"])
    await_none(url, tmp_path)
    assert await find_sessions(store, flow_id="talk", owner="member:ada") == []
    assert await find_sessions(store, flow_id="talk", owner="member:bob") == others


def run(
    house: AppServer, key: str, said: str, flow: str = "talk", *, again: str = "", **query: str
) -> requests.Response:
    """Streamed where the query says so; `again` is an idempotency key."""
    headers = {"x-api-key": key} | ({"Idempotency-Key": again} if again else {})
    body = {"input_value": said, "session_id": "mine"}
    address = f"{house.url}/api/v1/run/{flow}"
    return requests.post(address, params=query, headers=headers, json=body, timeout=20, stream="stream" in query)


def delete(house: AppServer, key: str) -> None:
    address = f"{house.url}/api/v1/monitor/messages/session/mine"
    assert requests.delete(address, headers={"x-api-key": key}, timeout=20).status_code == 204


def await_clean(house: AppServer) -> None:
    """Returns once the word is in no file of the server's: database, log, keys, flows, what it printed."""
    eventually(lambda: not find_in_files(house.folder))


def test_a_conversation_that_a_program_deletes(house: AppServer) -> None:
    key = house.token("deletes")
    long = f"{WORD} " * 2000
    assert WORD in run(house, key, long).text
    stream = run(house, key, long, stream="sse")
    started = next(line for line in stream.text.splitlines() if line.startswith("id: ")).split()[1].partition("/")[0]
    assert WORD in stream.text
    assert find_in_files(house.folder)
    followed = f"{house.url}/api/v1/runs/{started}/events"
    for is_there in (True, False):
        assert (WORD in requests.get(followed, headers={"x-api-key": key}, timeout=20).text) == is_there
        delete(house, key)
        await_clean(house)


def test_what_a_visitor_deletes(house: AppServer) -> None:
    with open_page(Browser(house.url), base="/public_flow/talk") as page:
        page.visit()
        assert WORD.encode() in page.say(f"{WORD} without an account")
        assert find_in_files(house.folder)
        page.visit("", f"session={page.chat.session}")
        page.choose(page.widget("menu_button", "sessions:more:"), mark_gone("Delete"))
        page.press(page.widget("button", "sessions:delete:"))
        await_clean(house)


def test_a_request_that_is_sent_again_after_its_conversation_was_deleted_says_nothing_of_it(house: AppServer) -> None:
    token = house.token("repeats")
    first, second = (run(house, token, f"{WORD} once", again="again") for _ in range(2))
    assert (first.status_code, WORD in first.text) == (200, True)
    assert second.json()["outputs"] == first.json()["outputs"]
    delete(house, token)
    await_clean(house)
    third = run(house, token, f"{WORD} once", again="again")
    assert (third.status_code >= 400, WORD in third.text) == (True, False)
    assert not find_in_files(house.folder)


def test_what_was_being_answered_when_it_was_deleted(house: AppServer) -> None:
    key = house.token("slow")
    with run(house, key, WORD, "slow", stream="sse") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert find_in_files(house.folder)
        delete(house, key)
        assert b"stopped" in b" ".join(lines)
    await_clean(house)


def test_an_admin_removes_somebody_at_the_page(house: AppServer) -> None:
    house.member(WORD, PASSWORD, "author")
    with open_page(open_browser(house, WORD)) as page:
        page.visit("playground", "flow=echo")
        assert WORD.encode() in page.say(f"{WORD} speaks")
    assert find_in_files(house.folder)
    with open_page(open_browser(house, "augusta")) as page:
        page.visit("organization")
        page.choose(page.widget("menu_button", f"people:more:{WORD}"), mark_gone("Remove"))
        page.press(page.widget("button", "person:remove"))
        await_clean(house)


def test_a_removal_at_the_command_line_stops_what_the_person_runs_in_the_server(house: AppServer) -> None:
    house.member("bert", PASSWORD, "author")
    made: dict[str, Any] = {"name": "n", "owner": "bert", "flows": None, "expires_at": None, "by": "x"}
    _, secret = beside(house, lambda store, _: store.write(tokens.create, **made))
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(run, house, secret, f"{WORD} asks", "slow")
        eventually(lambda: find_in_files(house.folder))
        done = house.run_command("members", "remove", "bert")
        assert (done.returncode, "Not all" in done.stdout) == (0, False), done.stdout + done.stderr
        assert beside(house, lambda store, _: store.read(list_running)) == []
    told = sent.result()
    assert (told.status_code, told.json()["code"]) == (409, "run_stopped"), told.text
    assert not find_in_files(house.folder)


def test_a_server_that_is_killed_right_after_a_deletion_leaves_nothing_once_it_is_started(house: AppServer) -> None:
    key = house.token("killed")
    for _ in range(5):
        run(house, key, f"{WORD} " * 500)
    delete(house, key)
    house.kill()
    house.start()
    await_clean(house)


async def test_an_error_of_the_database_tells_the_log_nothing_that_was_said(store: Store) -> None:
    def add(connection: Connection) -> None:
        row = {"kind": "flow", "name": WORD, "changed_by": WORD, "changed_at": 1.0, "says": WORD}
        for _ in range(2):
            connection.execute(insert(tables.switches).values(row))

    with pytest.raises(IntegrityError) as failure:
        await store.write(add)
    assert "switches" in str(failure.value)
    told = str(failure.value).replace(str(failure.value.orig), "")  # PostgreSQL's own names the key, of ids and names
    assert WORD not in told


async def test_a_deletion_that_could_not_begin_is_said(tmp_path: Path) -> None:
    store, file = Store.open(f"sqlite:///{tmp_path}/data/test.db"), tmp_path / "data" / "test.db"
    await take(store, "member:ada", "s", WORD)
    file.rename(tmp_path / "moved.db")
    with pytest.raises(StoreUnavailable):
        await store.erase(erasing.erase_conversations, owners=["member:ada"])
    (tmp_path / "moved.db").rename(file)
    await store.erase(erasing.erase_conversations, owners=["member:ada"])
    await_none("sqlite", tmp_path)
    store.close()


FLOW = """\
chat: {accepts: [text/plain]}
components:
  In: {type: ChatInput}
  File: {type: File, files: "${In.files}"}
  Found: {type: Retrieve, knowledge: handbook, search_query: lighthouse}
  Model: {type: LanguageModel, model: "scripted:echo", system_message: "${Found.passages}",
    input_value: "${In} ${File}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge: {handbook: {uploads: true}}
"""
TEXT = f"{WORD} keeps the lighthouse. ".encode()


async def read(data: bytes) -> Any:
    yield data


async def take_in(api: Api) -> None:
    """Puts the word wherever a file may leave it."""
    runtime = api.runtime
    for name, data in (("kept.txt", b"Another lighthouse."), ("gone.txt", TEXT)):  # the audit trail has their names
        await knowledge_admin.add_file(runtime, LOCAL_OWNER, "reads", "handbook", file_name=name, pieces=read(data))
    await runtime.library.index(runtime.library.find("reads", "handbook"))
    form = {"file": (f"{WORD}.txt", TEXT, "text/plain")}
    path = (await api.client.post("/api/v1/files/upload/reads", files=form)).json()["file_path"]
    body = {"input_value": f"{WORD} [1] [2]", "session_id": WORD, "files": [path]}
    cited = (await api.run("reads", body, query="?shape=simple")).json()["citations"]
    assert any(WORD in passage["text"] for passage in cited)


async def delete_all(api: Api) -> None:
    runtime = api.runtime
    for address in (f"/api/v1/monitor/messages/session/{WORD}", "/api/v2/files"):
        assert (await api.client.delete(address)).status_code in {200, 204}
    for file in (await api.client.get("/api/v1/files/list/reads")).json()["files"]:
        assert (await api.client.delete(f"/api/v1/files/delete/reads/{file}")).status_code == 200
    shown = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "reads", "handbook")
    for upload in shown.uploads:
        if upload.reference.name == "gone.txt":
            await knowledge_admin.remove_file(runtime, LOCAL_OWNER, "reads", "handbook", upload.reference.id)
    await runtime.library.index(runtime.library.find("reads", "handbook"))


@pytest.mark.parametrize("kind", DATABASES[1:])
async def test_nothing_is_left_in_any_table(kind: str, tmp_path: Path) -> None:
    with empty_database(kind, tmp_path) as url:
        async with serving(tmp_path, config={"database": url}, flows={"reads": FLOW}) as api:
            store = api.runtime.store
            await api.runtime.library.close()  # the app would index by itself

            async def await_clean() -> None:
                await asyncio.to_thread(eventually, lambda: not find_in_tables(url) + find_in_files(tmp_path / "data"))

            await take_in(api)
            found = set(find_in_tables(url))
            assert {"messages", "files"} <= found, found
            assert find_in_files(tmp_path / "data")
            await delete_all(api)
            await await_clean()
            shown = {"name": WORD, "display_name": WORD, "email": f"{WORD}@example.com"}
            ada = await store.write(members.add, **shown, role="author", password="hash", by="cli")
            assert "members" in find_in_tables(url)
            assert await store.write(members.remove, member=ada.id, by="cli")
            await finish_removals(store)
            await await_clean()
            assert [one.count for one in await store.read(files.list_added)] == [1]
