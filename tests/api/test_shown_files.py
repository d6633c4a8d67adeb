"""What models are shown of the files of a message: pictures, documents as texts, cut where their window ends.

The File component: an author's files, a message's, and those that Langflow's clients name in a tweak.
"""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowground.store.runs import conversations, files
from flowground.store.runs.records import StoredMessage
from tests.api.calls import Api
from tests.api.serving import serving
from tests.flow_texts import mistakes, wired
from tests.wire import Wire, whole, wire

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


Asked = tuple[Api, Wire]


@pytest.fixture
async def asked(url: str, tmp_path: Path) -> AsyncIterator[Asked]:
    models = {"sees": "vision:any", "echo": "scripted:echo", "small": "small:echo", "blind": "blind:echo"}
    flows = {name: SHOWS.replace("MODEL", model) for name, model in models.items()}
    flows |= {"remembers": remember("vision:any"), "narrow": remember("narrow:any"), "reads": remember("reader:any")}
    flows["agent-remembers"] = AGENT.replace("MODEL", "vision:any")
    flows |= {"agent": AGENT.replace("MODEL", "scripted:echo"), "data": DATA.replace("MODEL", "scripted:echo")}
    async with wire([whole(ANSWER)]) as server:
        openai = {"type": "openai", "base_url": f"{server.url}/v1"}
        providers = {"vision": openai, "narrow": openai | {"window": 1000}, "reader": openai | {"takes": []}}
        providers |= {"small": {"type": "scripted", "window": 1000}, "blind": {"type": "scripted", "takes": []}}
        config = {"database": url, "providers": providers}
        async with serving(tmp_path, config=config, flows=flows) as opened:
            yield opened, server


def read_messages(server: Wire, number: int) -> list[Any]:
    """What the model was sent with this call."""
    messages: list[Any] = server.asked[number].body["messages"]
    return messages


async def change_flow(api: Api, flow: str, text: str) -> None:
    (api.runtime.settings.flows / f"{flow}.yaml").write_text(text, encoding="utf-8")
    await api.runtime.catalogue.read_now()


async def ask(api: Api, flow: str, *files: tuple[str, bytes], text: str = "What is it?", status: int = 200) -> Any:
    paths = [await api.upload(flow, name, data) for name, data in files]
    body = {"input_value": text, "files": paths, "session_id": "s"}
    answer = await api.run(flow, body, query="?shape=simple")
    assert answer.status_code == status, answer.text
    return answer.json()


async def read_stored(api: Api, flow: str) -> list[StoredMessage]:
    place = {"flow_id": flow, "owner": str((await api.find_caller()).owner), "session_id": "s"}
    messages, _ = await api.runtime.store.read(conversations.list_page, **place, most=9, most_chars=99_999)
    return list(messages)


async def test_a_model_that_sees_is_sent_the_picture(asked: Asked) -> None:
    api, server = asked
    assert (await ask(api, "sees", ("a.png", PNG), ("b.txt", b"Bread")))["text"] == "A cat."
    picture, text = read_messages(server, 0)[0]["content"]
    assert picture["image_url"]["url"] == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert text["text"] == '<document name="b.txt">\nBread\n</document>\n\nWhat is it?'


@pytest.mark.parametrize("flow", ["echo", "agent"])
async def test_documents_stand_before_the_question_with_their_names(asked: Asked, flow: str) -> None:
    answer = await ask(asked[0], flow, ("b.md", b"# Bread\n"), ("c.csv", b"a,b\n1,2\n"))
    assert '<document name="b.md">\n# Bread\n</document>' in answer["text"]
    assert answer["text"].index("# Bread") < answer["text"].index('name="c.csv"') < answer["text"].index("What is it?")
    assert "warnings" not in answer


async def test_what_is_cut_is_said_with_the_answer_and_stays_said(asked: Asked) -> None:
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


async def test_a_model_that_sees_no_pictures_says_so_before_anything_is_stored(asked: Asked) -> None:
    api, _ = asked
    refused = await ask(api, "blind", ("a.png", PNG), status=422)
    assert refused["code"] == "file_refused"
    assert "The model of this flow sees no images." in refused["detail"]
    assert await read_stored(api, "blind") == []
    assert "Bread" in (await ask(api, "blind", ("b.txt", b"Bread")))["text"]


