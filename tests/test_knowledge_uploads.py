"""Files that authors add to a knowledge: taken by the page's route, found by flows, gone when they are removed."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from flowground.app import knowledge_admin
from flowground.app.retention import FILES
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER, Caller
from flowground.core.errors import FlowgroundError, FlowNotFound, NoDocuments
from flowground.knowledge import KnowledgeMissing
from flowground.store.runs import files
from flowground.store.runs.files import AddedFiles
from tests.chat_socket import open_chat
from tests.page_socket import Browser, open_browser, open_page
from tests.running import running
from tests.servers import SHARED, AppServer, House
from tests.waiting import eventually

FLOW = """\
owners: [olga]
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${In}"}
  Out: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
  folder: {files: ["knowledge/*.md"]}
"""
BARE = (
    FLOW.partition("  folder:")[0]
    .replace("${Found.passages}", "${Model}")
    .replace(
        "  Out:", '  Model: {type: LanguageModel, model: "scripted:fail", input_value: "${Found.passages}"}\n  Out:'
    )
)
RULES = {"rules": {"uploads": True}}
LIMITS = {"file_bytes": 9_000, "knowledge_bytes": 12_000, "page_runs_per_minute": 0}
HOUSE = House(
    flows={"travel": FLOW, "bare": BARE, "wrong": BARE.replace("knowledge: handbook", "knowledge: handbok")},
    shared={"travel": SHARED, "bare": SHARED},
    config={"knowledge": RULES, "limits": LIMITS},
)
LYON = b"Hotels in Lyon cost 120 euros."
TRAVEL = {"flow": "travel", "knowledge": "handbook"}


def add(browser: Browser, data: bytes = LYON, *, origin: str = "", **asked: str) -> requests.Response:
    params = {"name": "hotels.md"} | TRAVEL | asked
    headers = {"Origin": origin or browser.url}
    return browser.session.post(f"{browser.url}/file/knowledge", params=params, data=data, headers=headers, timeout=20)


def say(browser: Browser, text: str) -> str:
    with open_chat(browser, "travel") as chat:
        chat.show()
        chat.send("say", id="1", session=chat.session, text=text)
        return str(chat.read_until("ended")["messages"][-1]["text"])


def test_what_an_author_adds_is_found_by_who_may_run_the_flow(house: AppServer) -> None:
    olga, bob = open_browser(house, "olga"), open_browser(house, "bob")
    answer = add(olga, name="../hotels.md")
    assert (answer.status_code, answer.json()["name"], answer.json()["size"]) == (201, "hotels.md", len(LYON))
    assert say(bob, "Lyon") == f"[1] uploads/hotels.md\n{LYON.decode()}"  # the question waits for the index
    assert add(olga, LYON.replace(b"120", b"130")).status_code == 201
    assert eventually(lambda: say(bob, "Lyon").endswith("cost 130 euros."))


def read_page(browser: Browser, flow: str = "bare") -> tuple[bool, bool]:
    """Whether the empty chat says that there are no documents, and offers to add some."""
    with open_page(browser) as page:
        told = page.visit("playground", f"flow={flow}").decode(errors="replace")
    assert '"adds_documents":' in told
    return f'"lacks_documents": "{NoDocuments.says}"' in told, '"adds_documents": true' in told


def test_a_flow_without_documents_says_so_and_asks_no_model(house: AppServer) -> None:
    browsers = {name: open_browser(house, name) for name in ("olga", "augusta", "bob")}
    pages = {name: read_page(browser) for name, browser in browsers.items()}
    assert pages == {"olga": (True, True), "augusta": (True, True), "bob": (True, False)}
    assert read_page(browsers["olga"], "wrong") == (False, False)
    told = {"text": NoDocuments.says, "hint": None, "lacks_documents": True}
    for browser in browsers.values():
        with open_chat(browser, "bare") as chat:
            chat.show()
            assert chat.answer("Lyon")["error"] == told
            assert chat.show(chat.session)["messages"][1]["error"] == told
    for may in ((), ("--sees", "inside")):
        headers = {"x-api-key": house.token(f"t{len(may)}", may=may)}
        answer = requests.post(f"{house.url}/api/v1/run/bare", json={"input_value": "x"}, headers=headers, timeout=60)
        said = answer.json()
        assert (answer.status_code, said["code"]) == (503, "no_documents")
        assert said["detail"]["component"] == ("Found" if may else None)
        assert NoDocuments.says in said["detail"]["message"]
    assert add(browsers["olga"], flow="bare").status_code == 201
    assert read_page(browsers["olga"]) == (False, True)  # they are read in a moment
    with open_chat(browsers["olga"], "bare") as chat:
        chat.show()
        assert "The scripted model fails." in chat.answer("Lyon")["error"]["text"]


@pytest.mark.parametrize(
    ("data", "name", "status", "says"),
    [
        (b"", "a.md", 422, "a.md is empty"),
        (b"x" * 9_001, "a.md", 413, "over 9 kB"),
        (b"\x89PNG\r\n\x1a\n", "a.png", 422, "a.png is no kind of file that is read; pdf, docx, html, csv"),
        (b"plain", "a.pdf", 422, "a.pdf is text/plain, not what its name says"),
        (b"%PDF-1.7", "a.txt", 422, "a.txt is application/pdf, not what its name says"),
        (b"MZ\x90\0", "a.txt", 422, "not what its name says"),
    ],
)
def test_what_cannot_be_read_is_refused(house: AppServer, data: bytes, name: str, status: int, says: str) -> None:
    refused = add(open_browser(house, "olga"), data, name=name)
    assert (refused.status_code, says in refused.text) == (status, True), refused.text


def test_a_knowledge_has_a_quota_and_takes_a_file_of_the_same_name_in_its_place(house: AppServer) -> None:
    augusta = open_browser(house, "augusta")
    shared = {"flow": "", "knowledge": "rules"}
    assert add(augusta, b"x" * 8_000, name="long.txt", **shared).status_code == 201
    assert add(augusta, b"y" * 9_000, name="long.txt", **shared).status_code == 201
    refused = add(augusta, b"z" * 8_000, name="more.txt", **shared)
    assert (refused.status_code, "of this knowledge would take more than 12 kB" in refused.text) == (422, True)


def test_who_may_not_is_told_what_an_unknown_one_is(house: AppServer) -> None:
    """A member; an author, for what all flows share; a page of another site; nobody."""
    olga, bob = open_browser(house, "olga"), open_browser(house, "bob")
    unknown = add(olga, knowledge="nothing")
    assert unknown.status_code == 404
    for refused in (add(bob), add(bob, flow="nothing"), add(olga, flow="", knowledge="rules")):
        assert (refused.status_code, refused.content) == (404, unknown.content)
    assert add(olga, origin="https://evil.example").status_code == 403
    assert add(Browser(house.url)).status_code == 403
    refused = add(olga, knowledge="folder")
    assert (refused.status_code, "takes no files here" in refused.text) == (422, True)


async def pieces(data: bytes) -> Any:
    yield data


async def add_here(runtime: Runtime, name: str, data: bytes = LYON) -> str:
    asked: dict[str, Any] = {"file_name": name, "pieces": pieces(data)}
    return (await knowledge_admin.add_file(runtime, LOCAL_OWNER, "travel", "handbook", **asked)).reference.id


async def find(runtime: Runtime, question: str) -> list[str]:
    hits, _ = await knowledge_admin.find_passages(runtime, LOCAL_OWNER, "travel", "handbook", question)
    return [hit.source for hit in hits]


def holds(folder: Path, word: bytes) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and word in path.read_bytes().lower()]


async def test_what_is_removed_is_nowhere_any_more(tmp_path: Path) -> None:
    """A word of the file is looked for in all that is kept: database, files, index."""
    async with running(tmp_path, {"travel": FLOW}) as runtime:
        await runtime.library.close()  # the app would index by itself
        (shelved,) = [one for one in runtime.library.list_of("travel") if one.name == "handbook"]
        for number in range(40):
            await add_here(runtime, f"other{number}.md", b"Something else is said here, at length. " * 9)
        key = await add_here(runtime, "secret.md", b"The word is xylocarp. " * 200)
        with pytest.raises(KnowledgeMissing):
            await find(runtime, "xylocarp")
        await runtime.library.index(shelved)
        assert set(await find(runtime, "xylocarp")) == {"uploads/secret.md"}
        assert holds(runtime.settings.data, b"xylocarp")
        await knowledge_admin.remove_file(runtime, LOCAL_OWNER, "travel", "handbook", key)
        await runtime.library.index(shelved)
        assert "uploads/secret.md" not in await find(runtime, "xylocarp")
        runtime.retention_task.look_soon(FILES)
        await runtime.files.sweep(time.time())
        await asyncio.to_thread(eventually, lambda: not holds(runtime.settings.data, b"xylocarp"))
        assert await find(runtime, "something")
        shown = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "travel", "handbook")
        assert len(shown.uploads) == len(shown.indexed or ()) == 40


async def test_a_page_is_told_what_is_there_and_what_could_not_be_read(tmp_path: Path) -> None:
    async with running(tmp_path, {"travel": FLOW}, config={"knowledge": RULES}) as runtime:
        await runtime.library.close()  # the app would index by itself
        first = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "travel", "handbook")
        assert (first.indexed, first.is_outdated, first.may_change) == (None, True, True)
        await add_here(runtime, "hotels.md")
        await add_here(runtime, "old.pdf", b"%PDF-1.7 broken")
        await runtime.library.index(runtime.library.find("travel", "handbook"))
        names = [("travel", "handbook"), ("travel", "folder"), ("", "rules")]
        assert await knowledge_admin.list_knowledge(runtime, LOCAL_OWNER, "travel") == names
        assert await knowledge_admin.list_knowledge(runtime, LOCAL_OWNER, "") == [("", "rules")]
        handbook = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "travel", "handbook")
        assert {source: (file.passages, file.note) for source, file in (handbook.indexed or {}).items()} == {
            "uploads/hotels.md": (1, ""),
            "uploads/old.pdf": (0, "uploads/old.pdf is a damaged PDF."),
        }
        assert not handbook.is_outdated


async def test_files_of_a_knowledge_stay_when_those_of_no_conversation_go(tmp_path: Path) -> None:
    async with running(tmp_path, {"travel": FLOW}) as runtime:
        await add_here(runtime, "hotels.md")
        later = time.time() + 1
        assert await runtime.store.write(files.delete_old, before=later) == 0
        assert await runtime.store.write(files.delete_unsent, before=later) == 0
        first = await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "travel", "handbook")
        assert [one.reference.name for one in first.uploads] == ["hotels.md"]
        with pytest.raises(FlowNotFound):
            await knowledge_admin.remove_file(runtime, LOCAL_OWNER, "travel", "nothing", first.uploads[0].reference.id)


async def test_what_no_flow_names_any_more_stays_until_an_admin_deletes_it(tmp_path: Path) -> None:
    """Not while the flow's file has mistakes, nor once it is there again; for nobody else it is there at all."""
    author = Caller("member", "olga", role="author")
    async with running(tmp_path, {"travel": FLOW}) as runtime:
        file = tmp_path / "flows" / "travel.yaml"

        async def list_left(text: str | None) -> list[AddedFiles]:
            """Once this stands in the flow's file; None: there is none."""
            file.unlink() if text is None else file.write_text(text)
            for _ in range(2):  # a file that is saved may be away at one look
                await runtime.catalogue.read_now()
            return list(await knowledge_admin.list_orphaned(runtime, LOCAL_OWNER))

        await add_here(runtime, "hotels.md")
        assert await knowledge_admin.list_orphaned(runtime, LOCAL_OWNER) == []
        with pytest.raises(FlowNotFound):
            await knowledge_admin.remove_orphaned(runtime, LOCAL_OWNER, "travel/handbook")
        assert await list_left("components: [") == []
        (left,) = await list_left(None)
        assert (left.address, left.count, left.size) == ("travel/handbook", 1, len(LYON))
        for asked in (
            knowledge_admin.list_orphaned(runtime, author),
            knowledge_admin.remove_orphaned(runtime, author, left.address),
        ):
            with pytest.raises(FlowgroundError):
                await asked
        assert await list_left(FLOW) == []
        assert len((await knowledge_admin.read_knowledge(runtime, LOCAL_OWNER, "travel", "handbook")).uploads) == 1
        assert await list_left(None) == [left]
        await knowledge_admin.remove_orphaned(runtime, LOCAL_OWNER, left.address)
        assert await knowledge_admin.list_orphaned(runtime, LOCAL_OWNER) == []
        await runtime.files.sweep(time.time())
        assert holds(runtime.settings.data / "files", b"lyon") == []
