"""What was deleted is nowhere any more: not in the database, its log, the data folder, the server's memory or log."""

import random
from pathlib import Path

import pytest
import requests
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from flowground.errors import StoreUnavailable
from flowground.store import Store, tables
from flowground.store.runs import conversations, erasing
from flowground.ui.page.actions import mark_gone
from tests.acme import FLOWS
from tests.canary import TALK, WORD, await_none, find_everywhere, find_in_files, take
from tests.house import PUBLIC, House
from tests.open_page import flow_text
from tests.page_socket import Browser, open_page
from tests.servers import AppServer
from tests.store_databases import DATABASES, empty_database
from tests.stored import list_sessions
from tests.tickets import open_browser
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

HOUSE = House(
    flows=FLOWS | {"slow": flow_text("slow:echo")},
    config={"providers": {"slow": {"type": "scripted", "delay": 30}}, "sharing": {"allow_public": True}},
    shared={"talk": PUBLIC},
)


@pytest.mark.parametrize("kind", DATABASES)
async def test_hundreds_of_turns_leave_nothing_beside_those_of_others(kind: str, tmp_path: Path) -> None:
    drawn = random.Random(7)
    with empty_database(kind, tmp_path) as url:
        store = Store.open(url)
        for number in range(300):
            owner, word = drawn.choice([("member:ada", WORD), ("member:bob", "another")])
            said = f"{word} " * drawn.choice([1, 30, 300, 3000])
            await take(store, owner, f"s{number % 20}", said, interrupts=number % 3 == 0)
            if number % 7 == 0:
                renamed = {"owner": owner, "session_id": f"s{number % 20}", "title": f"{word} {'x' * (number % 60)}"}
                await store.write(conversations.rename_session, **TALK, **renamed)
        assert find_everywhere(url, tmp_path)
        others = await store.read(list_sessions, **TALK, owner="member:bob")
        await store.erase(erasing.erase_conversations, owners=["member:ada"])
        await_none(url, tmp_path)
        assert await store.read(list_sessions, **TALK, owner="member:ada") == []
        assert await store.read(list_sessions, **TALK, owner="member:bob") == others
        store.close()


def run(house: AppServer, key: str, said: str, **query: str) -> requests.Response:
    return requests.post(
        f"{house.url}/api/v1/run/{query.pop('flow', 'talk')}", params=query, headers={"x-api-key": key},
        json={"input_value": said, "session_id": "mine"}, timeout=20,
    )  # fmt: skip


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
    assert WORD in requests.get(followed, headers={"x-api-key": key}, timeout=20).text
    delete(house, key)
    await_clean(house)
    assert WORD not in requests.get(followed, headers={"x-api-key": key}, timeout=20).text


def test_a_conversation_that_a_person_deletes_at_its_page(house: AppServer) -> None:
    with open_page(open_browser(house, "olga")) as page:
        page.visit("playground", "flow=talk")
        assert WORD.encode() in page.say(f"{WORD} at a page")
        assert find_in_files(house.folder)
        page.visit("playground", f"flow=talk&session={page.chat.session}")
        page.choose(page.widget("menu_button", "sessions:more:"), mark_gone("Delete"))
        page.press(page.widget("button", "sessions:delete:"))
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


def test_all_that_somebody_deletes_of_theirs(house: AppServer) -> None:
    with open_page(open_browser(house, "olga")) as page:
        for flow in ("talk", "echo"):
            page.visit("playground", f"flow={flow}")
            assert WORD.encode() in page.say(f"{WORD} to {flow} {'at length ' * 2000}")
        assert find_in_files(house.folder)
        page.visit("account")
        page.press(page.widget("button", "account:delete"))
        page.press(page.widget("button", "account:delete:yes"))
        await_clean(house)


def test_a_request_that_is_sent_again_after_its_conversation_was_deleted_says_nothing_of_it(house: AppServer) -> None:
    token = house.token("repeats")
    headers = {"x-api-key": token, "Idempotency-Key": "again"}
    body = {"input_value": f"{WORD} once", "session_id": "mine"}
    first, *more = (
        requests.post(f"{house.url}/api/v1/run/talk", headers=headers, json=body, timeout=20) for _ in range(2)
    )
    assert [first.status_code, WORD in first.text] == [200, True]
    assert [again.json()["outputs"] for again in more] == [first.json()["outputs"]]
    delete(house, token)
    await_clean(house)
    again = requests.post(f"{house.url}/api/v1/run/talk", headers=headers, json=body, timeout=20)
    assert (again.status_code >= 400, WORD in again.text) == (True, False)
    assert not find_in_files(house.folder)


def test_what_was_being_answered_when_it_was_deleted(house: AppServer) -> None:
    key = house.token("slow")
    with requests.post(
        f"{house.url}/api/v1/run/slow?stream=sse", headers={"x-api-key": key}, stream=True, timeout=20,
        json={"input_value": WORD, "session_id": "mine"},
    ) as stream:  # fmt: skip
        lines = stream.iter_lines()
        next(lines)
        assert find_in_files(house.folder)
        delete(house, key)
        assert b"stopped" in b" ".join(lines)
    await_clean(house)


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
        row = {"owner": "o", "flow_id": "f", "name": WORD, "overrides": WORD, "changed_at": 1.0}
        for _ in range(2):
            connection.execute(insert(tables.presets).values(row))

    with pytest.raises(IntegrityError) as failure:
        await store.write(add)
    assert "presets" in str(failure.value)
    told = str(failure.value).replace(str(failure.value.orig), "")  # PostgreSQL's own names the key, of ids and names
    assert WORD not in told


async def test_a_deletion_that_could_not_begin_is_said(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/data/test.db")
    await take(store, "member:ada", "s", WORD)
    (tmp_path / "data" / "test.db").rename(tmp_path / "data" / "moved.db")
    with pytest.raises(StoreUnavailable):
        await store.erase(erasing.erase_conversations, owners=["member:ada"])
    (tmp_path / "data" / "moved.db").rename(tmp_path / "data" / "test.db")
    await store.erase(erasing.erase_conversations, owners=["member:ada"])
    await_none("sqlite", tmp_path)
    store.close()
