"""What a model, a member or a flow's author wrote cannot steer the terminal of who reads it."""

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.command_line import ASK, ECHO
from tests.config_members import take_members
from tests.servers import ROOT, clean_environment, write_folder

HOSTILE = "\x1b]0;owned\x07 \x1b[2Jgone\rover \x9b31mred \x7f\x00end"
SHOWN = r"\x1b]0;owned\x07 \x1b[2Jgone\x0dover \x9b31mred \x7f\x00end"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_folder(tmp_path, config={"default_model": "scripted"}, flows={"echo": ECHO, "ask": ASK})
    return tmp_path


def command(
    folder: Path, *arguments: str, out: int = subprocess.PIPE, err: int = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    env = clean_environment(FLOWGROUND_CONFIG=str(folder / "config.yaml"), PYTHONIOENCODING="utf-8")
    given, stdin = [sys.executable, "-m", "flowground", *arguments], subprocess.DEVNULL
    return subprocess.run(given, cwd=ROOT, env=env, stdin=stdin, stdout=out, stderr=err, timeout=60, check=False)


def at_terminal(folder: Path, *arguments: str, errors: bool = False) -> str:
    """What the command writes to a terminal, on stdout or on stderr."""
    screen, terminal = pty.openpty()
    command(folder, *arguments, **({"err": terminal} if errors else {"out": terminal}))
    os.close(terminal)
    said = b""
    with suppress(OSError):  # Linux reports the closed terminal so
        while piece := os.read(screen, 65_536):
            said += piece
    os.close(screen)
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("stream", [(), ("--stream",)], ids=["plain", "stream"])
def test_an_answers_control_characters_are_shown(folder: Path, stream: tuple[str, ...]) -> None:
    asked = ("run", "ask", *stream, "--tweak", "In.input_value:=" + as_json(HOSTILE + "\n\tüñ 👋🏽"))
    assert at_terminal(folder, *asked) == f"You said: {SHOWN}\n\tüñ 👋🏽\n"
    assert command(folder, *asked).stdout.decode() == f"You said: {HOSTILE}\n\tüñ 👋🏽\n"


def test_names_in_tables_are_shown(folder: Path) -> None:
    write_folder(folder, config={"credentials": {"usernames": {"ann": {"name": HOSTILE}}}}, flows=None)
    take_members(folder)
    listed = at_terminal(folder, "members", "list").splitlines()
    assert len(listed) == 2
    assert listed[1].startswith(f"ann   {SHOWN}  member  config.yaml")


def test_sentences_about_mistakes_are_shown(folder: Path) -> None:
    said = at_terminal(folder, "run", "nothing\x1b[2J", errors=True)
    assert r"nothing\x1b[2J" in said
    assert "\x1b" not in said


def as_json(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 160 else c for c in text) + '"'
