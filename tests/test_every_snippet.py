"""Snippets run as copied against the running app: each language and mode, each shipped flow, each way to answer."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import pytest

from flowground.api.snippets import CONVERSATION, LANGUAGES, SnippetRequest, remembers, write_answer, write_snippets
from flowground.flows.parse import parse_flow
from flowground.flows.wiring import WiredFlow, wire
from tests.acting import ASKING_FIRST, SUM
from tests.running import chat_flow
from tests.servers import SHIPPED_FLOWS, AppServer, clean_environment
from tests.snippet_runs import AS_A_WHOLE, EVERYTHING, MODES, program, run_snippet

MESSAGE = 'it\'s "quoted"\na new line, $HOME, `id` and \\n'
SHIPPED = sorted(file.stem for file in SHIPPED_FLOWS.glob("*.yaml"))
SCRIPTS = ("python", "javascript")
REFUSED = "Invalid or missing API key"
WORDS = "three words here"
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
    "one": (ONE_STREAMED, {f"Whole: {WORDS}", f"You said: {WORDS}"}),
    "two": (TWO_STREAMED, {f"You said: {WORDS}", f"You said: again {WORDS}"}),
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
FACTS = """\
components:
  In: {type: ChatInput}
  Facts:
    type: StructuredOutput
    model: scripted:json
    input_value: ${In}
    output_schema: {type: object, properties: {who: {type: string}}}
  Out: {type: ChatOutput, input_value: "${Facts}"}
"""
FLOWS = {
    "told": chat_flow("scripted:json"),
    "long": chat_flow("scripted:long"),
    "breaks": chat_flow("scripted:breaks"),
    "reads": READS,
    "careful": ASKING_FIRST,
    "cites": CITES,
    "facts": FACTS,
} | {name: text for name, (text, _) in OUTPUTS.items()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder = tmp_path_factory.mktemp("snippets")
    (folder / "flows" / "knowledge").mkdir(parents=True)
    (folder / "flows" / "knowledge" / "hotels.md").write_text("Lyon costs 120 euros.")
    with AppServer(folder, flows=FLOWS) as running:
        running.environment["FLOWGROUND_API_KEY"] = running.token("snippets", may=("--sets", "unprotected"))
        yield running


@pytest.fixture(scope="module")
def token(server: AppServer) -> str:
    return server.token("snippets")


def read(text: str | bytes, name: str) -> WiredFlow:
    return wire(parse_flow(text, f"{name}.yaml"))


def run(app: AppServer, language: str, request: SnippetRequest, **more: Any) -> tuple[int, str, str]:
    """How it ended, and what it printed on stdout and stderr; cURL's meter of what was sent is no message."""
    env = {} if request.token else {"FLOWGROUND_API_KEY": app.environment["FLOWGROUND_API_KEY"]}
    done = run_snippet(language, write_snippets(request)[language], **({"env": env} | more))
    return done.returncode, done.stdout, "" if language == "curl" and done.returncode == 0 else done.stderr


def find_answer(sent: str, mode: str) -> Any:
    """The answer in what the server sent, which cURL prints as it is."""
    if mode != "stream":
        return json.loads(sent)
    return json.loads(sent.rpartition("event: end\ndata: ")[2])


