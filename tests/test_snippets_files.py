"""Snippets of a message with files upload them and send them with it, as copied."""

import json
from collections.abc import Iterator

import pytest

from flowground.snippets import SnippetRequest, write_snippets
from tests.servers import AppServer
from tests.snippet_runs import RUNNABLE, run_snippet

FLOW = """
name: Reads
chat: {accepts: ["text/*"]}
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: "scripted:echo", input_value: "${In}", files: "${In.files}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
FILES = {"bread.txt": b"Bread and salt", 'it\'s $HOME & "more".md': b"# Butter"}
MESSAGE = 'What is "<file 1>" in it?'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("reads"), flows={"reads": FLOW}) as running:
        yield running


@pytest.fixture(scope="module")
def reads(server: AppServer) -> str:
    return server.token("snippets of files")


@pytest.mark.parametrize("has_token", [False, True], ids=["variable", "written"])
@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("language", RUNNABLE)
def test_a_snippet_sends_the_files(
    server: AppServer, reads: str, language: str, stream: bool, handles_errors: bool, has_token: bool
) -> None:
    request = SnippetRequest(
        server.url, "reads", MESSAGE, stream=stream, handles_errors=handles_errors,
        files=list(FILES), token=reads if has_token else None,
    )  # fmt: skip
    done = run_snippet(language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": reads}, files=FILES)
    assert done.returncode == 0, done.stderr
    for said in ("Bread and salt", "# Butter", MESSAGE):
        assert said in done.stdout or json.dumps(said)[1:-1] in done.stdout


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_file_that_is_not_there_is_named_and_nothing_is_sent(server: AppServer, reads: str, language: str) -> None:
    code = write_snippets(SnippetRequest(server.url, "reads", MESSAGE, files=["gone.txt"]))[language]
    done = run_snippet(language, code, env={"FLOWGROUND_API_KEY": reads})
    assert done.returncode != 0
    assert "gone.txt" in done.stderr
    assert done.stdout == ""


def test_a_message_without_files_has_no_word_of_them() -> None:
    for code in write_snippets(SnippetRequest("http://x", "f", token="t")).values():
        assert "file" not in code.replace("PSCommandPath", "")
