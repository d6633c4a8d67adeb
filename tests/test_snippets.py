"""Every snippet is saved and run, and what arrived is compared with what was typed."""

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowground.snippets import LANGUAGES, SnippetRequest, write_snippets
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint
from tests.servers import clean_environment
from tests.snippet_runs import program, run_snippet

IN_A_SHELL = ["python", "javascript", "curl"]
SCRIPTS = ["python", "javascript"]
ENV = {"FLOWGROUND_API_KEY": TOKEN}
HOSTILE = {
    "apostrophe": "what's up?",
    "double quote": 'say "hi"',
    "both quotes": """'it's' "so" '''three''' \"\"\"three\"\"\"""",
    "backslash": "C:\\new\\table \\",
    "newline": "two\nlines\r\nand a tab\t.\nJSON\n",
    "home": "$HOME ${HOME} $(id) %HOME% !ls !!",
    "backticks": "`id` ${message}",
    "percent": "100% %s %(message)s %%",
    "emoji": "👋🏽 👩‍👩‍👧 ﬀ é",
    "right to left": "שלום \u202eevil\u202c عالم",
    "separators": "\u2028\u2029\x85\x0b\x7f\x1b[31m\ufeff",
    "words": "true",
    "null": "null",
    "None": "None True construed nullable",
    "script": "</script><!--<script>",
    "leading dash": "--message=-x",
    "at file": "@/etc/hostname",
    "gap": "«message» «payload» {message} {{x}}",
    "empty": "",
    "20 kB": "aé'\"\\\n" * 3_000,
}


@pytest.fixture
def endpoint() -> Iterator[FakeRunEndpoint]:
    with FakeRunEndpoint() as running:
        yield running


def asking(endpoint: FakeRunEndpoint, **fields: Any) -> SnippetRequest:
    return SnippetRequest(**({"base_url": endpoint.url, "flow_id": "echo"} | fields))


