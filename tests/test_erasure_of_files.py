"""Files that were deleted are nowhere any more: bytes, names, texts, passages that were cited, and the index."""

from pathlib import Path
from typing import Any

import pytest
import requests

from flowground.store.runs import shared_chats
from flowground.ui.page.parts import mark_gone
from tests.canary import WORD, find_in_files
from tests.chat_socket import open_chat
from tests.page_socket import Browser, open_browser, open_page
from tests.people import PASSWORD
from tests.servers import SHARED, AppServer, House
from tests.test_access_websocket import beside
from tests.waiting import eventually

PASSAGE = "qpassagez"
"""Stands in an author's file, and in what cites it."""
READS = """
chat: {accepts: [text/plain]}
components:
  In: {type: ChatInput}
  File: {type: File, files: "${In.files}"}
  Found: {type: Retrieve, knowledge: handbook, search_query: "lighthouse keys", top_k: 1}
  Prompt: {type: Prompt, template: "{passages} {file}", passages: "${Found.passages}", file: "${File}"}
  Model: {type: LanguageModel, model: "scripted:echo", system_message: "${Prompt}", files: "${In.files}",
    input_value: "${In} ${File}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
knowledge: {handbook: {files: ["knowledge/*.txt"]}}
"""
HOUSE = House(flows={"reads": READS}, shared={"reads": SHARED})
TEXT = f"{WORD} at length. " * 400
SAID = "What is it? [1]"


@pytest.fixture(scope="module", autouse=True)
def _knowledge(house: AppServer) -> None:
    folder = house.folder / "flows" / "knowledge"
    folder.mkdir()
    (folder / "a.txt").write_text(f"A lighthouse keeps its keys on the left: {PASSAGE}.")
    house.member("nina", PASSWORD)


@pytest.fixture(autouse=True)
def _just_begun(house: AppServer) -> None:
    """Only a fiftieth of a process's time goes into writing its file anew: the test before would have this one wait."""
    house.stop()
    house.start()


def keep(house: AppServer, browser: Browser, number: int, name: str = f"{WORD}.txt") -> str:
    """Adds a file at the page, whose bytes no other has; its id."""
    answer = browser.session.post(
        f"{house.url}/file/upload", params={"flow": "reads", "name": name}, data=f"{number} {TEXT}".encode(),
        headers={"Origin": house.url}, timeout=20,
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def talk(house: AppServer, who: str) -> str:
    """A conversation with a file, read by its components, cited, shared and exported, its session's id."""
    browser = open_browser(house, who)
    with open_chat(browser, "reads") as chat:
        chat.show()
        ended = chat.answer(f"{WORD} {SAID}", files=[keep(house, browser, 1)])
        session = chat.session
    assert (WORD in ended["text"], [PASSAGE in one["text"] for one in ended["citations"]]) == (True, [True])
    assert WORD in browser.session.get(f"{house.url}/session/my-data", timeout=20).text
    place: dict[str, Any] = {"flow_id": "reads", "owner": f"member:{who}", "session_id": session}
    beside(house, lambda store, _: store.write(shared_chats.share, **place, expires_at=None))
    for how in ("markdown", "json"):
        exported = browser.session.get(
            f"{house.url}/export/chat", params={"flow": "reads", "session": session, "as": how}, timeout=20
        )
        assert (WORD in exported.text, PASSAGE in exported.text) == (True, True)
    return session


def send(house: AppServer, token: str) -> dict[str, str]:
    """What a program leaves: uploads by either address, runs that name them in each way; the files' paths."""
    headers, run = {"x-api-key": token}, f"{house.url}/api/v1/run/reads"
    paths = {}
    for api, address, key in (("v1", "v1/files/upload/reads", "file_path"), ("v2", "v2/files", "id")):
        form = {"file": (f"{WORD}.txt", f"{api} {TEXT}", "text/plain")}
        added = requests.post(f"{house.url}/api/{address}", headers=headers, files=form, timeout=20)
        paths[api] = added.json()[key]
    body = {"input_value": SAID, "session_id": "mine"}
    for more, query in (
        ({"files": list(paths.values())}, {}),
        ({"files": [paths["v1"]]}, {"stream": "sse"}),
        ({"tweaks": {"File": {"path": paths["v2"]}}}, {"shape": "simple"}),
    ):
        answer = requests.post(run, headers=headers, params=query, json=body | more, timeout=60)
        assert (answer.status_code, WORD in answer.text, PASSAGE in answer.text) == (200, True, True)
    keyed = {**headers, "Idempotency-Key": "once"}
    assert WORD in requests.post(run, headers=keyed, json=body | {"files": [paths["v1"]]}, timeout=60).text
    return paths


def await_clean(house: AppServer) -> None:
    """Returns once the word is in no file of the server's, and the passage in the author's file and its index alone."""

    def find() -> list[str]:
        cited = find_in_files(house.folder, PASSAGE)
        return find_in_files(house.folder) + [name for name in cited if name != "a.txt" and not name.endswith(".index")]

    eventually(lambda: not find(), within=60)
    assert not list_bytes(house)


def list_bytes(house: AppServer) -> list[Path]:
    return list((house.folder / "data" / "files").glob("??/??/*"))


@pytest.mark.parametrize("how", ["this one", "all"])
def test_a_conversation_with_a_file_that_a_person_deletes(house: AppServer, how: str) -> None:
    session = talk(house, "bob")
    assert find_in_files(house.folder)
    with open_page(open_browser(house, "bob")) as page:
        if how == "this one":
            page.visit("playground", f"flow=reads&session={session}")
            page.choose(page.widget("menu_button", "sessions:more:"), mark_gone("Delete"))
            page.press(page.widget("button", "sessions:delete:"))
        else:
            eventually(lambda: b"account:delete" in page.visit("account"))  # a server that has just begun may be slow
            page.press(page.widget("button", "account:delete"))
            page.press(page.widget("button", "account:delete:yes"))
        await_clean(house)


def test_a_file_that_was_never_sent(house: AppServer) -> None:
    bob = open_browser(house, "bob")
    keep(house, bob, 4)
    assert find_in_files(house.folder)
    with open_page(bob) as page:
        page.visit("account")
        page.press(page.widget("button", "account:file_delete:"))
    await_clean(house)


def test_what_a_program_uploaded_ran_with_and_deletes(house: AppServer) -> None:
    token = house.token("files", ["reads"], may=("--sets", "unprotected"))
    headers = {"x-api-key": token}
    paths = send(house, token)
    assert find_in_files(house.folder)
    for address in (
        "api/v1/monitor/messages/session/mine", f"api/v1/files/delete/{paths['v1']}", f"api/v2/files/{paths['v2']}",
    ):  # fmt: skip
        assert requests.delete(f"{house.url}/{address}", headers=headers, timeout=20).status_code in {200, 204}
    await_clean(house)


def test_somebody_who_is_removed_leaves_no_file(house: AppServer) -> None:
    talk(house, "nina")
    keep(house, open_browser(house, "nina"), 5)
    assert list_bytes(house)
    assert house.run_command("members", "remove", "nina").returncode == 0
    assert not list_bytes(house)
    await_clean(house)


def test_an_authors_file_that_is_gone_is_in_no_index(house: AppServer) -> None:
    """As soon as the server has looked at the folder again, which it does every few seconds."""
    file = house.folder / "flows" / "knowledge" / "b.txt"
    file.write_text(TEXT)
    eventually(lambda: any(name.endswith(".index") for name in find_in_files(house.folder)))
    file.unlink()
    await_clean(house)
