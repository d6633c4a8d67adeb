"""Pages without a browser: app.py and the router, as the local owner sees them, how texts stand on them; *Knowledge*:
who must give the owner code, and what it says of files that are added."""

import asyncio
import concurrent.futures
import gc
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from streamlit.testing.v1 import AppTest

from flowground.app import runtime
from flowground.app.runtime import Runtime
from flowground.core.caller import LOCAL_OWNER
from flowground.ui.page import bridge, parts
from tests.app_page import find_by_label, only, open_script, read, read_chat
from tests.asking import ASKING
from tests.in_process import runtime_of
from tests.open_page import flow_text
from tests.page_talk import talk
from tests.running import look_at_once
from tests.servers import ROOT, shipped_flow, write_folder
from tests.wire import whole, wire

MANY = """\
name: Many
components:
  ChatInput: {type: ChatInput}
  session: {type: TextInput, input_value: x}
  Topic: {type: TextInput, display_name: What about, input_value: tea}
  One: {type: LanguageModel, model: "scripted:echo", input_value: "${ChatInput}"}
  Two: {type: LanguageModel, display_name: Second, model: "scripted:echo", input_value: "${One}"}
  History: {type: MessageHistory}
  Prompt: {type: Prompt, template: "{a} {topic}", a: "", topic: "${Topic}"}
  ChatOutput: {type: ChatOutput, input_value: "${Two}"}
api:
  overridable:
    - session.input_value
    - Topic.input_value
    - {field: One.max_tokens, ask: true, min: 10}
    - {field: Two.max_tokens, ask: true}
    - {field: Two.stream, ask: true}
    - {field: History.order, ask: true}
    - {field: Two.model, ask: true, choices: ["scripted:json"]}
    - {field: Prompt.a, ask: true}
"""
TEXT = """\
name: Text
components:
  In: {type: TextInput, input_value: A text}
  Prompt: {type: Prompt, template: "{tone}: {text}", tone: kind, text: "${In}"}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${Prompt}"}
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
api: {overridable: [In.input_value, {field: Prompt.tone, ask: true}]}
"""
FLOWS = {
    "talk": flow_text("scripted:echo", "Talk", welcome="Say something.", starters=["Good morning"]),
    "small": flow_text("local", "Small"),
    "gist": shipped_flow("summarizer"),
    "broken": "name: Broken\ncomponents:\n  In: {type: ChatInptu}\n",
}
ASKS = {"letters": ASKING, "many": MANY, "text": TEXT, "plain": ASKING.partition("api:")[0]}
CONFIG = {"default_model": "scripted", "organization": {"name": "A *b* :red[c]"}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    look_at_once(monkeypatch)
    with runtime_of(write_folder(tmp_path, config=CONFIG, flows=FLOWS)):
        yield tmp_path / "flows"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("script", ["app.py", "pages/router.py"])
def test_home_shows_flows_and_mistakes(script: str) -> None:
    at = open_script(script=script)
    assert [heading.value for heading in at.title] == [r"A \*b\* \:red\[c\]"]
    links = [link.proto for link in at.get("page_link") if link.proto.query_string.startswith("flow=")]
    shown = [(link.label, link.query_string.removeprefix("flow=")) for link in links]
    assert shown == [("Small", "small"), ("Summarizer", "gist"), ("Talk", "talk")]
    assert "3 flows. Choose one to chat with." in read(at)
    assert "line 3, column 14" not in read(at)
    at.session_state["home:mistakes"] = True
    at.run()
    assert "line 3, column 14" in read(at)
    assert "Did you mean **ChatInput**?" in read(at)


@pytest.mark.usefixtures("folder")
def test_the_built_in_model_is_announced_before_it_is_fetched() -> None:
    said = read(open_script("playground", flow="small"))
    assert "The first message fetches the built-in model, Qwen2.5-Coder 0.5B, 0.5 GB, Apache-2.0." in said
    assert "built-in model" not in read(open_script("playground", flow="talk"))
    unseen = parts.announce_fetch(runtime.get().catalogue.list_flows()["small"], sees_inside=False)
    assert unseen == "The first answer takes a minute or more."


def test_a_broken_file_leaves_the_last_good_version_with_a_banner(folder: Path) -> None:
    open_script("playground", flow="talk")
    (folder / "talk.yaml").write_text(FLOWS["talk"].replace("input_value", "input_valeu", 1), "utf-8")
    at = open_script("playground", flow="talk")
    assert "the last good version answers" in only(at.warning).value
    assert talk(at).ask("Hello") == "You said: Hello"


@pytest.mark.parametrize("page", ["playground", "api_access"])
def test_a_file_that_never_was_a_flow_shows_its_mistakes_at_its_address(page: str, folder: Path) -> None:
    said = read(open_script(page, flow="broken"))
    told = ("needs a correction", "broken.yaml", "line 3, column 14", "Did you mean **ChatInput**?")
    assert [words for words in told if words not in said] == []
    assert "You don't have access to this page" not in said
    (folder / "broken.yaml").write_text(FLOWS["talk"], "utf-8")
    assert "needs a correction" not in read(open_script(page, flow="broken"))


@pytest.mark.usefixtures("folder")
def test_the_api_page_shows_code_or_lets_one_choose_a_flow() -> None:
    at = open_script("api_access", flow="talk")
    assert [tab.label for tab in at.tabs] == ["Python", "JavaScript", "cURL", "Temporary overrides"]
    shown = [code.value for code in at.code]
    assert "export FLOWGROUND_API_KEY=YOUR_TOKEN" in shown
    assert sum("/api/v1/run/talk" in code for code in shown) == 3
    at = open_script("api_access")
    assert "Choose the flow that your program will call." in read(at)
    assert "POST /api/v1/run/talk" in read(at)


def test_without_flows_a_template_is_offered(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    for _ in range(3):  # a file is gone once two looks missed it
        at = open_script()
    assert "No flows yet" in read(at)
    assert [button.label for button in at.button if "flow" in button.label] == ["Create the first flow"]


def test_where_no_server_runs_a_page_opens_its_own_runtime_and_who_started_the_process_owns_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=["echo"])
    monkeypatch.setenv("FLOWGROUND_CONFIG", str(config))
    runtime.install(None)
    before = set(threading.enumerate())
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    try:
        assert gc.isenabled()
        assert "Echo" in {link.proto.label for link in app.get("page_link")}
        app.query_params["flow"] = "echo"
        app.switch_page(str(ROOT / "pages" / "playground.py")).run()
        assert read_chat(app)["flow"] == "echo"
        app.switch_page(str(ROOT / "pages" / "first_account.py")).run()
        assert [field.label for field in app.text_input] == ["Your name", "User name", "Password"]
        assert not app.exception
    finally:
        opened = runtime.get()
        runtime.install(None)
        asyncio.run_coroutine_threadsafe(opened.close(), opened.loop).result(60)
        thread = only(thread for thread in set(threading.enumerate()) - before if thread.name == "flowground-loop")
        opened.loop.call_soon_threadsafe(opened.loop.stop)
        thread.join(60)
        opened.loop.close()


def ask(flow: str) -> dict[str, dict[str, Any]]:
    """What the page tells its component to ask beside the message, by address, in the order of the page."""
    return {field["address"]: field for field in read_chat(open_script("playground", flow=flow))["asked"]}


def test_what_is_asked_has_the_authors_order_words_and_bounds_and_an_editor_of_its_kind(tmp_path: Path) -> None:
    with runtime_of(write_folder(tmp_path, config=CONFIG, flows=ASKS)):
        letters, many, text, plain = map(ask, ASKS)
    assert {name: (field["title"], field["widget"], field["value"]) for name, field in letters.items()} == {
        "Language": ("Language", "choice", "German"),
        "Model.temperature": ("Temperature", "slider", 0.3),
        "Prompt.tone": ("Tone", "text", "kind"),
    }
    assert [choice["value"] for choice in letters["Language"]["choices"]] == ["German", "French", "Spanish"]
    temperature = letters["Model.temperature"]
    assert (temperature["min"], temperature["max"], temperature["kind"]) == (0, 1, "a number from 0 to 1")
    assert {name: (field["title"], field["widget"]) for name, field in many.items()} == {
        "session.input_value": ("session", "text"),
        "Topic": ("What about", "text"),
        "One.max_tokens": ("One · Max Tokens", "integer"),
        "Two.max_tokens": ("Second · Max Tokens", "integer"),
        "Two.stream": ("Stream", "switch"),
        "History.order": ("Order", "choice"),
        "Two.model": ("Model", "choice"),
        "Prompt.a": ("A", "area"),
    }
    assert many["One.max_tokens"]["kind"].startswith("a whole number from 10 to")
    assert [choice["value"] for choice in many["Two.model"]["choices"]] == ["scripted:echo", "scripted:json"]
    assert (list(text), plain) == (["Prompt.tone"], {})  # a text is the message, and the rest is asked beside it


@pytest.mark.usefixtures("folder")
def test_a_script_gets_results_and_errors_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a job that ends just as the script stops waiting: its thread loses the processor for that moment."""
    result = concurrent.futures.Future.result

    def stop_waiting(future: concurrent.futures.Future[Any], timeout: float | None = None) -> Any:
        try:
            return result(future, timeout)
        except TimeoutError:
            concurrent.futures.wait([future])
            raise

    async def double(number: int) -> int:
        await asyncio.sleep(0.05)
        if number < 0:
            raise TimeoutError("its own")
        return number * 2

    assert bridge.call(double(4)) == 8
    with pytest.raises(TimeoutError, match="its own"):
        bridge.call(double(-1))
    monkeypatch.setattr(bridge, "_STEP", 0)
    monkeypatch.setattr(concurrent.futures.Future, "result", stop_waiting)
    assert bridge.call(double(4)) == 8


KNOWS = """\
components:
  ChatInput: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${ChatInput}"}
  ChatOutput: {type: ChatOutput, input_value: "${Found.passages}"}
knowledge:
  handbook: {uploads: true}
"""
FILTERED = KNOWS.replace("handbook, s", "handbook, filters: {client: Acme}, s")


def list_adding(page: Any) -> list[Any]:
    """The places where files are added."""
    return [one for one in page.get("bidi_component") if "knowledge:adding" in str(one.key)]


def test_the_owner_code_is_asked_for_where_files_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "LOCAL_OWNER", replace(LOCAL_OWNER, is_proven=False))
    with runtime_of(write_folder(tmp_path, config={}, flows={"travel": KNOWS})) as app:
        page = open_script("knowledge", flow="travel")
        assert list_adding(page) == []
        assert "Adding files asks for the owner code" in read(page)
        find_by_label(page.text_input, "Owner code").input(app.sign_in.owner_code)
        monkeypatch.setattr(bridge, "LOCAL_OWNER", LOCAL_OWNER)  # as the served page keeps it
        find_by_label(page.button, "Continue").click().run()
        assert len(list_adding(page)) == 1
        assert "owner code" not in read(page)


@contextmanager
def opened(folder: Path, flow: str, *, notes: Mapping[str, str], **config: Any) -> Iterator[Runtime]:
    """The app with this flow and files of its knowledge, none of which is indexed."""
    path = write_folder(folder, config=config, flows={"travel": flow})
    (folder / "flows" / "n").mkdir()
    for name, text in notes.items():
        (folder / "flows" / "n" / f"{name}.md").write_text(text)
        os.utime(folder / "flows" / "n" / f"{name}.md", (1_600_000_000,) * 2)  # one just written is looked at again
    with runtime_of(path) as app:
        bridge.call(app.library.close())  # the app would index by itself
        yield app


def index(app: Runtime) -> None:
    bridge.call(app.library.index(app.library.find("travel", "handbook")))


def search(page: Any, **fields: str) -> str:
    """What stands on the page once passages were looked for."""
    for label, text in fields.items():
        find_by_label(page.text_input, LABELS[label]).input(text)
    find_by_label(page.button, "Find passages").click().run()
    return read(page)


LABELS = {"query": "What would somebody ask?", "files": "In these files"}


def test_one_tries_some_files_only_and_reads_that_flows_have_filters(tmp_path: Path) -> None:
    notes = {name: f"---\nclient: {name}\n---\nLyon of {name}" for name in ("Acme", "ajax")}
    with opened(tmp_path, FILTERED.replace("{uploads", "{files: [n/*.md], uploads"), notes=notes) as app:
        index(app)
        page = open_script("knowledge", flow="travel")
        says = "`Found` of the flow travel has `filters`, and will find a file that is added here only where"
        assert says in read(page)
        for files, found in (("", ["Acme", "ajax"]), ("n/AC*.md", ["Acme"])):
            said = search(page, query="Lyon", files=files)
            assert [name for name in notes if f"Lyon of {name}" in said] == found
        assert "No file with that name. `**/NAME` is one in any folder" in search(page, files="Acme.md")
        assert "Nothing was found." in search(page, query="Xyzzy", files="n/Acme.md")


def test_the_page_says_why_only_words_are_found(tmp_path: Path) -> None:
    flow = KNOWS.replace("{uploads: true}", '{files: [n/*.md], embeddings: "mine:small"}')
    why = "The provider 'mine' answered with status 500"
    good, bad = whole({"data": [{"index": 0, "embedding": [1.0, 0.0]}]}), whole({}, status="500 Broken")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(wire([bad])) as vectors:
        mine = {"type": "openai", "base_url": f"{vectors.url}/v1", "retries": 0}
        with opened(tmp_path, flow, notes={"a": "Lyon costs 120 euros."}, providers={"mine": mine}) as app:
            index(app)
            page = open_script("knowledge", flow="travel")
            assert "**Vectors are missing**" in read(page)
            assert [why in str(one.value) for one in page.warning] == [True]
            vectors.answers = [[good]]
            index(app)
            page = open_script("knowledge", flow="travel")
            assert ("**Indexed**" in read(page), len(page.warning)) == (True, 0)
            for answer, says in ((good, False), (bad, True)):
                vectors.answers = [[answer]]
                said = search(page, query="Lyon")
                assert ("Lyon costs" in said, why in said) == (True, says)
