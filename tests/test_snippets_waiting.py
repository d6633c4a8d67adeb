"""Code for flows whose tools ask a person first, and for flows that cite."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from flowground.components import COMPONENTS
from flowground.flow.parse import parse_flow
from flowground.snippets import SnippetRequest, write_snippets
from flowground.wiring import WiredFlow, wire
from tests.acting import ASKING_FIRST, SUM
from tests.servers import AppServer
from tests.snippet_runs import run_snippet

CITING = """\
components:
  In: {type: ChatInput}
  Found: {type: Retrieve, knowledge: handbook, search_query: "${In}"}
  Out: {type: ChatOutput, input_value: "${In}: see [1]. ${Found.passages}"}
knowledge:
  handbook: {files: ["knowledge/*.md"]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    folder: Path = tmp_path_factory.mktemp("waiting")
    (folder / "flows" / "knowledge").mkdir(parents=True)
    (folder / "flows" / "knowledge" / "hotels.md").write_text("Lyon costs 120 euros.")
    opened = AppServer(folder, flows={"careful": ASKING_FIRST, "cites": CITING}).start()
    yield opened
    opened.stop()


def read(text: str) -> WiredFlow:
    return wire(parse_flow(text, "it.yaml", max_bytes=100_000), types=COMPONENTS)


@pytest.mark.parametrize("handles_errors", [True, False])
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_code_of_a_run_that_waits_says_so(server: AppServer, language: str, handles_errors: bool) -> None:
    """And what to send where: sent as it is, that is a decision."""
    asked = SnippetRequest(server.url, "careful", handles_errors=handles_errors).fit(read(ASKING_FIRST), SUM)
    token = server.token("careful")
    done = run_snippet(language, write_snippets(asked)[language], env={"FLOWGROUND_API_KEY": token})
    assert done.returncode != 0
    assert done.stdout == ""
    assert "The run waits for a decision: {" in done.stderr
    assert '"digest":' in done.stderr
    found = re.search(r"POST (\S+) with (\{.*\}), or \"refuse\"", done.stderr)
    assert found
    sent = json.loads(found[2])
    assert sent["decision"] == "once"
    decided = requests.post(found[1], json=sent, headers={"x-api-key": token}, timeout=30)
    assert decided.status_code == 200, decided.text


@pytest.mark.parametrize("handles_errors", [True, False])
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_short_answers_are_printed_with_what_they_cite(server: AppServer, language: str, handles_errors: bool) -> None:
    asked = SnippetRequest(server.url, "cites", shape="simple", handles_errors=handles_errors).fit(read(CITING), "Lyon")
    done = run_snippet(language, write_snippets(asked)[language], env={"FLOWGROUND_API_KEY": server.token("cites")})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Lyon: see [1].")
    assert done.stdout.splitlines()[-1] == "[1] knowledge/hotels.md"


def test_code_of_other_flows_says_nothing_of_either() -> None:
    plain = read('components:\n  In: {type: ChatInput}\n  Out: {type: ChatOutput, input_value: "${In}"}\n')
    for shape in ("langflow", "simple"):
        code = "".join(write_snippets(SnippetRequest("http://x", "it", shape=shape).fit(plain)).values())
        assert "it" in code
        assert "202" not in code
        assert "citations" not in code