async def test_a_document_without_a_text_is_a_sentence_beside_the_answer_and_no_data(asked: Asked) -> None:
    answer = await ask(asked[0], "echo", ("b.zip", b"PK\3\4 damaged"))
    (note,) = answer["warnings"]
    assert note.startswith("b.zip is no kind of file that is read")
    assert f"[This file could not be read: {note}]" in answer["text"]
    refused = (await ask(asked[0], "data", ("b.zip", b"PK\3\4 damaged"), status=422))["detail"]
    assert (refused["code"], "b.zip is no kind of file" in refused["message"]) == ("file_unreadable", True)
    assert "Bread" in (await ask(asked[0], "data", ("b.txt", b"Bread")))["text"]


@pytest.mark.parametrize("flow", ["remembers", "agent-remembers"])
async def test_files_of_earlier_messages_are_shown_as_they_were_in_their_own(asked: Asked, flow: str) -> None:
    api, server = asked
    await ask(api, flow, ("a.png", PNG), ("b.txt", b"Bread"))
    await ask(api, flow, text="And its colour?")
    first, second = (read_messages(server, number) for number in range(2))
    assert [part["type"] for part in first[-1]["content"]] == ["image_url", "text"]
    said = [{"role": "assistant", "content": "A cat."}, {"role": "user", "content": "And its colour?"}]
    assert second == [*first, *said]


async def test_where_a_model_is_shown_no_files_or_sees_none_it_is_shown_no_earlier_ones(asked: Asked) -> None:
    api, server = asked
    await ask(api, "remembers", ("a.png", PNG))
    await change_flow(api, "remembers", remember("reader:any"))
    await ask(api, "remembers", text="And its colour?")
    assert read_messages(server, -1)[0]["content"] == "[The picture a.png is not shown.]\n\nWhat is it?"
    await change_flow(api, "remembers", remember("vision:any").replace(', files: "${In.files}"', ""))
    await ask(api, "remembers", text="And its size?")
    said = ["What is it?", "A cat.", "And its colour?", "A cat.", "And its size?"]
    assert [message["content"] for message in read_messages(server, -1)] == said


async def test_earlier_files_without_room_are_left_out_the_oldest_first(asked: Asked) -> None:
    api, server = asked
    for name in ("one", "two", "three"):
        await ask(api, "narrow", (f"{name}.txt", f"{name} ".encode() * 260), text=f"{name}?")
    last = await ask(api, "narrow", text="All?")
    one, _, two, _, three, _, asked_last = (message["content"] for message in read_messages(server, -1))
    assert one == "[The file one.txt is not shown any more.]\n\none?"
    assert two.startswith('<document name="two.txt">\ntwo two')
    assert "[Cut here: " in two
    assert three.count("three ") >= 259
    assert "Cut" not in three
    assert asked_last == "All?"
    left_out = "Files of earlier messages that the model was not shown any more: one.txt."
    assert [note for note in last["warnings"] if "one.txt" in note] == [left_out]


async def test_a_deleted_file_is_shown_no_more_although_others_have_its_bytes(asked: Asked) -> None:
    api, server = asked
    await ask(api, "remembers", ("secret.txt", b"Bread and salt"), text="One?")
    await api.upload("remembers", "b.txt", b"Bread and salt")
    mine = [str((await api.find_caller()).owner)]
    shown, _ = await api.runtime.store.read(files.list_page, owners=mine, limit=9)
    (kept,) = [file for file in shown if file.message]
    assert await api.runtime.store.write(files.delete_file, key=kept.reference.id, owners=mine)
    await ask(api, "remembers", text="Two?")
    assert read_messages(server, -1)[0]["content"] == "[The file secret.txt was deleted.]\n\nOne?"


def test_no_file_stands_in_a_flow_file_and_files_that_nobody_reads_are_a_warning() -> None:
    literal = "[{id: a, name: b, media_type: text/plain, size: 1, sha256: c}]"
    with pytest.raises(Exception, match="`files` of LanguageModel is files, not"):
        wired(SHOWS.replace('files: "${In.files}"', f"files: {literal}"))
    unread = wired(SHOWS.replace(', files: "${In.files}"', ""))
    assert ["nothing reads them: `files: ${In.files}`" in one.message for one in unread.flow.warnings] == [True]


