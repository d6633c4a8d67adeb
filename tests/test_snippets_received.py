"""Every code tab × short, full × plain, stream, simple × hostile values, run against the running app: what the model
received is what was typed, byte for byte."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from flowground.snippets import SnippetRequest, write_snippets
from tests.running import chat_flow
from tests.servers import AppServer
from tests.snippet_runs import RUNNABLE, run_snippet

HOSTILE = {
    "apostrophe": "what's up?",
    "double quote": 'say "hi"',
    "backslash": "C:\\new\\table \\",
    "newline": "two\nlines\r\nand a tab\t.\nJSON\n'@\n",
    "home": "$HOME ${HOME} $(id) %HOME% !ls !!",
    "backticks": "`id` ${message} `` ```",
    "percent": "100% %s %(message)s %%",
    "emoji": "👋🏽 👩‍👩‍👧 ﬀ é ‘so’",
    "right to left": "שלום \u202eevil\u202c عالم",
    "true": "true",
    "null": "null",
    "None": "None",
    "script": "</script><!--<script>",
    "leading dash": "--message=-x",
    "20 kB": "aé'\"\\\n$`" * 2_000,
}
MODES: dict[str, dict[str, Any]] = {"plain": {}, "stream": {"stream": True}, "simple": {"shape": "simple"}}
VARIANTS = MODES | {f"short {mode}": {**fields, "handles_errors": False} for mode, fields in MODES.items()}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with AppServer(tmp_path_factory.mktemp("received"), flows={"told": chat_flow("scripted:json")}) as running:
        yield running


@pytest.fixture(scope="module")
def token(app: AppServer) -> str:
    return app.token("snippets", may=("--sets", "unprotected"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", RUNNABLE)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_model_receives_what_was_typed(app: AppServer, token: str, value: str, language: str, variant: str) -> None:
    """The value stands in the message and in an override at once; the model is told both."""
    tweaks = {"Model": {"system_message": value}}
    request = SnippetRequest(app.url, "told", value, session_id=None, tweaks=tweaks, **VARIANTS[variant])
    done = run_snippet(language, write_snippets(request)[language], env={"FLOWGROUND_API_KEY": token})
    assert (done.returncode, done.stderr) == (0, "")
    received = json.loads(answer(done.stdout, variant) if language == "curl" else done.stdout)
    assert received["messages"] == [{"role": "system", "content": value}, {"role": "user", "content": value}]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("language", RUNNABLE)
def test_a_token_may_stand_in_the_code(app: AppServer, token: str, language: str, variant: str) -> None:
    request = SnippetRequest(app.url, "told", "it's me", token=token, **VARIANTS[variant])
    done = run_snippet(language, write_snippets(request)[language])
    assert (done.returncode, done.stderr) == (0, "")
    received = json.loads(answer(done.stdout, variant) if language == "curl" else done.stdout)
    assert received["messages"] == [{"role": "user", "content": "it's me"}]


def answer(said: str, variant: str) -> str:
    """The answer's text in what the server sent, which cURL prints as it is."""
    if variant.endswith("simple"):
        return str(json.loads(said)["text"])
    if variant.endswith("plain"):
        return str(json.loads(said)["outputs"][0]["outputs"][0]["messages"][0]["message"])
    events = [json.loads(line) for line in said.splitlines() if line]
    return "".join(event["data"]["chunk"] for event in events if event["event"] == "token")
