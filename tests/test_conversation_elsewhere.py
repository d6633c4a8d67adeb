"""Two processes of one app: a page of one follows an answer that the other writes, as far as that keeps what is said;
calls of tools that wait in one are decided at the other."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import requests
from websockets.exceptions import ConnectionClosed

from flowground.api.app import create_api
from flowground.app import own_runs, runs_elsewhere
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import chunks, turns
from flowground.store.runs.records import RunRecord, StoredMessage
from tests import run_rows
from tests.acting import ASKING_FIRST, SUM
from tests.api.serving import serving
from tests.browser import Browser
from tests.chat_socket import ChatSocket, TalkHere, join_texts, open_chat, read_text
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.run_rows import now
from tests.servers import AppServer, write_folder
from tests.store_databases import DATABASES, empty_database
from tests.two_servers import two_servers
from tests.waiting import eventually

PLACE: dict[str, Any] = {"flow_id": "talk", "owner": str(LOCAL_OWNER.owner), "session_id": "elsewhere"}


Pair = tuple[AppServer, AppServer]


@pytest.fixture(scope="module", params=DATABASES)
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("servers")
    with empty_database(request.param, folder) as url, two_servers(folder, url) as both:
        yield both


def test_an_answer_of_another_server_grows_to_its_end(servers: Pair) -> None:
    """Also at a page that was open before: its message is refused, and then it follows."""
    first, second = (Browser(server.url) for server in servers)
    with open_chat(first, "slow") as here, open_chat(second, "slow") as before, open_chat(second, "slow") as there:
        here.show()
        assert before.show(here.session)["messages"] == []
        here.say(" ".join(f"word{number}" for number in range(160)))
        run = here.read_until("started")["run"]
        assert there.show(here.session)["messages"][-1]["role"] == "user"
        assert there.read_until("started")["run"] == run
        for page in (before, there):
            refused = page.refuse("Also this")["text"]
            assert refused == "An answer is still being written in this conversation."
        while not (started := [told["run"] for told in before.told if told["type"] == "started"]):
            before.read()  # it may have been told before its message was refused
        assert set(started) == {run}
        shown = [told["messages"] for told in before.told if told["type"] == "conversation"]
        assert [said["role"] for said in shown[-1]] == ["user"]
        ended = there.read_until("ended")
        assert [said["state"] for said in ended["messages"]] == ["complete"]
        assert len([told for told in there.told if told["type"] == "text"]) > 1
        for page in (before, here):
            page.read_until("ended")
        assert read_text(there.told, ended) == join_texts(here.told)[ended["messages"][0]["id"]]
        assert there.ask("Thanks") == "You said: Thanks"


def test_of_two_messages_at_once_one_is_asked(servers: Pair) -> None:
    """Whichever server takes them; the other's text is given back."""
    browsers = [Browser(server.url) for server in servers]
    session = str(uuid4())
    for number in range(1, 6):
        with open_chat(browsers[0], "long") as here, open_chat(browsers[1], "long") as there:
            said = here.show(session)["messages"]
            assert [one["role"] for one in said] == ["user", "assistant"] * (number - 1)
            there.show(session)
            named = [(page, page.say("Go")) for page in (here, there)]
            outcomes = {page: read_outcome(page, name) for page, name in named}
            assert sorted(outcomes.values()) == ["refused", "started"]
            asked = here if outcomes[here] == "started" else there
            assert asked.stop()["messages"][0]["state"] == "stopped"


def read_outcome(page: ChatSocket, name: str) -> str:
    """What became of the page's message of this name."""
    while (told := page.read_until("started", "refused")).get("id") != name:
        pass
    return str(told["type"])


def test_it_is_stopped_from_there(servers: Pair) -> None:
    first, second = servers
    with open_chat(Browser(first.url), "long") as here, open_chat(Browser(second.url), "long") as there:
        here.show()
        here.say("Go")
        run = here.read_until("started")["run"]
        there.show(here.session)
        there.read_until("text")
        there.send("stop", run=run)
        for page in (here, there):
            [answer] = page.read_until("ended")["messages"]
            assert answer["state"] == "stopped"
        # The last word before a stop may be stored and not sent any more where the run was.
        assert read_text(there.told, there.told[-1]).startswith(read_text(here.told, here.told[-1]))


