"""The page *Knowledge* run in this process: who must give the owner code, and what it says of files that are added."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flowground.caller import LOCAL_OWNER
from flowground.ui.page import bridge, caller
from tests.app_page import find_by_label, open_script, read
from tests.in_process import runtime_of
from tests.servers import write_folder

FLOW = """\
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
"""


FILTERED = FLOW.replace("handbook, s", "handbook, filters: {client: Acme}, s")


def list_adding(page: Any) -> list[Any]:
    """The places where files are added."""
    return [one for one in page.get("bidi_component") if "knowledge:adding" in str(one.key)]


def test_the_owner_code_is_asked_for_where_files_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller, "LOCAL_OWNER", replace(LOCAL_OWNER, is_proven=False))
    with runtime_of(write_folder(tmp_path, config={}, flows={"travel": FLOW})) as app:
        page = open_script("knowledge", flow="travel")
        assert list_adding(page) == []
        assert "Adding files asks for the owner code" in read(page)
        find_by_label(page.text_input, "Owner code").input(app.sign_in.owner_code)
        monkeypatch.setattr(caller, "LOCAL_OWNER", LOCAL_OWNER)  # as the served page keeps it
        find_by_label(page.button, "Continue").click().run()
        assert len(list_adding(page)) == 1
        assert "owner code" not in read(page)


def test_one_tries_some_files_only_and_reads_that_flows_have_filters(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path, config={}, flows={"travel": FILTERED.replace("{uploads", "{files: [n/*.md], uploads")}
    )
    notes = tmp_path / "flows" / "n"
    notes.mkdir()
    for name in ("Acme", "ajax"):
        (notes / f"{name}.md").write_text(f"---\nclient: {name}\n---\nLyon of {name}")
    with runtime_of(folder) as app:
        bridge.call(app.library.close())  # the app would index by itself
        bridge.call(app.library.index(app.library.find("travel", "handbook")))
        page = open_script("knowledge", flow="travel")
        assert "`Found` of the flow travel has `filters`, and will find a file that is added here only where" in read(
            page
        )
        find_by_label(page.text_input, "What would somebody ask?").input("Lyon")
        find_by_label(page.button, "Find passages").click().run()
        assert ("Lyon of Acme" in read(page), "Lyon of ajax" in read(page)) == (True, True)
        find_by_label(page.text_input, "In these files").input("n/AC*.md")
        find_by_label(page.button, "Find passages").click().run()
        assert ("Lyon of Acme" in read(page), "Lyon of ajax" in read(page)) == (True, False)
        find_by_label(page.text_input, "In these files").input("Acme.md")
        find_by_label(page.button, "Find passages").click().run()
        assert "No file is called so. `**/NAME` is one in any folder" in read(page)
        find_by_label(page.text_input, "In these files").input("n/Acme.md")
        find_by_label(page.text_input, "What would somebody ask?").input("Xyzzy")
        find_by_label(page.button, "Find passages").click().run()
        assert "Nothing was found." in read(page)


@contextmanager
def serving_vectors() -> Iterator[tuple[str, list[int]]]:
    """Where a server of vectors is, and the status of what it answers next: the last."""
    statuses = [200]

    class Vectors(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
            said = json.dumps({"data": [{"index": at, "embedding": [1.0, at]} for at in range(len(texts))]}).encode()
            self.send_response(statuses[-1])
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Vectors) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", statuses
        server.shutdown()


def test_the_page_says_why_only_words_are_found(tmp_path: Path) -> None:
    flow = FLOW.replace("{uploads: true}", '{files: [n/*.md], embeddings: "mine:small"}')
    notes = tmp_path / "flows" / "n"
    notes.mkdir(parents=True)
    (notes / "a.md").write_text("Lyon costs 120 euros.")
    os.utime(notes / "a.md", (1_600_000_000, 1_600_000_000))  # one that was just written is looked at again
    why = "The provider 'mine' answered with status 500"
    with serving_vectors() as (address, statuses):
        mine = {"type": "openai", "base_url": address, "retries": 0}
        config = {"providers": {"mine": mine}}
        with runtime_of(write_folder(tmp_path, config=config, flows={"travel": flow})) as app:
            bridge.call(app.library.close())  # the app would index by itself
            shelved = app.library.find("travel", "handbook")
            statuses.append(500)
            bridge.call(app.library.index(shelved))
            page = open_script("knowledge", flow="travel")
            assert "**Vectors are missing**" in read(page)
            assert [why in str(one.value) for one in page.warning] == [True]
            statuses.append(200)
            bridge.call(app.library.index(shelved))
            page = open_script("knowledge", flow="travel")
            assert "**Indexed**" in read(page)
            assert not page.warning
            find_by_label(page.text_input, "What would somebody ask?").input("Lyon")
            find_by_label(page.button, "Find passages").click().run()
            assert ("Lyon costs" in read(page), why in read(page)) == (True, False)
            statuses.append(500)
            find_by_label(page.button, "Find passages").click().run()
            assert ("Lyon costs" in read(page), why in read(page)) == (True, True)


def test_a_provider_that_config_has_not_is_told(tmp_path: Path) -> None:
    flow = FLOW.replace("{uploads: true}", '{files: [n/*.md], embeddings: "olama:small"}')
    with runtime_of(write_folder(tmp_path, config={}, flows={"travel": flow})) as app:
        bridge.call(app.library.close())  # the app would index by itself
        bridge.call(app.library.index(app.library.find("travel", "handbook")))
        page = open_script("knowledge", flow="travel")
        assert "**Vectors are missing**" in read(page)
        says = "names no model of embeddings"
        assert [says in str(one.value) for one in page.warning] == [True]
