"""The command line, called as `python -m flowground` does, and once beside a running server."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowground.cli import main
from flowground.providers import weights
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint
from tests.servers import ROOT, AppServer, clean_environment, write_folder

ECHO = """\
name: Echo
components:
  In: {type: ChatInput, input_value: nothing said}
  Out: {type: ChatOutput, input_value: "${In}"}
"""
SHOUT = """\
name: Shout
components:
  Topic: {type: TextInput}
  Prompt: {type: Prompt, template: "{mood} {topic}", mood: calm, topic: "${Topic}"}
  Out: {type: TextOutput, input_value: "${Prompt}"}
api: {endpoint_name: loud}
"""
ASK = """\
name: Ask
components:
  In: {type: ChatInput}
  Model: {type: LanguageModel, model: scripted, input_value: "${In}"}
  Out: {type: ChatOutput, input_value: "${Model}"}
"""
WRONG = """\
name: Wrong
components:
  In: {type: ChatInputt}
"""


class Said:
    """What a command answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def last_line(self) -> str:
        return self.out.splitlines()[-1]


class Here:
    """A folder with config.yaml and three flows, and commands that run in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Said:
        code = main(arguments)
        return Said(code, *self._capsys.readouterr())


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    flows = {"echo": ECHO, "shout": SHOUT, "ask": ASK}
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)
    monkeypatch.setenv("FLOWGROUND_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRunEndpoint]:
    monkeypatch.setenv("FLOWGROUND_API_KEY", TOKEN)
    with FakeRunEndpoint() as running:
        yield running


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What standard input holds; it is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# validate, schema


def test_validate_finds_nothing_wrong(here: Here) -> None:
    said = here("validate")
    assert (said.code, said.out, said.err) == (0, "", "3 flows, no mistakes.\n")


def test_validate_names_file_line_and_column_of_each_mistake(here: Here) -> None:
    (here.folder / "flows" / "wrong.yaml").write_text(WRONG, "utf-8")
    for said in (here("validate"), here("validate", "flows/wrong.yaml", "flows/echo.yaml")):
        assert said.code == 1
        assert said.out.startswith("flows/wrong.yaml:3:")
        assert "ChatInputt" in said.out
        assert "did you mean ChatInput?" in said.out
        assert said.err == "1 mistake in 1 file.\n"


def test_validate_sees_two_flows_with_one_address(here: Here) -> None:
    (here.folder / "flows" / "other.yaml").write_text(SHOUT, "utf-8")
    said = here("validate")
    assert said.code == 1
    assert "loud" in said.out
    assert "shout.yaml" in said.out


def test_validate_of_a_file_that_is_not_there(here: Here) -> None:
    said = here("validate", "flows/none.yaml")
    assert (said.code, said.out, said.err) == (1, "", "flows/none.yaml: No such file or directory\n")


def test_validate_of_a_folder_that_is_not_there_or_empty(here: Here) -> None:
    write_folder(here.folder, config={"flows": "flowz/"}, flows={})
    assert here("validate").err == "There is no folder flowz. `flows` in config.yaml names it.\n"
    (here.folder / "flowz").mkdir()
    assert here("validate").err == "There are no flow files in flowz.\n"


def test_schema_is_json_on_stdout(here: Here) -> None:
    said = here("schema")
    assert said.code == 0
    assert json.loads(said.out)["type"] == "object"
    assert said.err == ""


# run, in this process


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["echo", "--message", 'what\'s "up"\n$HOME'], 'what\'s "up"\n$HOME\n'),
        (["echo"], "nothing said\n"),
        (["echo", "--tweak", "In.input_value=tweaked = twice"], "tweaked = twice\n"),
        (["shout", "--message", "hi"], "calm hi\n"),
        (["loud", "--message", "hi", "--tweak", "Prompt.mood=true"], "true hi\n"),
        (["ask", "--message", "hi there"], "You said: hi there\n"),
    ],
)
def test_run_prints_the_answer(here: Here, stream: tuple[str, ...], arguments: list[str], answer: str) -> None:
    said = here("run", *arguments, *stream)
    assert (said.code, said.out, said.err) == (0, answer, "")


def test_tweaks_are_text_or_json(here: Here) -> None:
    said = here(
        "run", "ask", "--message", "hi", "--tweak", "Model.model:=null", "--tweak", "Language Model.temperature=0.5"
    )
    assert said.code == 1
    assert "model" in said.err
    said = here("run", "ask", "--message", "hi", "--tweak", "Model.temperature:=0.5", "--tweak", "max_tokens=7")
    assert (said.code, said.out) == (0, "You said: hi\n")
    said = here("run", "ask", "--message", "hi", "--tweak", "Model.temperature=hot")
    assert said.code == 1
    assert "temperature" in said.err


def test_run_continues_a_session(here: Here) -> None:
    for _ in range(2):
        assert here("run", "echo", "--message", "again", "--session", "mine").out == "again\n"


def test_an_unknown_flow_is_answered_with_the_nearest_name(here: Here) -> None:
    said = here("run", "ecko", "--message", "hi")
    assert (said.code, said.out, said.err) == (1, "", "There is no flow ecko (did you mean echo?).\n")


def test_a_failing_model_is_one_line(here: Here) -> None:
    ask = (here.folder / "flows" / "ask.yaml").read_text("utf-8")
    (here.folder / "flows" / "ask.yaml").write_text(ask.replace("scripted", "scripted:fail"), "utf-8")
    said = here("run", "ask", "--message", "hi")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert "Model" in said.err


# run, by a server


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])
def test_run_asks_a_server(here: Here, endpoint: FakeRunEndpoint, stream: tuple[str, ...]) -> None:
    message = 'what\'s "up"\n$HOME 👋🏽'
    said = here(
        "run",
        "a flow",
        "--message",
        message,
        "--session",
        "s",
        "--tweak",
        "Model.seed:=7",
        "--server",
        endpoint.url,
        *stream,
    )
    assert (said.code, said.out, said.err) == (0, f"You said: {message}\n", "")
    assert endpoint.paths == ["/api/v1/run/a%20flow" + ("?stream=true" if stream else "")]
    assert endpoint.bodies == [
        {"input_type": "any", "input_value": message, "session_id": "s", "tweaks": {"Model": {"seed": 7}}}
    ]


def test_a_servers_refusal_is_its_sentence_and_hint(
    here: Here, endpoint: FakeRunEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.failure = {"error": "The model is busy.", "hint": "Try again in 5 s."}
    said = here("run", "echo", "--message", "hi", "--stream", "--server", endpoint.url)
    assert (said.code, said.out, said.err) == (1, "You said: hi", "The model is busy. Try again in 5 s.\n")
    monkeypatch.setenv("FLOWGROUND_API_KEY", "wrong")
    said = here("run", "echo", "--message", "hi", "--server", endpoint.url)
    assert (said.code, said.out) == (1, "")
    assert said.err == "Invalid or missing API key Make one in API access.\n"
    monkeypatch.delenv("FLOWGROUND_API_KEY")
    said = here("run", "echo", "--message", "hi", "--server", endpoint.url)
    assert (said.code, said.err) == (1, "Set the environment variable FLOWGROUND_API_KEY to an application token.\n")


def test_no_server_is_one_line(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWGROUND_API_KEY", TOKEN)
    said = here("run", "echo", "--server", "http://127.0.0.1:1")
    assert (said.code, said.out) == (1, "")
    assert said.err == "No usable answer from http://127.0.0.1:1/api/v1/run/echo: nothing answers there.\n"
    assert here("run", "echo", "--server", "nowhere").err.count("\n") == 1


# model


def test_a_model_that_is_here_is_not_fetched(here: Here) -> None:
    file = here.folder / "data" / "models" / weights.QWEN.file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"as if")
    stat = file.stat()
    marker = {"sha256": weights.QWEN.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    file.with_name(f"{file.name}.verified").write_text(json.dumps(marker), "utf-8")
    said = here("model", "download")
    assert (said.code, said.last_line) == (0, str(file))
    assert "Qwen2.5-Coder 0.5B, 0.5 GB, Apache-2.0" in said.err


def test_a_model_file_of_ones_own_needs_no_download(here: Here) -> None:
    write_folder(here.folder, config={"providers": {"local": {"path": "my.gguf"}}}, flows={})
    said = here("model", "download")
    assert (said.code, said.out) == (0, f"{here.folder / 'my.gguf'}\n")


# keys


def test_a_key_is_created_listed_and_revoked(here: Here) -> None:
    made = here("keys", "create", "laptop", "--flow", "loud", "--flow", "echo", "--flow", "echo", "--expires", "30d")
    token = made.out.split()[-1]
    assert made.code == 0
    assert made.out == f"{token}\n"
    assert made.err.startswith("laptop may run shout, echo until 20")
    listed = here("keys", "list")
    identity, prefix, name, owner, flows, state, expires, used, uses = listed.last_line.split()
    assert (name, owner, flows, state, used, uses) == ("laptop", "organization", "shout,echo", "active", "-", "0")
    assert token.startswith(prefix.removesuffix("…"))
    assert token not in listed.out
    assert expires.startswith("20")
    assert here("keys", "revoke", identity[:8]).err == "laptop is revoked.\n"
    assert here("keys", "revoke", token).err == "laptop was revoked before.\n"
    assert here("keys", "list").last_line.split()[5] == "revoked"


def test_a_key_without_limits_says_so(here: Here) -> None:
    assert here("keys", "create", "ci").err == (
        "ci may run every flow until it is revoked. The token is shown only now:\n"
    )


def test_keys_say_what_is_wrong(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert here("keys", "create", "x", "--flow", "ecko").err == "There is no flow ecko (did you mean echo?).\n"
    assert here("keys", "revoke", "nothing").err == "There is no such token. `keys list` shows their ids.\n"
    with pytest.raises(SystemExit) as ended:
        main(["keys", "create", "x", "--expires", "soon"])
    assert ended.value.code == 2
    assert "'soon' is no time such as 12h, 30d or 8w" in capsys.readouterr().err


# members


def test_a_member_is_added_listed_and_removed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "correct horse\n")
    added = here("members", "add", "Ada", "--role", "admin", "--display-name", "Ada L.", "--password-stdin")
    assert (added.code, added.out) == (0, "")
    assert added.err == (
        "ada can sign in now, as admin.\nThis was the first account: from now on everybody has to sign in.\n"
    )
    type_in(monkeypatch, "correct horse")
    assert here("members", "add", "ben").err == "ben can sign in now, as member.\n"
    assert [line.split() for line in here("members", "list").out.splitlines()] == [
        ["NAME", "DISPLAY_NAME", "ROLE", "SOURCE", "PASSWORD", "STATE"],
        ["ada", "Ada", "L.", "admin", "database", "yes", "active"],
        ["ben", "ben", "member", "database", "yes", "active"],
    ]
    assert here("members", "remove", "bem").err == "There is no member bem (did you mean ben?).\n"
    assert here("members", "remove", "ben").code == 0
    assert "ben" not in here("members", "list").out


def test_members_say_what_is_wrong(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "short\n")
    assert here("members", "add", "ada").err == "A password has at least 8 characters.\n"
    type_in(monkeypatch, "")
    assert here("members", "add", "ada").code == 1
    assert here("members", "list").out.splitlines()[1:] == []


def test_a_name_in_config_and_database_can_be_removed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "correct horse\n")
    assert here("members", "add", "ada").code == 0
    entry = {"email": "ada@example.com", "password": "$2b$12$" + "a" * 53, "roles": ["admin"]}
    write_folder(here.folder, config={"credentials": {"usernames": {"ada": entry}}}, flows={})
    assert "members remove ada" in here("members", "list").err
    assert here("members", "remove", "ada").code == 0
    assert here("members", "list").last_line.split()[-3:] == ["config.yaml", "yes", "active"]
    said = here("members", "remove", "ada")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "config.yaml" in said.err


# as a process


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flowground", *arguments],
        cwd=ROOT,
        env=clean_environment(FLOWGROUND_CONFIG=str(folder / "config.yaml")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_wrong_config_is_told_without_a_traceback(tmp_path: Path) -> None:
    write_folder(tmp_path, config={"defualt_model": "local"}, flows={})
    said = command(tmp_path, "keys", "list")
    assert (said.returncode, said.stdout) == (1, "")
    assert "did you mean default_model?" in said.stderr
    assert "Traceback" not in said.stderr


def test_an_unexpected_error_is_one_line(tmp_path: Path) -> None:
    write_folder(tmp_path, config={"database": "sqlite:///broken.db"}, flows={})
    (tmp_path / "broken.db").write_bytes(b"this is no database" * 1_000)
    said = command(tmp_path, "keys", "list")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.count("\n") == 1
    assert "Traceback" not in said.stderr


def test_who_stops_reading_early_sees_no_error(tmp_path: Path) -> None:
    write_folder(tmp_path, config={}, flows={})
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "flowground", "schema"], cwd=ROOT, env=clean_environment(), stdout=closed,
            stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    assert done.stderr == b""


def test_commands_work_beside_a_running_server(server: AppServer) -> None:
    made = server.run_command("keys", "create", "beside", "--flow", "echo")
    assert made.returncode == 0, made.stderr
    server.environment["FLOWGROUND_API_KEY"] = made.stdout.split()[-1]
    try:
        for stream in ((), ("--stream",)):
            said = server.run_command("run", "echo", "--message", "it's me", "--server", server.url, *stream)
            assert (said.returncode, said.stdout, said.stderr) == (0, "it's me\n", "")
        refused = server.run_command("run", "basic-prompting", "--message", "hi", "--server", server.url)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.count("\n") == 1
        assert server.run_command("members", "list").returncode == 0
    finally:
        del server.environment["FLOWGROUND_API_KEY"]