def test_of_a_server_that_died_its_words_stay_or_the_question_alone(servers: Pair) -> None:
    first, second = servers
    with ExitStack() as stack:
        long, silent = (stack.enter_context(open_chat(Browser(second.url), flow)) for flow in ("long", "silent"))
        with suppress(ConnectionClosed), ExitStack() as dying:
            for there, flow in ((long, "long"), (silent, "silent")):
                here = dying.enter_context(open_chat(Browser(first.url), flow))
                here.show()
                here.say("Go")
                here.read_until("started")
                there.show(here.session)
            silent.read_until("started")
            long.read_until("text")
            first.kill()
        ended = long.read_until("ended")
        [answer] = ended["messages"]
        assert answer["state"] == "interrupted"
        assert read_text(long.told, ended).startswith("word1 ")
        long.send("again", id="again", session=long.session, message=answer["id"])
        assert long.read_until("started", "refused")["type"] == "started"
        long.stop()
        assert silent.read_until("ended")["messages"] == []  # the page looks anew
        assert silent.show(silent.session)["messages"][-1]["state"] == "interrupted"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Runtime]:
    with runtime_of(write_folder(tmp_path, config={}, flows={"talk": flow_text("scripted:echo", "Talk")})) as running:
        yield running


@pytest.fixture
def idle(app: Runtime) -> Iterator[Store]:
    """Another process, by its lock."""
    store = Store.open(app.settings.database)
    store.process.acquire()
    yield store
    store.close()


def begin(store: Store, **question: Any) -> RunRecord:
    run = RunRecord("r", "talk", "v", PLACE["owner"], "elsewhere", "running", now(), 0, holder=store.process.id)
    asked = StoredMessage("q", "user", "Anybody?", "complete", now(), "r", **question)
    asyncio.run(store.write(turns.begin_turn, **PLACE, message=asked, run=run))
    return run


def keep(store: Store, before: dict[str, str], **texts: str) -> None:
    asyncio.run(run_rows.keep(store, "r", texts, before=before, **PLACE))


