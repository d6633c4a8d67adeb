"""Snippets run as copied against the running app: each language and mode, each shipped flow, each way to answer."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from flowground.flow.parse import parse_flow
from flowground.snippets import SnippetRequest, write_snippets
from flowground.wiring import WiredFlow, wire
from tests.acting import ASKING_FIRST, SUM
from tests.running import chat_flow
from tests.servers import SHIPPED_FLOWS, AppServer
from tests.snippet_runs import EVERYTHING, RUNNABLE, VARIANTS, run_snippet

MESSAGE = 'it\'s "quoted"\na new line, $HOME, `id` and \\n'
SHIPPED = sorted(file.stem for file in SHIPPED_FLOWS.glob("*.yaml"))
SAID = "three words here"
ONE_STREAMED = """\
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:slow", input_value: "${In}"}
  Whole: {type: ChatOutput, input_value: "Whole: ${In}"}
  Spoken: {type: ChatOutput, input_value: "${Model}"}
"""
TWO_STREAMED = """\
components:
  In: {type: ChatInput}
  Prompt: {type: Prompt, template: "again {said}", said: "${In}"}
  First: {type: LanguageModel, model: "scripted:slow", input_value: "${In}"}
  Second: {type: LanguageModel, model: "scripted:slow", input_value: "${Prompt}"}
  FirstOut: {type: ChatOutput, input_value: "${First}"}
  SecondOut: {type: ChatOutput, input_value: "${Second}"}
"""
OUTPUTS = {
    "one": (ONE_STREAMED, {f"Whole: {SAID}", f"You said: {SAID}"}),
    "two": (TWO_STREAMED, {f"You said: {SAID}", f"You said: again {SAID}"}),
    "texts": (ONE_STREAMED.replace("Chat", "Text"), {f"Whole: {SAID}", f"You said: {SAID}"}),
}
READS = """\
chat: {accepts: ["text/*"]}
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${In}", files: "${In.files}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
FILES = {"bread.txt": b"Bread and salt", 'it\'s $HOME & "more".md': b"# Butter"}
CITES = """\
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${In}"}
  Out: {type: ChatOutput, input_value: "${In}: see [1]. ${Found.passages}"}
knowledge:
  handbook: {files: ["knowledge/*.md"]}
"""
FLOWS = {"told": chat_flow("scripted:json"), "reads": READS, "careful": ASKING_FIRST, "cites": CITES}
short_and_full = pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
streamed_or_not = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("snippets")
    (folder / "flows" / "knowledge").mkdir(parents=True)
    (folder / "flows" / "knowledge" / "hotels.md").write_text("Lyon costs 120 euros.")
    with AppServer(folder, flows=FLOWS | {name: text for name, (text, _) in OUTPUTS.items()}) as running:
        running.environment["FLOWGROUND_API_KEY"] = running.token("snippets", may=("--sets", "unprotected"))
        yield running


@pytest.fixture
def key(app: AppServer) -> dict[str, str]:
    return {"FLOWGROUND_API_KEY": app.environment["FLOWGROUND_API_KEY"]}


def read(text: str | bytes, name: str) -> WiredFlow:
    return wire(parse_flow(text, f"{name}.yaml"))


@pytest.fixture(scope="module")
def token(server: AppServer) -> str:
    return server.token("snippets")