def find_texts(sent: str, mode: str) -> list[str]:
    answer = find_answer(sent, mode)
    if mode == "langflow":
        return [output["messages"][0]["message"] for output in answer["outputs"][0]["outputs"]]
    return str(answer["text"]).split("\n\n")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_snippet_answers(server: AppServer, token: str, name: str) -> None:
    wired = read((SHIPPED_FLOWS / f"{name}.yaml").read_bytes(), name)
    session = CONVERSATION if remembers(wired) else None

    def ask(chosen: tuple[Any, str]) -> None:
        mode, language = chosen
        request = SnippetRequest(server.url, wired.id, mode=mode, session_id=session).fit(wired, MESSAGE)
        done = run_snippet(language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": token})
        assert done.returncode == 0, (chosen, done.stderr)
        shown = json.dumps(find_answer(done.stdout, mode)) if language == "curl" else done.stdout
        written = (MESSAGE, json.dumps(MESSAGE)[1:-1], json.dumps(json.dumps(MESSAGE)[1:-1])[1:-1], repr(MESSAGE)[1:-1])
        assert any(text in shown for text in written), (chosen, shown)  # an answer may be data
        if language == "curl":
            sample = write_answer(request).rpartition("data: " if mode == "stream" else "\0")[2]
            optional = {"citations", "data"}
            assert json.loads(sample).keys() - optional <= json.loads(shown).keys()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ask, product(MODES, LANGUAGES)))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_model_receives_what_was_typed(app: AppServer, language: str, mode: Any) -> None:
    """Everything hostile stands in the message and in an override, the token in the environment or in the code."""
    tweaks = {"Model": {"system_message": EVERYTHING}}
    for written in (None, app.environment["FLOWGROUND_API_KEY"]):
        asked = SnippetRequest(app.url, "told", EVERYTHING, None, tweaks, mode, token=written)
        code, out, err = run(app, language, asked)
        assert (code, err) == (0, "")
        if language == "curl":
            answer = find_answer(out, mode)
            out = answer["text"] if mode != "langflow" else find_texts(out, mode)[0]
        messages = [{"role": role, "content": EVERYTHING} for role in ("system", "user")]
        assert json.loads(out)["messages"] == messages


