"""A stream of a flow with several outputs shows each of them, one after the other, as the plain call does."""

import json
from collections.abc import Iterator

import pytest

from flowground.flow.parse import parse_flow
from flowground.snippets import SnippetRequest, write_snippets
from flowground.wiring import wire
from tests.servers import AppServer
from tests.snippet_runs import RUNNABLE, run_snippet

ONE_STREAMED = """\
name: One streamed
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:slow", input_value: "${In}"}
  Whole: {type: ChatOutput, input_value: "Whole: ${In}"}
  Spoken: {type: ChatOutput, input_value: "${Model}"}
"""
TWO_STREAMED = """\
name: Two streamed
components:
  In: {type: ChatInput}
  Prompt: {type: Prompt, template: "again {said}", said: "${In}"}
  First: {type: LanguageModel, model: "scripted:slow", input_value: "${In}"}
  Second: {type: LanguageModel, model: "scripted:slow", input_value: "${Prompt}"}
  FirstOut: {type: ChatOutput, input_value: "${First}"}
  SecondOut: {type: ChatOutput, input_value: "${Second}"}
"""
TEXTS = """\
name: Texts
components:
  In: {type: TextInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${In}"}
  Whole: {type: TextOutput, input_value: "Whole: ${In}"}
  Spoken: {type: TextOutput, input_value: "${Model}"}
"""
FLOWS = {"one": ONE_STREAMED, "two": TWO_STREAMED, "texts": TEXTS}
MESSAGE = "three words here"
ANSWERS = {
    "one": {f"Whole: {MESSAGE}", f"You said: {MESSAGE}"},
    "two": {f"You said: {MESSAGE}", f"You said: again {MESSAGE}"},
    "texts": {f"Whole: {MESSAGE}", f"You said: {MESSAGE}"},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("outputs"), flows=FLOWS) as running:
        running.environment["FLOWGROUND_API_KEY"] = running.token("outputs")
        yield running


@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("language", RUNNABLE)
@pytest.mark.parametrize("name", FLOWS)
def test_a_snippet_shows_every_output(
    app: AppServer, name: str, language: str, stream: bool, handles_errors: bool
) -> None:
    flow = wire(parse_flow(FLOWS[name], f"{name}.yaml", max_bytes=100_000))
    request = SnippetRequest(app.url, flow.id, stream=stream, handles_errors=handles_errors).fit(flow, MESSAGE)
    done = run_snippet(
        language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": app.environment["FLOWGROUND_API_KEY"]}
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = _last_of(done.stdout) if language == "curl" else done.stdout.splitlines()
    assert len(shown) == 2
    assert set(shown) == ANSWERS[name]


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])
@pytest.mark.parametrize("by_server", [False, True], ids=["here", "server"])
@pytest.mark.parametrize("name", FLOWS)
def test_the_command_line_shows_every_output(
    app: AppServer, name: str, by_server: bool, stream: tuple[str, ...]
) -> None:
    asked = ("--server", app.url) if by_server else ()
    done = app.run_command("run", name, "--message", MESSAGE, *asked, *stream)
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.splitlines()
    assert len(shown) == 2
    assert set(shown) == ANSWERS[name]


def _last_of(said: str) -> list[str]:
    """The outputs' texts in what the server sent last, which cURL prints as it is."""
    sent = json.loads([line for line in said.splitlines() if line][-1])
    result = sent["data"]["result"] if "event" in sent else sent
    return [output["messages"][0]["message"] for output in result["outputs"][0]["outputs"]]
