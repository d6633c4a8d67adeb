"""What models are shown of the files of a message: pictures, documents as texts, cut where their window ends."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowground.store.runs import conversations, files
from flowground.store.runs.records import StoredMessage
from tests.api.calls import Api
from tests.api.serving import serving
from tests.flow_texts import wired

pytestmark = pytest.mark.anyio
PNG = b"\x89PNG\r\n\x1a\n picture"
SHOWS = """
name: Shows files
chat: {accepts: ["*/*"]}
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: "MODEL", input_value: "${In}", files: "${In.files}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
AGENT = SHOWS.replace("LanguageModel", "Agent")
SCHEMA = "{type: object, properties: {name: {type: string}}}"
DATA = SHOWS.replace("type: LanguageModel", f"type: StructuredOutput, output_schema: {SCHEMA}")
ANSWER = {"choices": [{"message": {"content": "A cat."}, "finish_reason": "stop"}]}


def remember(model: str) -> str:
    """The same flow with this model, which is shown what was said before."""
    return SHOWS.replace("type: LanguageModel,", "type: LanguageModel, n_messages: 10,").replace("MODEL", model)


@asynccontextmanager
async def serving_models() -> AsyncIterator[tuple[str, list[Any]]]:
    """An OpenAI-compatible server: its address, and the bodies that it was sent."""
    bodies: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        bodies.append(json.loads(await reader.readexactly(size)))
        said = json.dumps(ANSWER).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(said) + said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", bodies


@pytest.fixture
async def asked(url: str, tmp_path: Path) -> AsyncIterator[tuple[Api, list[Any]]]:
    models = {"sees": "vision:any", "echo": "scripted:echo", "small": "small:echo", "blind": "blind:echo"}
    flows = {name: SHOWS.replace("MODEL", model) for name, model in models.items()}
    flows |= {"remembers": remember("vision:any"), "narrow": remember("narrow:any"), "reads": remember("reader:any")}
    flows["agent-remembers"] = AGENT.replace("MODEL", "vision:any")
    flows |= {"agent": AGENT.replace("MODEL", "scripted:echo"), "data": DATA.replace("MODEL", "scripted:echo")}
    async with serving_models() as (address, bodies):
        providers = {
            "vision": {"type": "openai", "base_url": address},
            "small": {"type": "scripted", "window": 1000},
            "blind": {"type": "scripted", "takes": []},
            "narrow": {"type": "openai", "base_url": address, "window": 1000},
            "reader": {"type": "openai", "base_url": address, "takes": []},
        }
        config = {"database": url, "providers": providers}
        async with serving(tmp_path, config=config, flows=flows) as opened:
            yield opened, bodies