READS = """
chat: {accepts: [text/*]}
components:
  In: {type: ChatInput}
  File: {type: File, MORE}
  Rows: {type: Parser, input_data: "${File.dataframe}", template: "{source}: {text}"}
  Out: {type: ChatOutput, input_value: "${File}\\n${Rows}"}
"""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    flows = {
        "own": READS.replace("MORE", "path: samples/own.md"),
        "both": READS.replace("MORE", "path: [samples/own.md, samples/page.html], separator: ' + '"),
        "sent": READS.replace("MORE", 'files: "${In.files}"'),
        "gone": READS.replace("MORE", "path: samples/gone.md"),
        "out": READS.replace("MORE", "path: samples/link.md"),
        "none": READS.replace("MORE", "separator: x"),
    }
    samples = tmp_path / "flows" / "samples"
    samples.mkdir(parents=True)
    (samples / "own.md").write_text("Mine.")
    (samples / "page.html").write_text("<p>A page.</p>")
    (tmp_path / "secret.md").write_text("Nobody reads this.")
    (samples / "link.md").symlink_to(tmp_path / "secret.md")
    async with serving(tmp_path, config={}, flows=flows) as opened:
        yield opened


async def test_an_author_names_files_below_the_flows_folder(api: Api) -> None:
    assert await api.text("own") == "Mine.\nsamples/own.md: Mine."
    assert await api.text("both") == "Mine. + A page.\nsamples/own.md: Mine.\nsamples/page.html: A page."


async def test_files_of_a_message_are_read_and_a_tweak_names_some_as_langflows_clients_do(api: Api) -> None:
    sent = {"input_value": "Here", "files": [await api.upload("sent")]}
    assert await api.text("sent", sent) == "Yours.\na.txt: Yours."
    path = await api.upload("own")
    for given in (path, [path], {"value": path}):
        assert await api.text("own", {"tweaks": {"File": {"path": given}}}) == "Yours.\na.txt: Yours."
    made = await api.client.post("/api/v2/files", files={"file": ("b.txt", b"By its id.", "text/plain")})
    assert await api.text("own", {"tweaks": {"File": {"path": made.json()["id"]}}}) == "By its id.\nb.txt: By its id."
    assert (await api.text("own", {"tweaks": {"File": {"path": []}}})).startswith("Mine.")


async def test_who_sent_a_damaged_file_is_told_so_and_of_no_file_of_the_author(api: Api) -> None:
    path = await api.upload("sent", "plan.pdf", b"no page")
    (api.runtime.settings.flows / "samples" / "own.md").write_bytes(b"\0\0")
    _, outside = await api.token(sees="answers")
    sent = {"input_value": "Here", "files": [path]}
    for headers, component in (({}, "File"), (outside, None)):
        made = sent if component else {**sent, "files": [await api.upload("sent", "plan.pdf", b"no page", **headers)]}
        answer = await api.run("sent", made, headers=headers)
        told = answer.json()["detail"]
        assert (answer.status_code, told["code"], told["component"]) == (422, "file_unreadable", component)
        assert told["message"].endswith("plan.pdf ends in .pdf and is not a PDF: it is damaged or has a wrong name.")
    hidden = await api.run("own", headers=outside)
    assert (hidden.status_code, hidden.json()["detail"]["message"]) == (500, "The flow failed.")


async def test_no_path_leads_to_what_was_not_uploaded(api: Api) -> None:
    other = await api.upload("own", "a.txt", b"Yours.", **(await api.token())[1])
    for path in ("samples/own.md", "../secret.md", "/etc/passwd", "own.md", other):
        answer = await api.run("own", {"tweaks": {"File": {"path": path}}})
        assert (answer.status_code, answer.json()["code"]) == (422, "file_unknown")
    answer = await api.run("own", {"tweaks": {"path": "samples/another.md"}})
    assert answer.status_code == 422
    for flow in ("gone", "out", "none"):
        answer = await api.run(flow)
        assert answer.status_code == 500
        assert "Nobody reads this" not in answer.text


@pytest.mark.parametrize("path", ["../secret.md", "/etc/passwd", "a//b.md", "C:/a.md", "${In}"])
def test_a_path_that_leads_out_or_is_a_reference_is_a_mistake(path: str) -> None:
    flow = f"components:\n  In: {{type: ChatInput}}\n  It: {{type: File, path: '{path}'}}\n"
    said = mistakes(f"{flow}  Out: {{type: ChatOutput, input_value: '${{It}}'}}\n")[0]
    assert ("`path`" if path == "${In}" else f"`{path}` in `path`: a path ") in said
