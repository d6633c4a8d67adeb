"""`members add`, `list`, `remove`."""

import io
import sys

import pytest

from tests.command_line import Here
from tests.servers import write_folder


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What standard input holds; it is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


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
