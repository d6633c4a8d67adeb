"""`members add`, `list`, `rename`, `show-as`, `remove`."""

import asyncio
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import pytest

from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import transcripts, turns
from flowground.store.runs.records import StoredMessage
from tests.command_line import Here
from tests.servers import write_folder

FROM_INPUT = "Standard input is not a terminal: its first line is taken as the password.\n"


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What standard input holds; it is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


@contextmanager
def open_stored(here: Here) -> Iterator[Store]:
    store = Store.open(Settings.load(here.folder / "config.yaml").database)
    try:
        yield store
    finally:
        store.close()


def test_a_member_is_added_listed_and_removed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "correct horse\n")
    added = here("members", "add", "Ada", "--role", "admin", "--display-name", "Ada L.", "--password-stdin")
    assert (added.code, added.out) == (0, "")
    assert added.err == (
        "ada can sign in now, as admin.\nThis was the first account: from now on everybody has to sign in.\n"
    )
    type_in(monkeypatch, "correct horse")
    assert here("members", "add", "ben").err == f"{FROM_INPUT}ben can sign in now, as member.\n"
    assert [line.split() for line in here("members", "list").out.splitlines()] == [
        ["NAME", "DISPLAY_NAME", "ROLE", "SOURCE", "PASSWORD", "STATE", "ID"],
        ["ada", "Ada", "L.", "admin", "database", "yes", "active", "ada"],
        ["ben", "ben", "member", "database", "yes", "active", "ben"],
    ]
    assert here("members", "remove", "bem").err == "There is no member bem (did you mean ben?).\n"
    assert here("members", "remove", "ben").code == 0
    assert "ben" not in here("members", "list").out


def test_a_member_is_renamed_and_shown_otherwise(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ada", "ben"):
        type_in(monkeypatch, "correct horse\n")
        assert here("members", "add", name).code == 0
    assert (
        here("members", "rename", "Ada", "lovelace").err
        == "ada signs in as lovelace from now on; the password stays.\n"
    )
    assert here("members", "show-as", "lovelace", "Ada Lovelace").code == 0
    assert here("members", "list").last_line.split()[:3] == ["lovelace", "Ada", "Lovelace"]
    assert here("members", "list").last_line.split()[-1] == "ada"
    assert here("members", "rename", "lovelace", "ben").err == "There is already a member ben.\n"
    assert here("members", "rename", "lovelace", "a b").code == 1
    assert here("members", "rename", "ada", "x").err == "There is no member ada.\n"
    assert here("members", "show-as", "ada", "X").code == 1
    type_in(monkeypatch, "correct horse\n")
    assert here("members", "add", "ada").code == 0
    [newcomer] = [line for line in here("members", "list").out.splitlines() if line.startswith("ada ")]
    assert newcomer.split()[-1].startswith("ada~")
    assert here("members", "remove", "ada").code == 0
    assert here("members", "list").last_line.split()[-1] == "ada"


def test_a_name_in_config_and_database_can_be_given_up(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "correct horse\n")
    assert here("members", "add", "ada").code == 0
    entry = {"password": "$2b$12$" + "a" * 53, "roles": ["admin"]}
    write_folder(here.folder, config={"credentials": {"usernames": {"ada": entry}}}, flows={})
    assert "members rename ada NEW" in here("members", "list").err
    assert here("members", "rename", "ada", "lovelace").code == 0
    assert [line.split()[0] for line in here("members", "list").out.splitlines()] == ["NAME", "ada", "lovelace"]
    refused = here("members", "rename", "ada", "x")
    assert (refused.code, "config.yaml" in refused.err) == (1, True)


def test_the_first_account_is_an_admins(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "correct horse\n")
    refused = here("members", "add", "bob", "--role", "member")
    assert refused.code == 1
    assert refused.err.removeprefix(FROM_INPUT) == (
        "The first account is an admin's: without one nobody could administer. bob was not added. "
        "Leave out `--role member`, or add the admin first.\n"
    )
    assert here("members", "list").out.splitlines()[1:] == []
    type_in(monkeypatch, "correct horse\n")
    assert "bob can sign in now, as admin.\n" in here("members", "add", "bob", "--email", "bob@example.com").err
    type_in(monkeypatch, "correct horse\n")
    assert "carl can sign in now, as member.\n" in here("members", "add", "carl").err


def test_the_first_account_gets_what_the_owner_of_this_computer_said(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = StoredMessage("one", "user", "Hello", "complete", datetime.now(UTC))
    begin = partial(turns.begin_turn, flow_id="echo", owner="local:owner", session_id="s", message=message)
    with open_stored(here) as store:
        asyncio.run(store.write(begin))
    type_in(monkeypatch, "correct horse\n")
    assert here("members", "add", "ada").code == 0
    with open_stored(here) as store:
        assert asyncio.run(store.read(transcripts.has_conversations, owner="member:ada"))


def test_the_last_admin_is_not_removed(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "correct horse\n")
    assert here("members", "add", "ada").code == 0
    refused = here("members", "remove", "ada")
    assert (refused.code, refused.err) == (
        1, "Without ada nobody could administer. Make somebody else an admin first.\n"
    )  # fmt: skip
    type_in(monkeypatch, "correct horse\n")
    assert here("members", "add", "ben", "--role", "admin").code == 0
    assert here("members", "remove", "ada").code == 0
    assert [line.split()[0] for line in here("members", "list").out.splitlines()] == ["NAME", "ben"]


def test_members_say_what_is_wrong(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in(monkeypatch, "short\n")
    assert here("members", "add", "ada").err == f"{FROM_INPUT}A password has at least 8 characters.\n"
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
    assert here("members", "list").last_line.split()[-4:-1] == ["config.yaml", "yes", "active"]
    said = here("members", "remove", "ada")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "config.yaml" in said.err
