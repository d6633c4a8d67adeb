"""Files of the API: Langflow's calls as recorded, what is refused, and what reaches a run and its message."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from flowground.store.runs import erasing, files
from tests.api.calls import Api
from tests.api.serving import serving
from tests.canary import WORD
from tests.running import chat_flow
from tests.waiting import eventually, list_files

PNG = b"\x89PNG\r\n\x1a\n" + WORD.encode() * 40
TAKES = """
name: Takes files
chat: {accepts: [image/*, application/pdf, text/plain]}
components:
  In: {type: ChatInput}
  Out: {type: ChatOutput, input_value: "${In} with ${In.files}"}
"""


@pytest.fixture
async def api(url: str, tmp_path: Path) -> AsyncIterator[Api]:
    small = TAKES.replace("plain]", "plain], file_bytes: 2000")
    flows = {"takes": TAKES, "small": small, "none": chat_flow("scripted:echo")}
    config = {"database": url, "limits": {"file_bytes": 100_000, "message_files": 3, "person": {"file_bytes": 400_000}}}
    async with serving(tmp_path, config=config, flows=flows) as opened:
        yield opened


def form(name: str = "hello.txt", data: bytes = b"hello file") -> dict[str, Any]:
    return {"file": (name, data, "application/x-msdownload")}


async def add(api: Api, name: str = "hello.txt", data: bytes = b"hello file", **headers: str) -> httpx2.Response:
    """A file for all flows."""
    return await api.client.post("/api/v2/files/", files=form(name, data), headers=headers)


async def send(api: Api, flow: str, name: str, data: bytes, **headers: str) -> httpx2.Response:
    """A file for one flow."""
    return await api.client.post(f"/api/v1/files/upload/{flow}", files=form(name, data), headers=headers)


def list_bytes(tmp_path: Path) -> list[Path]:
    return list_files(tmp_path / "data" / "files")


async def test_v1_is_as_recorded(api: Api) -> None:
    sent = (await send(api, "takes", "hello.txt", b"hello file")).json()
    assert sent.keys() == {"flowId", "file_path"}
    path = sent["file_path"]
    flow, _, name = path.partition("/")
    assert flow == "takes"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_.*_hello\.txt", name)
    assert (await api.client.get("/api/v1/files/list/takes")).json() == {"files": [name]}
    got = await api.client.get(f"/api/v1/files/download/{path}")
    assert (got.content, got.headers["content-type"]) == (b"hello file", "application/octet-stream")
    assert got.headers["content-disposition"] == "attachment; filename=\"hello.txt\"; filename*=UTF-8''hello.txt"
    assert "sandbox" in got.headers["content-security-policy"]
    assert (await api.client.get(f"/api/v1/files/images/{path}")).status_code == 404
    assert (await api.client.delete(f"/api/v1/files/delete/{path}")).status_code == 200
    assert (await api.client.get(f"/api/v1/files/download/{path}")).status_code == 404


async def test_v2_is_as_recorded(api: Api) -> None:
    first, second = await api.client.post("/api/v2/files", files=form()), await add(api)
    assert (first.status_code, second.status_code) == (201, 201)
    told = second.json()
    assert list(told) == ["id", "name", "path", "size", "provider"]
    assert (told["name"], told["size"], told["provider"]) == ("hello (1)", 10, None)
    assert told["path"].endswith("/hello (1).txt")
    listed = (await api.client.get("/api/v2/files/")).json()
    assert [row["name"] for row in listed] == ["hello (1)", "hello"]
    assert listed[0].keys() == told.keys() | {"user_id", "created_at", "updated_at"}
    place = f"/api/v2/files/{told['id']}"
    assert (await api.client.get(place)).content == b"hello file"
    renamed = await api.client.put(place, params={"name": "other"})
    assert renamed.json()["path"].endswith("/other.txt")
    assert (await api.client.delete(place)).json() == {"detail": "File other deleted successfully"}
    assert (await api.client.get(place)).status_code == 404


async def test_a_run_has_the_files_that_it_names(api: Api) -> None:
    path = await api.upload("takes", "a.txt", b"hello file")
    for_all = (await add(api, "b.txt")).json()
    named = {"input_value": "hi", "session_id": "s", "files": [path, for_all["id"]]}
    assert await api.text("takes", named) == "hi with a.txt, b.txt"
    _, new = await api.token(sees="answers", sets="opened")
    mine: dict[str, Any] = {}
    for headers, name in ((mine, "In"), (new, "In"), (new, "ChatInput-a1b2c")):
        path = (await add(api, "c.txt", **headers)).json()["path"]
        tweak = {"input_value": "hi", "tweaks": {name: {"files": [path], "sender": "User"}}}
        answer = await api.run("takes", tweak, headers=headers, query="?shape=simple")
        assert answer.json()["text"].startswith("hi with c"), answer.text
    assert await api.text("takes", {"input_value": "hi"}) == "hi with "
    said = await api.messages(session_id="s")
    sent = json.loads(said[0]["files"])
    assert [one.rpartition("_")[2] for one in sent] == ["a.txt", "b.txt"]
    assert json.loads(said[1]["files"]) == []
    assert (await api.client.get(f"/api/v1/files/download/{sent[0]}")).content == b"hello file"
    stream = await api.run("takes", named, query="?stream=true")
    assert len(json.loads(stream.text.split("\n")[0])["data"]["files"]) == 2


async def test_what_a_run_may_not_name_is_a_sentence(api: Api) -> None:
    path = await api.upload("takes", "hello.txt", b"hello file")
    _, other = await api.token()
    unknown = await api.run("takes", {"files": ["takes/2026-11-24_22-39-26_nothing.txt"]})
    theirs = await api.run("takes", {"files": [path]}, headers=other)
    assert unknown.status_code == theirs.status_code == 422
    assert unknown.json()["code"] == theirs.json()["code"] == "file_unknown"
    for bad in ("../config.yaml", "/etc/passwd", "x" * 5_000, "\x00", "takes/9999-99-99_99-99-99_a", ""):
        assert (await api.run("takes", {"files": [bad]})).status_code == 422
    many = await api.run("takes", {"files": [path] * 4})
    assert many.json()["detail"] == "A message takes 3 files at most."
    for_all = (await add(api, "a.zip", b"PK\x03\x04 zip")).json()
    refused = await api.run("takes", {"files": [for_all["id"]]})
    assert "this flow takes images, PDF or plain text, and it is application/zip" in refused.json()["detail"]
    none = await api.run("none", {"files": [for_all["id"]]})
    assert none.json()["detail"] == "This flow takes no files."
    assert (await api.run("takes", {"tweaks": {"In": {"files": 3}}})).status_code == 422


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "is empty"), (b"MZ\x90\x00 a program", "takes images, PDF or plain text"), (b"x" * 100_001, "over 100 kB")],
)
async def test_what_is_not_taken_leaves_nothing(api: Api, tmp_path: Path, data: bytes, says: str) -> None:
    refused = await send(api, "takes", "a.png", data)
    assert refused.status_code in (413, 422)
    assert says in refused.json()["detail"]
    assert list_bytes(tmp_path) == []
    assert (await api.client.get("/api/v1/files/list/takes")).json() == {"files": []}


async def test_a_flow_takes_smaller_files_than_others(api: Api) -> None:
    """Of one that was uploaded for all flows it says so when a run names it."""
    refused = await send(api, "small", "a.txt", b"x" * 2_001)
    assert (refused.status_code, "The file is over 2 kB" in refused.json()["detail"]) == (413, True)
    assert (await send(api, "small", "a.txt", b"x" * 2_000)).status_code == 201
    for_all = (await add(api, "b.txt", b"x" * 2_001)).json()
    refused = await api.run("small", {"files": [for_all["id"]]})
    assert refused.status_code == 422
    assert "b.txt cannot be added: this flow takes files of up to 2 kB" in refused.json()["detail"]
    assert (await api.run("takes", {"files": [for_all["id"]]})).status_code == 200


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Starlette does not close half a file
async def test_what_is_no_form_with_a_file_is_a_sentence(api: Api) -> None:
    sent: list[dict[str, Any]] = [{"content": b"x"}, {"json": {}}, {"files": {"other": b"x"}}, {"data": {"file": "x"}}]
    for how in sent:
        refused = await api.client.post("/api/v2/files/", **how)
        assert refused.status_code == 422, refused.text
        assert refused.json()["detail"][0]["loc"] == ["body", "file"]
    cut = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert (await api.client.post("/api/v2/files/", content=cut, headers=headers)).status_code == 422
    headers["content-length"] = "900000"
    early = await api.client.post("/api/v2/files/", content=cut, headers=headers)
    assert early.status_code == 413
    assert (await api.client.get("/api/v2/files/")).json() == []


async def test_nobody_keeps_more_than_they_may(api: Api) -> None:
    big = b"x" * 99_000
    added = [await add(api, data=big) for _ in range(5)]
    assert [answer.status_code for answer in added] == [201] * 4 + [422]
    assert added[-1].json()["code"] == "files_full"
    _, other = await api.token()
    assert (await add(api, data=big, **other)).status_code == 201


async def test_nobody_else_has_it(api: Api) -> None:
    path = await api.upload("takes", "hello.txt", b"hello file")
    for_all = (await add(api)).json()["id"]
    _, other = await api.token()
    for method, place in (
        ("GET", f"v1/files/download/{path}"),
        ("DELETE", f"v1/files/delete/{path}"),
        *((method, f"v2/files/{for_all}?name=x") for method in ("GET", "PUT", "DELETE")),
        ("GET", "v2/files/nothing"),
    ):
        answer = await api.client.request(method, f"/api/{place}", headers=other)
        assert (answer.status_code, answer.json()) == (404, {"detail": "File not found", "code": "not_found"})
    assert (await api.client.get("/api/v2/files/", headers=other)).json() == []
    no_flow = await send(api, "nothing", "a", b"b")
    assert (no_flow.status_code, no_flow.json()["detail"]) == (404, "Flow not found")


async def test_bytes_are_kept_once_and_go_with_their_last_row(api: Api, tmp_path: Path) -> None:
    paths = [await api.upload("takes", name, PNG) for name in ("a.png", "b.png")]
    assert len(list_bytes(tmp_path)) == 1
    await api.text("takes", {"input_value": "hi", "session_id": "s", "files": paths})
    for path in paths:
        assert (await api.client.delete(f"/api/v1/files/delete/{path}")).status_code == 200
    await asyncio.sleep(0.3)
    assert len(list_bytes(tmp_path)) == 1  # the message has them
    assert (await api.client.delete("/api/v1/monitor/messages/session/s")).status_code == 204
    await asyncio.to_thread(eventually, lambda: not list_bytes(tmp_path))
    assert (await api.runtime.store.read(files.list_page, owners=[], limit=5))[1] == 0


async def test_a_conversation_that_is_deleted_takes_its_files_along(api: Api, tmp_path: Path) -> None:
    """However many there are: one step deletes messages and files, and notes the bytes."""
    path = await api.upload("takes", "a.png", PNG)
    for number in range(3):
        await api.text("takes", {"input_value": f"{number}", "session_id": "s", "files": [path] * 3})
    owner = str((await api.find_caller()).owner)
    assert (await api.runtime.store.read(files.list_page, owners=[owner], limit=50))[1] == 10
    await api.runtime.store.erase(erasing.erase_conversations, owners=[owner])
    assert (await api.runtime.store.read(files.list_page, owners=[owner], limit=50))[1] == 1
    await api.client.delete(f"/api/v1/files/delete/{path}")
    await asyncio.to_thread(eventually, lambda: not list_bytes(tmp_path))