@pytest.mark.parametrize("language", SCRIPTS)
def test_a_text_is_taken_for_nothing_else_in_the_code_or_as_its_argument(app: AppServer, language: str) -> None:
    for message in AS_A_WHOLE:
        argument = f"--message={message}" if language == "python" else message
        for written, args in ((message, []), ("hi", [argument])):
            code, out, err = run(app, language, SnippetRequest(app.url, "told", written), args=args)
            assert (code, err) == (0, "")
            assert json.loads(out)["messages"] == [{"role": "user", "content": message}]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_is_shown_also_of_a_stream(app: AppServer, name: str, mode: Any) -> None:
    text, answers = OUTPUTS[name]
    for language in LANGUAGES:
        code, out, err = run(app, language, SnippetRequest(app.url, name, mode=mode).fit(read(text, name), WORDS))
        assert (code, err) == (0, ""), language
        shown = find_texts(out, mode) if language == "curl" else [line for line in out.splitlines() if line]
        assert (len(shown), set(shown)) == (2, answers), language


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("by_server", [False, True], ids=["here", "server"])
def test_the_command_line_shows_every_output(app: AppServer, by_server: bool, stream: bool) -> None:
    asked = ["--server", app.url] * by_server + ["--stream"] * stream
    done = app.run_command("run", "two", "--message", WORDS, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.splitlines()
    assert (len(shown), set(shown)) == (2, OUTPUTS["two"][1])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_snippet_sends_the_files_of_a_call_that_was_made_before(app: AppServer, language: str) -> None:
    message = 'What is "<file 1>" in it?'
    code, out, err = run(app, language, SnippetRequest(app.url, "reads", message, files=list(FILES)), files=FILES)
    assert (code, err) == (0, "")
    for text in ("Bread and salt", "# Butter", message):
        assert text in out or json.dumps(text)[1:-1] in out


@pytest.mark.parametrize("language", SCRIPTS)
def test_files_are_named_when_the_code_is_started(app: AppServer, language: str) -> None:
    request = SnippetRequest(app.url, "reads", mode="stream").fit(read(READS, "reads"), "Read it")
    before = ["--file"] if language == "python" else ["Read it"]
    for args, found in (([], False), ([*before, *FILES], True)):
        code, out, err = run(app, language, request, files=FILES, args=args)
        assert (code, err, "Read it" in out) == (0, "", True)
        assert ("Bread and salt" in out, "# Butter" in out) == (found, found)
    code, out, err = run(app, language, request, args=[*before, "gone.txt"])
    assert (code != 0, out, "gone.txt" in err) == (True, "", True)


@pytest.mark.parametrize("language", SCRIPTS)
def test_code_of_a_run_that_waits_says_so(app: AppServer, language: str) -> None:
    asked = SnippetRequest(app.url, "careful").fit(read(ASKING_FIRST, "careful"), SUM)
    code, out, err = run(app, language, asked)
    assert (code != 0, out) == (True, "")
    assert '"digest":' in err
    assert '"run_id":' in err


@pytest.mark.parametrize("language", SCRIPTS)
def test_answers_are_printed_with_what_they_cite_and_data_as_data(app: AppServer, language: str) -> None:
    code, out, err = run(app, language, SnippetRequest(app.url, "cites").fit(read(CITES, "cites"), "Lyon"))
    assert (code, err) == (0, "")
    assert out.startswith("Lyon: see [1].")
    assert out.splitlines()[-1] == "[1] knowledge/hotels.md"
    code, out, err = run(app, language, SnippetRequest(app.url, "facts").fit(read(FACTS, "facts"), "Ada"))
    assert (code, err, out) == (0, "", {"python": "{'who': 'Ada'}\n", "javascript": "{ who: 'Ada' }\n"}[language])


@pytest.mark.parametrize("mode", MODES)
def test_what_is_wrong_is_printed_and_ends_with_a_status(app: AppServer, mode: Any) -> None:
    for language in LANGUAGES:
        for key, says in (("wrong", REFUSED), ("", "An API key must be passed")):
            env = {"FLOWGROUND_API_KEY": key}
            code, out, err = run(app, language, SnippetRequest(app.url, "told", mode=mode), env=env)
            assert (code != 0, says in out + err) == (True, True), (language, out, err)
        code, out, err = run(app, language, SnippetRequest(app.url, "breaks", mode=mode))
        assert (code != 0) == (language != "curl" or mode != "stream"), (language, out, err)
        assert "The model" in out + err, (language, out, err)


@pytest.mark.parametrize("language", LANGUAGES)
def test_pieces_are_shown_as_they_come(app: AppServer, language: str, tmp_path: Any) -> None:
    script = tmp_path / LANGUAGES[language].file_name
    script.write_text(write_snippets(SnippetRequest(app.url, "long", mode="stream"))[language], "utf-8")
    env = clean_environment(FLOWGROUND_API_KEY=app.environment["FLOWGROUND_API_KEY"])
    with subprocess.Popen([program(language), str(script)], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        pieces = list(iter(lambda: os.read(process.stdout.fileno(), 65_536), b""))  # type: ignore[union-attr]  # it is a pipe
    assert process.returncode == 0
    assert len(pieces) > 20
    if language != "curl":
        assert b"".join(pieces).count(pieces[0]) == 1  # nothing is shown again at the end


def test_javascript_runs_as_a_module_too(app: AppServer) -> None:
    for mode in MODES:
        request = SnippetRequest(app.url, "reads", "hi", mode=mode, takes_files=True)
        code, out, err = run(app, "javascript", request, file_name="test-script.mjs")
        assert (code, err, "hi" in out) == (0, "", True)


def test_curl_can_be_pasted_at_a_prompt_and_its_message_may_be_long(app: AppServer) -> None:
    code = write_snippets(SnippetRequest(app.url, "told", "Pasted: " + MESSAGE + "é 🦊 !ls !!"))["curl"]
    key = app.environment["FLOWGROUND_API_KEY"]
    shown = paste(f"{code}\nFLOWGROUND_API_KEY=wrong\n{code}\necho still-$((1+1))-here\nexit\n", key)
    assert "Pasted" in "".join(shown.split('"text":')[1:])  # in an answer, not only in what was typed
    assert REFUSED in shown
    assert "still-2-here" in shown
    message = "it's long " * 15_000
    status, out, _ = run(app, "curl", SnippetRequest(app.url, "told", message))
    assert (status, json.loads(json.loads(out)["text"])["messages"]) == (0, [{"role": "user", "content": message}])


def paste(text: str, key: str) -> str:
    """What an interactive bash shows when `text` is typed into it."""
    child, terminal = pty.fork()
    if child == 0:
        env = os.environ | {"TERM": "dumb", "FLOWGROUND_API_KEY": key}
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], env)
    os.write(terminal, text.encode())
    shown = b""
    try:
        while piece := os.read(terminal, 65_536):
            shown += piece
    except OSError:  # Linux reports the closed terminal so
        pass
    os.waitpid(child, 0)
    os.close(terminal)
    return shown.decode("utf-8", errors="replace")
