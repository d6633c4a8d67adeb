"""Snippets are saved and run, and what arrived is compared with what was typed."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flowground.snippets import LANGUAGES, SnippetRequest, write_snippets
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint
from tests.servers import clean_environment
from tests.snippet_runs import AS_A_WHOLE, EVERYTHING, HOSTILE, VARIANTS, program, run_snippet

IN_A_SHELL = ["python", "javascript", "curl"]
SCRIPTS = ["python", "javascript"]
ENV = {"FLOWGROUND_API_KEY": TOKEN}
WRONG = {"FLOWGROUND_API_KEY": "wrong"}
TWEAKS = {
    "Prompt": {f"field {name}": value for name, value in HOSTILE.items()},
    'it\'s a "name"': {"yes": True, "no": False, "none": None, "float": 0.1, "int": -7, "list": ["a", {}, []]},
    "__proto__": {"constructor": "x"},
    "temperature": 0.4,
}
in_a_shell = pytest.mark.parametrize("language", IN_A_SHELL)
scripts = pytest.mark.parametrize("language", SCRIPTS)
streamed_or_not = pytest.mark.parametrize("stream", [False, True])
short_and_full = pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])


@pytest.fixture
def endpoint() -> Iterator[FakeRunEndpoint]:
    with FakeRunEndpoint() as running:
        yield running


def write(endpoint: FakeRunEndpoint, language: str, **fields: Any) -> str:
    return write_snippets(SnippetRequest(**{"base_url": endpoint.url, "flow_id": "echo"} | fields))[language]


def run(
    endpoint: FakeRunEndpoint, language: str, *, env: Mapping[str, str] = ENV, args: Sequence[str] = (), **fields: Any
) -> tuple[int, str, str]:
    """How it ended, and what it printed on stdout and stderr."""
    done = run_snippet(language, write(endpoint, language, **fields), env=env, args=args)
    return done.returncode, done.stdout, done.stderr


@in_a_shell
@pytest.mark.parametrize("variant", VARIANTS)
def test_everything_arrives_as_typed(endpoint: FakeRunEndpoint, language: str, variant: str) -> None:
    asked: dict[str, Any] = {"message": EVERYTHING, "session_id": "it's mine", "tweaks": TWEAKS}
    code, out, err = run(endpoint, language, **asked, **VARIANTS[variant])
    assert (code, err) == (0, "")
    assert endpoint.bodies == [{"input_value": EVERYTHING, "session_id": "it's mine", "tweaks": TWEAKS}]
    assert endpoint.bodies[0]["tweaks"]['it\'s a "name"']["yes"] is True
    assert language == "curl" or out == f"You said: {EVERYTHING}\n"


@short_and_full
@in_a_shell
def test_a_text_is_taken_for_nothing_else(endpoint: FakeRunEndpoint, language: str, handles_errors: bool) -> None:
    for message in AS_A_WHOLE:
        code, out, err = run(endpoint, language, message=message, handles_errors=handles_errors)
        assert (code, err) == (0, "")
        assert endpoint.bodies.pop() == {"input_value": message}
        assert language == "curl" or out == f"You said: {message}\n"


@short_and_full
@scripts
def test_a_message_given_as_argument_takes_its_place(
    endpoint: FakeRunEndpoint, language: str, handles_errors: bool
) -> None:
    for message in (EVERYTHING, "", "--message=-x"):
        argument = f"--message={message}" if language == "python" else message
        code, _, err = run(endpoint, language, args=[argument], handles_errors=handles_errors)
        assert (code, err) == (0, "")
        assert endpoint.bodies.pop() == {"input_value": message}


def test_curl_prints_what_the_server_sends(endpoint: FakeRunEndpoint) -> None:
    plain = run(endpoint, "curl", message="hi", shape="simple")
    assert plain[1] == '{"text": "You said: hi", "session_id": "s"}\n'
    streamed = run(endpoint, "curl", message="hi", stream=True)
    assert '\n{"event": "token", "data": {"chunk": "You sa", "id": "1"}}\n' in streamed[1]
    refused = run(endpoint, "curl", env=WRONG)
    assert (refused[0], '"Invalid or missing API key"' in refused[1]) == (22, True)


@in_a_shell
def test_tokens_are_shown_as_they_come(endpoint: FakeRunEndpoint, language: str, tmp_path: Path) -> None:
    script = tmp_path / LANGUAGES[language].file_name
    script.write_text(write(endpoint, language, message="hi", stream=True), "utf-8")
    endpoint.go_on.clear()
    with subprocess.Popen(
        [program(language), str(script)], env=clean_environment(**ENV), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        shown = b""
        while b"You s" not in shown:
            piece = os.read(process.stdout.fileno(), 65_536)
            assert piece, shown  # else it has ended
            shown += piece
        assert b"id: hi" not in shown
        endpoint.go_on.set()
        assert b"id: hi" in process.stdout.read()


@short_and_full
@scripts
def test_a_flow_that_does_not_stream_is_answered_at_once(
    endpoint: FakeRunEndpoint, language: str, handles_errors: bool
) -> None:
    endpoint.tokens = False
    told = run(endpoint, language, message="hi", stream=True, handles_errors=handles_errors)
    assert told == (0, "You said: hi\n", "")


@streamed_or_not
@in_a_shell
def test_without_a_token_it_says_so(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    code, out, err = run(endpoint, language, env={}, stream=stream)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "FLOWGROUND_API_KEY" in err
    assert err.endswith("to an application token.\n")
    if language in SCRIPTS:
        short = run(endpoint, language, env={}, stream=stream, handles_errors=False)
        assert short == (1, "", "Set FLOWGROUND_API_KEY to a token first.\n")
    assert endpoint.paths == []


@streamed_or_not
@scripts
def test_a_refusal_prints_the_servers_sentence_and_hint(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    wrong = run(endpoint, language, env=WRONG, stream=stream)
    assert wrong == (1, "", "Invalid or missing API key\nMake one in API access.\n")
    assert run(endpoint, language, env=WRONG, stream=stream, handles_errors=False)[:2] == (1, "")
    endpoint.refusal = (422, {"detail": {"code": "TWEAKS_REFUSED", "message": "temperature is at most 2."}})
    assert run(endpoint, language, stream=stream)[2] == "temperature is at most 2.\n"
    endpoint.refusal = (422, {"detail": [{"loc": ["body", "input_type"], "msg": "should be chat or text"}]})
    assert "should be chat or text" in run(endpoint, language, stream=stream)[2]


@scripts
def test_a_failure_inside_a_stream_ends_it_with_the_sentence(endpoint: FakeRunEndpoint, language: str) -> None:
    endpoint.failure = {"error": "The model is busy.", "code": "model_busy", "hint": "Try again in 5 s."}
    code, out, err = run(endpoint, language, message="hi", stream=True)
    assert (code, out.strip(), err) == (1, "You said: hi", "The model is busy.\nTry again in 5 s.\n")
    short = run(endpoint, language, message="hi", stream=True, handles_errors=False)
    assert (short[0], "The model is busy." in short[2]) == (1, True)


@streamed_or_not
@scripts
def test_no_server_is_one_sentence(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    code, out, err = run(endpoint, language, base_url="http://127.0.0.1:1", stream=stream)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("No answer from http://127.0.0.1:1/api/v1/run/echo")


@streamed_or_not
def test_javascript_runs_as_a_module_too(endpoint: FakeRunEndpoint, stream: bool) -> None:
    code = write(endpoint, "javascript", message="hi", stream=stream)
    done = run_snippet("javascript", code, env=ENV, file_name="test-script.mjs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: hi\n", "")


def test_a_message_in_short_curl_may_be_edited_and_may_be_long(endpoint: FakeRunEndpoint) -> None:
    code = write(endpoint, "curl", message="How are you?", handles_errors=False)
    done = run_snippet("curl", code.replace("How are you?", "What's up, $HOME?"), env=ENV)
    assert (done.returncode, done.stderr) == (0, "")
    message = "it's long " * 15_000  # longer than an argument may be
    assert run(endpoint, "curl", message=message, handles_errors=False)[0] == 0
    assert endpoint.bodies == [{"input_value": "What's up, $HOME?"}, {"input_value": message}]


def test_curl_can_be_pasted_at_a_prompt(endpoint: FakeRunEndpoint) -> None:
    if not (shutil.which("bash") and shutil.which("curl")):
        pytest.skip("needs bash and curl")
    message = "".join(HOSTILE[name] for name in ("apostrophe", "home", "backticks", "newline", "emoji"))
    code = write(endpoint, "curl", message=message)
    said = paste(f"{code}unset FLOWGROUND_API_KEY\n{code}echo still-$((1+1))-here\nexit\n")
    assert endpoint.bodies == [{"input_value": message}]
    assert "FLOWGROUND_API_KEY: Set this" in said
    assert "still-2-here" in said


def paste(text: str) -> str:
    """What an interactive bash shows when `text` is typed into it."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], os.environ | ENV | {"TERM": "dumb"})
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