@pytest.mark.parametrize("mode", ["short plain", "stream"])
@pytest.mark.parametrize("language", RUNNABLE)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_snippet_answers(server: AppServer, token: str, name: str, language: str, mode: str) -> None:
    wired = read((SHIPPED_FLOWS / f"{name}.yaml").read_bytes(), name)
    request = SnippetRequest(server.url, wired.id, **VARIANTS[mode]).fit(wired, MESSAGE)
    done = run_snippet(language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": token})
    assert done.returncode == 0, done.stderr
    if language != "curl":
        assert MESSAGE in done.stdout or json.dumps(MESSAGE)[1:-1] in done.stdout  # where the answer is data
    else:
        assert "it's" in done.stdout
        assert "$HOME" in done.stdout


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", RUNNABLE)
def test_the_model_receives_what_was_typed(app: AppServer, key: dict[str, str], language: str, variant: str) -> None:
    """Everything hostile stands in the message and in an override, the token in the environment or in the code."""
    tweaks = {"Model": {"system_message": EVERYTHING}}
    for written, env in ((None, key), (key["FLOWGROUND_API_KEY"], {})):
        request = SnippetRequest(app.url, "told", EVERYTHING, tweaks=tweaks, token=written, **VARIANTS[variant])
        done = run_snippet(language, write_snippets(request)[language], env=env)
        assert (done.returncode, done.stderr) == (0, "")
        received = json.loads(find_answer(done.stdout, variant) if language == "curl" else done.stdout)
        said = [{"role": role, "content": EVERYTHING} for role in ("system", "user")]
        assert received["messages"] == said


def find_answer(said: str, variant: str) -> str:
    """The answer's text in what the server sent, which cURL prints as it is."""
    if variant.endswith("simple"):
        return str(json.loads(said)["text"])
    if variant.endswith("plain"):
        return str(json.loads(said)["outputs"][0]["outputs"][0]["messages"][0]["message"])
    events = [json.loads(line) for line in said.splitlines() if line]
    return "".join(event["data"]["chunk"] for event in events if event["event"] == "token")


@short_and_full
@streamed_or_not
@pytest.mark.parametrize("language", RUNNABLE)
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_is_shown_also_of_a_stream(
    app: AppServer, key: dict[str, str], name: str, language: str, stream: bool, handles_errors: bool
) -> None:
    text, answers = OUTPUTS[name]
    asked = SnippetRequest(app.url, name, stream=stream, handles_errors=handles_errors).fit(read(text, name), SAID)
    done = run_snippet(language, write_snippets(asked)[language], env=key)
    assert (done.returncode, done.stderr) == (0, "")
    shown = find_last(done.stdout) if language == "curl" else done.stdout.splitlines()
    assert (len(shown), set(shown)) == (2, answers)


def find_last(said: str) -> list[str]:
    """The outputs' texts in what the server sent last, which cURL prints as it is."""
    sent = json.loads([line for line in said.splitlines() if line][-1])
    result = sent["data"]["result"] if "event" in sent else sent
    return [output["messages"][0]["message"] for output in result["outputs"][0]["outputs"]]


@streamed_or_not
@pytest.mark.parametrize("by_server", [False, True], ids=["here", "server"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_the_command_line_shows_every_output(app: AppServer, name: str, by_server: bool, stream: bool) -> None:
    asked = ["--server", app.url] * by_server + ["--stream"] * stream
    done = app.run_command("run", name, "--message", SAID, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.splitlines()
    assert (len(shown), set(shown)) == (2, OUTPUTS[name][1])


@short_and_full
@streamed_or_not
@pytest.mark.parametrize("language", RUNNABLE)
def test_a_snippet_sends_the_files(
    app: AppServer, key: dict[str, str], language: str, stream: bool, handles_errors: bool
) -> None:
    """With the token in its code where it streams."""
    fields: dict[str, Any] = {"stream": stream, "handles_errors": handles_errors}
    written, env = (key["FLOWGROUND_API_KEY"], {}) if stream else (None, key)
    message = 'What is "<file 1>" in it?'
    request = SnippetRequest(app.url, "reads", message, files=list(FILES), token=written, **fields)
    done = run_snippet(language, write_snippets(request)[language], env=env, files=FILES)
    assert done.returncode == 0, done.stderr
    for said in ("Bread and salt", "# Butter", message):
        assert said in done.stdout or json.dumps(said)[1:-1] in done.stdout


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_file_that_is_not_there_is_named_and_nothing_is_sent(
    app: AppServer, key: dict[str, str], language: str
) -> None:
    code = write_snippets(SnippetRequest(app.url, "reads", files=["gone.txt"]))[language]
    done = run_snippet(language, code, env=key)
    assert done.returncode != 0
    assert "gone.txt" in done.stderr
    assert done.stdout == ""


@short_and_full
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_code_of_a_run_that_waits_says_so(
    app: AppServer, key: dict[str, str], language: str, handles_errors: bool
) -> None:
    """And what to send where: sent as it is, that is a decision."""
    asked = SnippetRequest(app.url, "careful", handles_errors=handles_errors).fit(read(ASKING_FIRST, "careful"), SUM)
    done = run_snippet(language, write_snippets(asked)[language], env=key)
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert "The run waits for a decision: {" in done.stderr
    assert '"digest":' in done.stderr
    found = re.search(r"POST (\S+) with (\{.*\}), or \"refuse\"", done.stderr)
    assert found
    sent = json.loads(found[2])
    assert sent["decision"] == "once"
    decided = requests.post(found[1], json=sent, headers={"x-api-key": key["FLOWGROUND_API_KEY"]}, timeout=30)
    assert decided.status_code == 200, decided.text


@short_and_full
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_short_answers_are_printed_with_what_they_cite(
    app: AppServer, key: dict[str, str], language: str, handles_errors: bool
) -> None:
    asked = SnippetRequest(app.url, "cites", shape="simple", handles_errors=handles_errors)
    done = run_snippet(language, write_snippets(asked.fit(read(CITES, "cites"), "Lyon"))[language], env=key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Lyon: see [1].")
    assert done.stdout.splitlines()[-1] == "[1] knowledge/hotels.md"
