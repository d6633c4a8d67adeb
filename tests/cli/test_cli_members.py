"""`members add`, `list`, `rename`, `show-as`, `remove`."""

import asyncio
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

import pytest

from flowground.core.errors import ConfigError
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.runs import transcripts, turns
from flowground.store.runs.records import StoredMessage
from tests.command_line import Here, Said
from tests.config_members import take_members
from tests.servers import write_folder

FROM_INPUT = "Standard input is not a terminal: its first line is taken as the password.\n"


class Members:
    """`members` with a password on standard input, which is no terminal."""

    def __init__(self, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
        self._here, self._monkeypatch = here, monkeypatch

    def __call__(self, *arguments: str, password: str = "correct horse\n") -> Said:
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(password))
        return self._here("members", *arguments)

    def list_rows(self) -> list[list[str]]:
        return [line.split() for line in self("list").out.splitlines()[1:]]


@pytest.fixture
def members(here: Here, monkeypatch: pytest.MonkeyPatch) -> Members:
    return Members(here, monkeypatch)


@contextmanager
def open_stored(here: Here) -> Iterator[Store]:
    store = Store.open(Settings.load(here.folder / "config.yaml").database)
    try:
        yield store
    finally:
        store.close()


def name_in_config(here: Here, *names: str) -> None:
    entry = {"password": "$2b$12$" + "a" * 53, "roles": ["admin"]}
    write_folder(here.folder, config={"credentials": {"usernames": dict.fromkeys(names, entry)}}, flows={})


def test_a_member_is_added_listed_and_removed(members: Members) -> None:
    added = members("add", "Ada", "--role", "admin", "--display-name", "Ada L.", "--password-stdin")
    assert (added.code, added.out) == (0, "")
    assert added.err == (
        "ada can sign in now, as admin.\nThis was the first account: from now on everybody has to sign in.\n"
    )
    assert members("add", "ben", password="correct horse").err == f"{FROM_INPUT}ben can sign in now, as member.\n"
    assert members("list").out.split()[:7] == ["NAME", "DISPLAY_NAME", "ROLE", "SOURCE", "PASSWORD", "STATE", "ID"]
    assert members.list_rows() == [
        ["ada", "Ada", "L.", "admin", "database", "yes", "active", "ada"],
        ["ben", "ben", "member", "database", "yes", "active", "ben"],
    ]
    assert members("remove", "bem").err == "There is no member bem (did you mean ben?).\n"
    assert members("remove", "ben").code == 0
    assert len(members.list_rows()) == 1


def test_a_member_is_renamed_and_shown_otherwise(members: Members) -> None:
    for name in ("ada", "ben"):
        assert members("add", name).code == 0
    renamed = members("rename", "Ada", "lovelace")
    assert renamed.err == "ada signs in as lovelace from now on; the password stays.\n"
    assert members("show-as", "lovelace", "Ada Lovelace").code == 0
    assert (members.list_rows()[-1][:3], members.list_rows()[-1][-1]) == (["lovelace", "Ada", "Lovelace"], "ada")
    assert members("rename", "lovelace", "ben").err == "There is already a member ben.\n"
    assert members("rename", "ada", "x").err == "There is no member ada.\n"
    assert (members("rename", "lovelace", "a b").code, members("show-as", "ada", "X").code) == (1, 1)
    assert members("add", "ada").code == 0
    [newcomer] = [row for row in members.list_rows() if row[0] == "ada"]
    assert newcomer[-1].startswith("ada~")
    assert members("remove", "ada").code == 0
    assert members.list_rows()[-1][-1] == "ada"


def test_a_name_in_config_and_database_can_be_given_up_and_removed(here: Here, members: Members) -> None:
    assert members("add", "ada").code == 0
    name_in_config(here, "ada")
    with pytest.raises(ConfigError) as refusal:
        take_members(here.folder)
    hint = refusal.value.hint or ""
    assert ("members rename ada NEW" in hint, "members remove ada" in hint) == (True, True)
    assert members("rename", "ada", "lovelace").code == 0
    take_members(here.folder)
    assert [row[0] for row in members.list_rows()] == ["ada", "lovelace"]
    for command in (("rename", "ada", "x"), ("remove", "ada")):
        refused = members(*command)
        assert (refused.code, refused.err.count("\n"), "config.yaml" in refused.err) == (1, 1, True)


def test_a_wrong_file_ends_no_members_rights(here: Here, members: Members) -> None:
    name_in_config(here, "ada")
    take_members(here.folder)
    name_in_config(here, "bob")
    assert members("add", "bob").err.endswith("There is already a member bob, of config.yaml.\n")
    assert members("add", "carl").err == f"{FROM_INPUT}carl can sign in now, as member.\n"
    assert [(row[0], row[-2]) for row in members.list_rows()] == [("ada", "active"), ("carl", "active")]
    take_members(here.folder)
    assert [(row[0], row[-2]) for row in members.list_rows()] == [
        ("ada", "inactive"),
        ("bob", "active"),
        ("carl", "active"),
    ]


def test_before_its_first_start_a_file_with_members_has_the_first_account(here: Here, members: Members) -> None:
    name_in_config(here, "ada")
    assert members("add", "carl").err == f"{FROM_INPUT}carl can sign in now, as member.\n"


def test_the_first_account_is_an_admins(members: Members) -> None:
    refused = members("add", "bob", "--role", "member")
    assert (refused.code, "The first account is an admin's" in refused.err) == (1, True)
    for password in ("short\n", ""):
        assert members("add", "ada", password=password).code == 1
    assert "at least 8 characters" in members("add", "ada", password="short\n").err
    assert members.list_rows() == []
    assert "bob can sign in now, as admin.\n" in members("add", "bob", "--email", "bob@example.com").err
    assert "carl can sign in now, as member.\n" in members("add", "carl").err


def test_the_first_account_gets_what_the_owner_of_this_computer_said(here: Here, members: Members) -> None:
    message = StoredMessage("one", "user", "Hello", "complete", datetime.now(UTC))
    begin = partial(turns.begin_turn, flow_id="echo", owner="local:owner", session_id="s", message=message)
    with open_stored(here) as store:
        asyncio.run(store.write(begin))
    assert members("add", "ada").code == 0
    with open_stored(here) as store:
        assert asyncio.run(store.read(transcripts.list_session_ids, owners=["member:ada"]))


def test_the_last_admin_is_not_removed(members: Members) -> None:
    assert members("add", "ada").code == 0
    refused = members("remove", "ada")
    assert (refused.code, "Without ada nobody could administer." in refused.err) == (1, True)
    assert members("add", "ben", "--role", "admin").code == 0
    assert members("remove", "ada").code == 0
    assert [row[0] for row in members.list_rows()] == ["ben"]