async def ask(api: Api, flow: str, *files: tuple[str, bytes], text: str = "What is it?", status: int = 200) -> Any:
    paths = []
    for name, data in files:
        sent = await api.client.post(f"/api/v1/files/upload/{flow}", files={"file": (name, data, "any/thing")})
        assert sent.status_code == 201, sent.text
        paths.append(sent.json()["file_path"])
    body = {"input_value": text, "files": paths, "session_id": "s"}
    answer = await api.client.post(f"/api/v1/run/{flow}?shape=simple", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def read_stored(api: Api, flow: str) -> list[StoredMessage]:
    caller = await api.runtime.sign_in.verify_token(api.client.headers["x-api-key"])
    assert caller is not None
    place = {"flow_id": flow, "owner": str(caller.owner), "session_id": "s"}
    messages, _ = await api.runtime.store.read(conversations.list_page, **place, most=9, most_chars=99_999)
    return list(messages)


async def test_a_model_that_sees_is_sent_the_picture(asked: tuple[Api, list[Any]]) -> None:
    api, bodies = asked
    assert (await ask(api, "sees", ("a.png", PNG), ("b.txt", b"Bread")))["text"] == "A cat."
    picture, text = bodies[0]["messages"][0]["content"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert text["text"] == '<document name="b.txt">\nBread\n</document>\n\nWhat is it?'


@pytest.mark.parametrize("flow", ["echo", "agent"])
async def test_documents_stand_before_the_question_with_their_names(asked: tuple[Api, list[Any]], flow: str) -> None:
    answer = await ask(asked[0], flow, ("b.md", b"# Bread\n"), ("c.csv", b"a,b\n1,2\n"))
    assert '<document name="b.md">\n# Bread\n</document>' in answer["text"]
    assert answer["text"].index("# Bread") < answer["text"].index('name="c.csv"') < answer["text"].index("What is it?")
    assert "warnings" not in answer


async def test_what_is_cut_is_said_with_the_answer_and_stays_said(asked: tuple[Api, list[Any]]) -> None:
    api, _ = asked
    answer = await ask(api, "small", ("long.txt", b"word " * 2_000), ("short.txt", b"Short."))
    (note,) = answer["warnings"]
    assert note.startswith("Of long.txt the model read the first 2,2")
    assert note.endswith("of 10,000 characters.")
    assert "Short." in answer["text"]
    assert "[Cut here: 7,7" in answer["text"]
    assert len(answer["text"]) < 2_700
    messages = await read_stored(api, "small")
    assert [message.trace[1].unseen for message in messages if message.role == "assistant"] == [(note,)]


async def test_a_model_that_sees_no_pictures_says_so_before_anything_is_stored(asked: tuple[Api, list[Any]]) -> None:
    api, _ = asked
    refused = await ask(api, "blind", ("a.png", PNG), status=422)
    assert refused["code"] == "file_refused"
    assert "The model of this flow sees no images." in refused["detail"]
    assert await read_stored(api, "blind") == []
    assert "Bread" in (await ask(api, "blind", ("b.txt", b"Bread")))["text"]


async def test_a_document_without_a_text_is_a_sentence_beside_the_answer(asked: tuple[Api, list[Any]]) -> None:
    answer = await ask(asked[0], "echo", ("b.zip", b"PK\3\4 damaged"))
    (note,) = answer["warnings"]
    assert note.startswith("b.zip is a ZIP archive that is damaged")
    assert f"[This file could not be read: {note}]" in answer["text"]


async def test_data_is_not_made_of_a_document_without_a_text(asked: tuple[Api, list[Any]]) -> None:
    refused = (await ask(asked[0], "data", ("b.zip", b"PK\3\4 damaged"), status=422))["detail"]
    assert refused["code"] == "file_unreadable"
    assert "b.zip is a ZIP archive" in refused["message"]
    assert "Bread" in (await ask(asked[0], "data", ("b.txt", b"Bread")))["text"]


@pytest.mark.parametrize("flow", ["remembers", "agent-remembers"])
async def test_files_of_earlier_messages_are_shown_as_they_were_in_their_own(
    asked: tuple[Api, list[Any]], flow: str
) -> None:
    api, bodies = asked
    await ask(api, flow, ("a.png", PNG), ("b.txt", b"Bread"))
    await ask(api, flow, text="And its colour?")
    first, second = (body["messages"] for body in bodies)
    assert [part["type"] for part in first[-1]["content"]] == ["image_url", "text"]
    said = [{"role": "assistant", "content": "A cat."}, {"role": "user", "content": "And its colour?"}]
    assert second == [*first, *said]


async def test_where_a_model_is_shown_no_files_it_is_shown_no_earlier_ones(asked: tuple[Api, list[Any]]) -> None:
    api, bodies = asked
    await ask(api, "remembers", ("a.png", PNG))
    text = remember("vision:any").replace(', files: "${In.files}"', "")
    (api.runtime.settings.flows / "remembers.yaml").write_text(text, encoding="utf-8")
    await api.runtime.catalogue.read_now()
    await ask(api, "remembers", text="And its colour?")
    assert [message["content"] for message in bodies[-1]["messages"]] == ["What is it?", "A cat.", "And its colour?"]


async def test_earlier_files_without_room_are_left_out_the_oldest_first(asked: tuple[Api, list[Any]]) -> None:
    api, bodies = asked
    for name in ("one", "two", "three"):
        await ask(api, "narrow", (f"{name}.txt", f"{name} ".encode() * 260), text=f"{name}?")
    last = await ask(api, "narrow", text="All?")
    one, _, two, _, three, _, asked_last = (message["content"] for message in bodies[-1]["messages"])
    assert one == "[The file one.txt is not shown any more.]\n\none?"
    assert two.startswith('<document name="two.txt">\ntwo two')
    assert "[Cut here: " in two
    assert three.count("three ") >= 259
    assert "Cut" not in three
    assert asked_last == "All?"
    left_out = "Files of earlier messages that the model was not shown any more: one.txt."
    assert [note for note in last["warnings"] if "one.txt" in note] == [left_out]


async def test_an_earlier_picture_is_a_word_to_a_model_that_sees_none(asked: tuple[Api, list[Any]]) -> None:
    api, bodies = asked
    await ask(api, "remembers", ("a.png", PNG))
    text = remember("reader:any")
    (api.runtime.settings.flows / "remembers.yaml").write_text(text, encoding="utf-8")
    await api.runtime.catalogue.read_now()
    await ask(api, "remembers", text="And its colour?")
    assert bodies[-1]["messages"][0]["content"] == "[The picture a.png is not shown.]\n\nWhat is it?"


async def test_a_deleted_file_is_shown_no_more_although_others_have_its_bytes(asked: tuple[Api, list[Any]]) -> None:
    api, bodies = asked
    await ask(api, "remembers", ("secret.txt", b"Bread and salt"), text="One?")
    sent = await api.client.post("/api/v1/files/upload/remembers", files={"file": ("b.txt", b"Bread and salt", "a/b")})
    assert sent.status_code == 201
    caller = await api.runtime.sign_in.verify_token(api.client.headers["x-api-key"])
    assert caller is not None
    mine = [str(caller.owner)]
    page = await api.runtime.store.read(files.list_page, owners=mine, limit=9)
    (kept,) = [file for file in page.shown if file.message]
    assert await api.runtime.store.write(files.delete_file, key=kept.reference.id, owners=mine)
    await ask(api, "remembers", text="Two?")
    assert bodies[-1]["messages"][0]["content"] == "[The file secret.txt was deleted.]\n\nOne?"


def test_no_file_stands_in_a_flow_file_and_files_that_nobody_reads_are_a_warning() -> None:
    literal = "[{id: a, name: b, media_type: text/plain, size: 1, sha256: c}]"
    with pytest.raises(Exception, match="`files` of LanguageModel is files, not"):
        wired(SHOWS.replace('files: "${In.files}"', f"files: {literal}"))
    unread = wired(SHOWS.replace(', files: "${In.files}"', ""))
    assert ["nothing reads them: `files: ${In.files}`" in one.message for one in unread.flow.warnings] == [True]