@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("language", IN_A_SHELL)
@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
def test_the_message_arrives_as_typed(
    endpoint: FakeRunEndpoint, language: str, message: str, handles_errors: bool
) -> None:
    request = asking(endpoint, message=message, handles_errors=handles_errors)
    done = run_snippet(language, write_snippets(request)[language], env=ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert endpoint.bodies == [{"input_value": message}]
    if language in SCRIPTS:
        assert done.stdout == f"You said: {message}\n"


@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("language", SCRIPTS)
@pytest.mark.parametrize("message", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_message_given_as_argument_takes_its_place(
    endpoint: FakeRunEndpoint, language: str, message: str, handles_errors: bool
) -> None:
    argument = f"--message={message}" if language == "python" else message
    code = write_snippets(asking(endpoint, handles_errors=handles_errors))[language]
    done = run_snippet(language, code, env=ENV, args=[argument])
    assert (done.returncode, done.stderr) == (0, "")
    assert endpoint.bodies == [{"input_value": message}]


@pytest.mark.parametrize("language", IN_A_SHELL)
@pytest.mark.parametrize("variant", [{}, {"stream": True}, {"shape": "simple"}], ids=["plain", "stream", "simple"])
@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
def test_session_and_tweaks_arrive_as_set(
    endpoint: FakeRunEndpoint, language: str, variant: dict[str, Any], handles_errors: bool
) -> None:
    tweaks = {
        "Prompt": {f"field {name}": value for name, value in HOSTILE.items()},
        'it\'s a "name"': {"yes": True, "no": False, "none": None, "float": 0.1, "int": -7, "list": ["a", {}, []]},
        "__proto__": {"constructor": "x"},
        "temperature": 0.4,
    }
    variant = {**variant, "handles_errors": handles_errors}
    request = asking(endpoint, message="".join(HOSTILE.values()), session_id="it's mine", tweaks=tweaks, **variant)
    done = run_snippet(language, write_snippets(request)[language], env=ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert endpoint.bodies == [{"input_value": request.message, "session_id": "it's mine", "tweaks": tweaks}]
    assert endpoint.bodies[0]["tweaks"]['it\'s a "name"']["yes"] is True
    if language in SCRIPTS:
        assert done.stdout == f"You said: {request.message}\n"


def test_curl_prints_what_the_server_sends(endpoint: FakeRunEndpoint) -> None:
    plain = run_snippet("curl", write_snippets(asking(endpoint, message="hi", shape="simple"))["curl"], env=ENV)
    assert plain.stdout == '{"text": "You said: hi", "session_id": "s"}\n'
    streamed = run_snippet("curl", write_snippets(asking(endpoint, message="hi", stream=True))["curl"], env=ENV)
    assert '\n{"event": "token", "data": {"chunk": "You sa", "id": "1"}}\n' in streamed.stdout


@pytest.mark.parametrize("language", IN_A_SHELL)
def test_tokens_are_shown_as_they_come(endpoint: FakeRunEndpoint, language: str, tmp_path: Path) -> None:
    script = tmp_path / LANGUAGES[language].file_name
    script.write_text(write_snippets(asking(endpoint, message="hi", stream=True))[language], "utf-8")
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


@pytest.mark.parametrize("handles_errors", [False, True], ids=["short", "full"])
@pytest.mark.parametrize("language", SCRIPTS)
def test_a_flow_that_does_not_stream_is_answered_at_once(
    endpoint: FakeRunEndpoint, language: str, handles_errors: bool
) -> None:
    endpoint.tokens = False
    request = asking(endpoint, message="hi", stream=True, handles_errors=handles_errors)
    done = run_snippet(language, write_snippets(request)[language], env=ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: hi\n", "")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("language", IN_A_SHELL)
def test_without_a_token_it_says_so(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    done = run_snippet(language, write_snippets(asking(endpoint, stream=stream))[language])
    assert (done.returncode, done.stdout) == (1, "")
    assert "FLOWGROUND_API_KEY" in done.stderr
    assert done.stderr.endswith("to an application token.\n")
    assert done.stderr.count("\n") == 1
    assert endpoint.paths == []


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("language", SCRIPTS)
def test_a_refusal_prints_the_servers_sentence_and_hint(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    code = write_snippets(asking(endpoint, stream=stream))[language]
    wrong = run_snippet(language, code, env={"FLOWGROUND_API_KEY": "wrong"})
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr == "Invalid or missing API key\nMake one in API access.\n"
    endpoint.refusal = (422, {"detail": {"code": "TWEAKS_REFUSED", "message": "temperature is at most 2."}})
    assert run_snippet(language, code, env=ENV).stderr == "temperature is at most 2.\n"
    endpoint.refusal = (422, {"detail": [{"loc": ["body", "input_type"], "msg": "should be chat or text"}]})
    assert "should be chat or text" in run_snippet(language, code, env=ENV).stderr


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("language", SCRIPTS)
def test_short_code_fails_too_where_it_is_refused(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    code = write_snippets(asking(endpoint, stream=stream, handles_errors=False))[language]
    for env in ({"FLOWGROUND_API_KEY": "wrong"}, {}):
        refused = run_snippet(language, code, env=env)
        assert (refused.returncode, refused.stdout) == (1, "")
    endpoint.failure = {"error": "The model is busy.", "code": "model_busy", "hint": "Try again in 5 s."}
    if stream:
        failed = run_snippet(language, code, env=ENV)
        assert (failed.returncode, "The model is busy." in failed.stderr) == (1, True)


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_short_code_without_a_token_says_so_and_sends_nothing(endpoint: FakeRunEndpoint, language: str) -> None:
    done = run_snippet(language, write_snippets(asking(endpoint, handles_errors=False))[language])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Set FLOWGROUND_API_KEY to a token first.\n"
    assert endpoint.paths == []


def test_a_message_in_short_curl_may_be_edited_to_one_with_an_apostrophe(endpoint: FakeRunEndpoint) -> None:
    code = write_snippets(asking(endpoint, message="How are you?", handles_errors=False))["curl"]
    done = run_snippet("curl", code.replace("How are you?", "What's up, $HOME?"), env=ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert endpoint.bodies == [{"input_value": "What's up, $HOME?"}]


def test_a_long_message_is_no_argument_of_curl(endpoint: FakeRunEndpoint) -> None:
    message = "it's long " * 15_000
    done = run_snippet("curl", write_snippets(asking(endpoint, message=message, handles_errors=False))["curl"], env=ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert endpoint.bodies == [{"input_value": message}]


def test_a_refused_curl_fails_and_shows_the_body(endpoint: FakeRunEndpoint) -> None:
    done = run_snippet("curl", write_snippets(asking(endpoint))["curl"], env={"FLOWGROUND_API_KEY": "wrong"})
    assert done.returncode == 22
    assert '"Invalid or missing API key"' in done.stdout


@pytest.mark.parametrize("language", SCRIPTS)
def test_a_failure_inside_a_stream_ends_it_with_the_sentence(endpoint: FakeRunEndpoint, language: str) -> None:
    endpoint.failure = {"error": "The model is busy.", "code": "model_busy", "hint": "Try again in 5 s."}
    done = run_snippet(language, write_snippets(asking(endpoint, message="hi", stream=True))[language], env=ENV)
    assert (done.returncode, done.stdout.strip()) == (1, "You said: hi")
    assert done.stderr == "The model is busy.\nTry again in 5 s.\n"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("language", SCRIPTS)
def test_no_server_is_one_sentence(endpoint: FakeRunEndpoint, language: str, stream: bool) -> None:
    nobody = asking(endpoint, base_url="http://127.0.0.1:1", stream=stream)
    done = run_snippet(language, write_snippets(nobody)[language], env=ENV)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("No answer from http://127.0.0.1:1/api/v1/run/echo")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("stream", [False, True])
def test_javascript_runs_as_a_module_too(endpoint: FakeRunEndpoint, stream: bool) -> None:
    code = write_snippets(asking(endpoint, message="hi", stream=stream))["javascript"]
    done = run_snippet("javascript", code, env=ENV, file_name="test-script.mjs")
    assert (done.returncode, done.stdout, done.stderr) == (0, "You said: hi\n", "")


def test_curl_can_be_pasted_at_a_prompt(endpoint: FakeRunEndpoint) -> None:
    if not (shutil.which("bash") and shutil.which("curl")):
        pytest.skip("needs bash and curl")
    message = "".join(HOSTILE[name] for name in ("apostrophe", "home", "backticks", "newline", "emoji"))
    code = write_snippets(asking(endpoint, message=message))["curl"]
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
