"""Every passage against every caller: what an answer cites is read by whoever reads the answer, and at pages what was
looked up for it, unless the flow says otherwise. Nothing is left of either once the conversation is gone."""

from typing import Any

import pytest
import requests

from flowground.store.runs import shared_chats
from tests.chat_socket import open_chat
from tests.page_socket import Browser, open_browser, open_page
from tests.servers import PUBLIC, AppServer, House
from tests.test_access_websocket import beside

ALONE = "A lighthouse keeps its keys on the left."
CITED, LOOKED_UP, ELSEWHERE = "Canary lodgings cost forty.", "Canary badges are worn.", "Canary salaries are secret."
FLOW = """\
name: Handbook
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: canary lodgings cost badges, top_k: 2}
  Model: {type: LanguageModel, model: scripted, system_message: "${Found.passages}", input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge: {handbook: {files: ["knowledge/*.txt"]}}
"""
OWN = FLOW.replace("canary lodgings cost badges", "'${In}'").replace("knowledge/*.txt", "knowledge/own/*.txt")
SAID = "So it is [1], and [9] is none."
CALLS = 'call Found {"search_query": "canary lodgings cost badges"}\n'
AGENT = """\
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, top_k: 2}
  Agent: {type: Agent, model: calling, input_value: "${In}", tools: [Found]}
  Out: {type: ChatOutput, input_value: "${Agent}"}
knowledge: {handbook: {files: ["knowledge/*.txt"]}}
"""
FLOWS = {"talk": FLOW, "quiet": f"{FLOW}chat: {{show_sources: false}}\n", "agent": AGENT}
FLOWS["shows"] = f"{AGENT}chat: {{show_tools: true}}\n"
HOUSE = House(
    flows=FLOWS | {"own": OWN},
    shared=dict.fromkeys(FLOWS, PUBLIC),
    config={
        "sharing": {"allow_public": True},
        "providers": {"calling": {"type": "scripted", "pieces": [CALLS, SAID]}},
    },
)
SEES = {"talk": True, "quiet": False, "agent": False, "shows": True}
"""Whether people are shown what is not cited."""


@pytest.fixture(scope="module", autouse=True)
def _files(house: AppServer) -> None:
    folder = house.folder / "flows" / "knowledge"
    (folder / "own").mkdir(parents=True)
    (folder / "own" / "d.txt").write_text(ALONE)
    for name, text in (("a", CITED), ("b", LOOKED_UP), ("c", ELSEWHERE)):
        (folder / f"{name}.txt").write_text(text)
    token = house.token("first", ["talk"])
    said = ask(house, token, "[1]", shape="simple")
    assert said["citations"][0]["text"] == CITED


def ask(house: AppServer, token: str, text: str, **more: Any) -> dict[str, Any]:
    answer = send(house, token, text, **more)
    assert answer.status_code == 200
    said: dict[str, Any] = answer.json()
    return said


def send(
    house: AppServer, token: str, text: str, *, flow: str = "talk", session: str = "s", key: str = "", **query: str
) -> requests.Response:
    headers = {"x-api-key": token} | ({"Idempotency-Key": key} if key else {})
    body = {"input_value": text, "session_id": session}
    address = f"{house.url}/api/v1/run/{flow}"
    return requests.post(address, json=body, params=query, headers=headers, timeout=60)


def check(sent: str | bytes, *, sees: bool = False) -> None:
    """The cited passage is there, what was looked up besides where that is seen, and no more of the files."""
    text = sent.decode(errors="replace") if isinstance(sent, bytes) else sent
    assert [words in text for words in (CITED, LOOKED_UP, ELSEWHERE)] == [True, sees, False]


@pytest.mark.parametrize("flow", SEES)
@pytest.mark.parametrize("who", ["bob", "olga", "augusta", None])
def test_a_page_is_sent_what_is_cited_while_it_grows_at_its_end_and_when_it_is_opened_again(
    house: AppServer, who: str | None, flow: str
) -> None:
    sees, looked_up = SEES[flow], [2] if SEES[flow] else []
    browser = open_browser(house, who) if who else Browser(house.url)
    with open_chat(browser, flow, is_public=who is None) as chat:
        chat.show()
        chat.answer(SAID)
        session, sent, told = chat.session, chat.spell(), chat.told
    growing = [frame for frame in told if frame["type"] == "text"]
    assert [passage["text"] for frame in growing for passage in frame.get("citations", ())] == [CITED]
    before = told[: told.index(growing[0])]
    found = [passage["text"] for frame in before if frame["type"] == "sources" for passage in frame["passages"]]
    assert found == ([CITED, LOOKED_UP] if sees else [])
    (ended,) = [frame for frame in told if frame["type"] == "ended"]
    assert read_numbers(ended["messages"][0]) == ([1], looked_up)
    inside = flow == "agent" and who in ("olga", "augusta")  # they see what the tool gave
    check(sent, sees=sees or inside)
    with open_chat(browser, flow, is_public=who is None) as chat:
        shown = chat.show(session)
        assert read_numbers(shown["messages"][1]) == ([1], looked_up)
        check(chat.spell(), sees=sees or inside)
    place = "&at=public" if who is None else ""
    for how in ("markdown", "json"):
        address = f"{house.url}/export/chat?flow={flow}&session={session}&as={how}{place}"
        written = requests.get(address, headers={"Cookie": browser.cookies}, timeout=30).text
        check(written, sees=sees and how == "json")
        assert ("knowledge/b.txt" in written) is sees


