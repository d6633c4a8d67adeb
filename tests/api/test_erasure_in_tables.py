"""What was deleted stands in no table of PostgreSQL and in no file of the data folder: a chat with its file and what it
cites, an account, what an author added to a knowledge, and its index."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flowground.app import knowledge_admin
from flowground.core.caller import LOCAL_OWNER
from flowground.store.people import members
from flowground.store.runs import files
from tests.api.calls import Api
from tests.api.serving import serving
from tests.canary import WORD, find_in_files, find_in_tables, finish_removals
from tests.store_databases import DATABASES, empty_database
from tests.waiting import eventually

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
            assert {"messages", "files", "knowledge_passages"} <= found, found
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
