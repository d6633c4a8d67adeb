"""The File component: an author's files, a message's, and those that Langflow's clients name in a tweak."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.calls import Api
from tests.api.serving import serving
from tests.flow_texts import mistakes

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