def read_numbers(message: dict[str, Any]) -> tuple[list[int], list[int]]:
    cited, others = ([passage["number"] for passage in message.get(name, ())] for name in ("citations", "sources"))
    return cited, others


@pytest.mark.parametrize("may", [(), ("--sees", "inside")])
def test_programs_are_told_what_is_cited_by_every_door(house: AppServer, may: tuple[str, ...]) -> None:
    token = house.token(f"t{len(may)}", ["talk"], may=may)
    output = ask(house, token, SAID, session="own")["outputs"][0]["outputs"][0]
    (cited,) = output["artifacts"]["citations"]
    assert cited == {"number": 1, "text": CITED, "source": "knowledge/a.txt", "start": 0, "end": len(CITED)}
    assert "citations" not in ask(house, token, "none [9]", session="own")["outputs"][0]["outputs"][0]["artifacts"]
    assert ask(house, token, SAID, shape="simple")["citations"] == [cited]
    queries: list[dict[str, Any]] = [{"stream": "true"}, {"stream": "sse"}, {"stream": "sse", "shape": "simple"}]
    for query in queries:
        check(send(house, token, SAID, **query).text)
    first, again = (send(house, token, SAID, key="k", session="keyed", shape="simple").json() for _ in range(2))
    assert (first, first["citations"]) == (again, [cited])
    headers = {"x-api-key": token}
    said = requests.get(f"{house.url}/api/v1/monitor/messages?session_id=own", headers=headers, timeout=30)
    if not may:
        check(said.text)
    assert said.json()[1]["properties"]["citations"] == [cited]


@pytest.mark.parametrize("flow", ["talk", "agent"])
def test_who_may_read_a_shared_chat_reads_what_it_cites(house: AppServer, flow: str) -> None:
    with open_page(open_browser(house, "bob")) as page:
        page.visit("playground", f"flow={flow}")
        page.say(SAID)
        session = page.chat.session
    place: dict[str, Any] = {"flow_id": flow, "owner": "member:bob", "session_id": session}
    key = beside(house, lambda store, _: store.write(shared_chats.share, **place, expires_at=None)).id
    with open_page(open_browser(house, "zoe")) as page:
        check(page.visit("shared_chat", f"id={key}"), sees=SEES[flow])
    with open_page(Browser(house.url)) as page:
        assert CITED.encode() not in page.visit("shared_chat", f"id={key}")


def test_a_number_opens_what_was_found_in_that_run_and_nothing_else(house: AppServer) -> None:
    """Whoever has every number said reads what their own run gave the model; nothing of an earlier turn, of another's
    run, or of what other flows look up."""
    numbers = " ".join(f"[{number}]" for number in range(1, 40))
    ada, bob = (house.token(name, ["talk", "own"]) for name in ("numbers-ada", "numbers-bob"))

    def cite(token: str, text: str) -> list[str]:
        said = ask(house, token, f"{text} {numbers}", flow="own", session="numbers", shape="simple")
        return [passage["text"] for passage in said.get("citations", ())]

    cited = ask(house, ada, numbers, shape="simple")["citations"]
    assert [passage["text"] for passage in cited] == [CITED, LOOKED_UP]
    assert cite(ada, "lighthouse") == [ALONE]
    assert [cite(token, "zebra") for token in (ada, bob)] == [[], []]
    for token in (ada, bob):  # the next test looks for what is left of such a conversation
        left = f"{house.url}/api/v1/monitor/messages/session/numbers"
        assert requests.delete(left, headers={"x-api-key": token}, timeout=30).status_code == 204


def test_nothing_is_left_of_a_passage_once_its_conversation_is_gone(house: AppServer) -> None:
    token = house.token("leaving", ["own"])
    said = ask(house, token, "lighthouse [1]", flow="own", session="gone", shape="simple")
    assert said["citations"][0]["text"] == ALONE
    assert find_kept(house) == ["messages"]
    end = requests.delete(f"{house.url}/api/v1/monitor/messages/session/gone", headers={"x-api-key": token}, timeout=30)
    assert (end.status_code, find_kept(house)) == (204, [])


def find_kept(house: AppServer) -> list[str]:
    """Tables in which the passage stands that only one conversation cites."""

    def look(connection: Any) -> list[str]:
        names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        return [name for name in names if ALONE in str(connection.exec_driver_sql(f'SELECT * FROM "{name}"').all())]

    found: list[str] = beside(house, lambda store, _: store.read(look))
    return found
