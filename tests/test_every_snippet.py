"""Every snippet of every shipped flow runs as copied against the running app, whatever the message holds."""

import json

import pytest

from flowground.flow.parse import parse_flow
from flowground.snippets import SnippetRequest, write_snippets
from flowground.wiring import wire
from tests.servers import SHIPPED_FLOWS, AppServer
from tests.snippet_runs import RUNNABLE, run_snippet

MESSAGE = 'it\'s "quoted"\na new line, $HOME, `id` and \\n'
FLOWS = sorted(file.stem for file in SHIPPED_FLOWS.glob("*.yaml"))


@pytest.fixture(scope="module")
def token(server: AppServer) -> str:
    return server.token("snippets")


@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("language", RUNNABLE)
@pytest.mark.parametrize("name", FLOWS)
def test_a_shipped_snippet_answers(
    server: AppServer, token: str, name: str, language: str, stream: bool, handles_errors: bool
) -> None:
    file = SHIPPED_FLOWS / f"{name}.yaml"
    wired = wire(parse_flow(file.read_bytes(), file.name, max_bytes=1_000_000))
    request = SnippetRequest(server.url, wired.id, stream=stream, handles_errors=handles_errors).fit(wired, MESSAGE)
    done = run_snippet(language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": token})
    assert done.returncode == 0, done.stderr
    if language != "curl":
        assert MESSAGE in done.stdout or json.dumps(MESSAGE)[1:-1] in done.stdout  # where the answer is data
    else:
        assert "it's" in done.stdout
        assert "$HOME" in done.stdout