def test_all_pages_are_told_by_one_look_at_a_time(app: Runtime, idle: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = chunks.poll

    def count(*args: Any, **given: Any) -> chunks.Polled:
        looks.append(len(given["after"]))
        return look(*args, **given)

    monkeypatch.setattr(chunks, "poll", count)
    monkeypatch.setattr(runs_elsewhere, "_LOOK_SECONDS", 0.2)
    begin(idle)
    keep(idle, {}, a="", b="")
    pages = [TalkHere(app, "talk") for _ in range(50)]
    for page in pages:
        page.show("elsewhere")
        assert [answer["id"] for answer in page.read_until("started")["answers"]] == ["a", "b"]
    pages[0].send("again", id="again", session="elsewhere", message="q")
    assert "still being written" in pages[0].read_until("refused")["text"]
    before = len(looks)
    said = {"a": "", "b": ""}
    for texts in ({"a": "So", "b": ""}, {"a": "So far", "b": "Two"}):
        keep(idle, said, **texts)
        said = texts
        for page in pages:
            page.read_until("text")
    assert len(looks) - before < len(pages)
    assert set(looks) == {1}
    late = TalkHere(app, "talk")
    assert late.show("elsewhere")["running"] == "r"  # else a page that comes back would forget what it had
    assert [answer["id"] for answer in late.read_until("started")["answers"]] == ["a", "b"]
    late.read_until("text")
    idle.close()
    for page in (*pages, late):
        ended = page.read_until("ended")
        assert [message["id"] for message in ended["messages"]] == ["a", "b"]
        assert join_texts(page.told)["b"] == "Two"
        assert read_text(page.told, ended).startswith("So far")


def test_pages_that_were_open_before_are_told_when_rights_are_looked_at(app: Runtime, idle: Store) -> None:
    """Every ten seconds, and after a change. A few are told at once, the others ask at their person's pace."""
    pages, stranger = [TalkHere(app, "talk") for _ in range(8)], TalkHere(app, "talk")
    for page in pages:
        page.show("elsewhere")
    stranger.show("another")
    begin(idle)
    keep(idle, {}, a="")
    app.store.on_rights_change()
    told = [page.read_until("conversation", "behind")["type"] for page in pages]
    assert sorted(told) == ["behind"] * 3 + ["conversation"] * 5
    for page, kind in zip(pages, told, strict=True):
        if kind == "behind":
            page.show("elsewhere")
        assert page.read_until("started")["run"] == "r"
    app.store.on_rights_change()
    assert [page.read_rest() for page in (*pages, stranger)] == [[]] * 9


UNKEPT = ASKING_FIRST.replace("type: ChatInput", "type: ChatInput, should_store_message: false")
FLOWS = {"careful": ASKING_FIRST, "unkept": UNKEPT}
SAID = {"input_value": SUM, "session_id": "s"}


class Servers:
    """Two processes on one database, and a client of both."""

    def __init__(self, one: AppServer, other: AppServer) -> None:
        self.one, self.other = one, other
        self.headers = {"x-api-key": one.token("test")}

    def begin(self, flow: str = "careful") -> Any:
        """A run of the first, in which a call waits."""
        told = requests.post(f"{self.one.url}/api/v1/run/{flow}", json=SAID, headers=self.headers, timeout=60)
        assert told.status_code == 202, told.text
        return told.json()

    def decide(self, waits: Any, decision: str, **changed: Any) -> requests.Response:
        """At the second."""
        (call,) = waits["waiting"]
        said = {"call": call["call"], "digest": call["digest"], "decision": decision} | changed
        headers = said.pop("headers", self.headers)
        url = f"{self.other.url}/api/v1/runs/{waits['run_id']}/decisions"
        return requests.post(url, json=said, headers=headers, timeout=60)

    def read(self, waits: Any, server: AppServer | None = None) -> Any:
        url = f"{(server or self.one).url}/api/v1/runs/{waits['run_id']}"
        return requests.get(url, headers=self.headers, timeout=60).json()

    def read_answer(self, waits: Any) -> str:
        eventually(lambda: self.read(waits)["status"] == "complete")
        return str(self.read(waits)["answers"][0]["text"])


@pytest.fixture(scope="module", params=DATABASES)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("both")
    with (
        empty_database(request.param, folder) as url,
        AppServer(folder / "one", config={"database": url}, flows=FLOWS) as one,
        AppServer(folder / "other", config={"database": url}, flows=FLOWS) as other,
    ):
        yield Servers(one, other)


@pytest.mark.parametrize(("decision", "said"), [("once", "42"), ("refuse", "The person refused it")])
def test_a_decision_works_at_the_process_that_does_not_run_it(both: Servers, decision: str, said: str) -> None:
    waits = both.begin()
    taken = both.decide(waits, decision)
    assert (taken.status_code, taken.json()["id"]) == (200, waits["run_id"])
    assert both.read_answer(waits).startswith(f"The tools said: {said}")
    again = both.decide(waits, decision)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_waits")


def test_a_run_that_waits_says_so_at_every_process_until_it_is_decided(both: Servers) -> None:
    waits = both.begin()
    eventually(lambda: both.read(waits, both.other)["status"] == "waiting")
    assert both.read(waits, both.other)["waiting"] == both.read(waits)["waiting"] == waits["waiting"]
    taken = both.decide(waits, "once").json()
    assert taken["status"] in ("running", "complete")
    assert "waiting" not in taken
    both.read_answer(waits)
    assert both.read(waits, both.other) == both.read(waits)


def test_of_a_run_that_keeps_nothing_no_call_is_told_elsewhere_but_decided(both: Servers) -> None:
    waits = both.begin("unkept")
    told = both.read(waits, both.other)
    assert (told["status"], "waiting" in told) == ("running", False)
    assert both.decide(waits, "refuse").status_code == 200


@pytest.mark.parametrize("changed", [{"digest": "0" * 64}, {"call": 2}])
def test_what_nothing_waits_for_changes_nothing_there(both: Servers, changed: dict[str, Any]) -> None:
    check_refused(both, 409, **changed)


def test_nobody_elses_word_is_passed_on(both: Servers) -> None:
    check_refused(both, 404, headers={"x-api-key": both.other.token("somebody else")})


def check_refused(both: Servers, status: int, **changed: Any) -> None:
    """The run waits on for the right word."""
    waits = both.begin()
    refused = both.decide(waits, "once", **changed)
    assert refused.status_code == status
    assert status == 404 or refused.json()["code"] == "nothing_waits"
    assert both.read(waits)["status"] == "waiting"
    assert both.decide(waits, "refuse").status_code == 200


@pytest.mark.anyio
async def test_who_decides_is_told_where_a_process_takes_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_runs, "_POLLS", 1)
    monkeypatch.setattr(own_runs, "_POLL_SECONDS", 0)
    async with serving(tmp_path, flows=FLOWS) as api:
        other = Runtime(Settings.load(tmp_path / "config.yaml"))
        await other.start()
        transport = httpx2.ASGITransport(app=create_api(lambda: other))
        waits = (await api.run("careful", SAID)).json()
        (call,) = waits["waiting"]
        said = {"call": call["call"], "digest": call["digest"], "decision": "refuse"}
        path = f"/api/v1/runs/{waits['run_id']}/decisions"
        async with httpx2.AsyncClient(transport=transport, base_url="http://other") as client:
            refused = await client.post(path, json=said, headers=api.client.headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "decided_elsewhere")
        await other.close()
