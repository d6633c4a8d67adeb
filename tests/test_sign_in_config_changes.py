"""What members of config.yaml keep over a restart, and what ends when the file takes them out or changes them."""

import asyncio
import logging
import re
from pathlib import Path

import bcrypt
import pytest
import requests
import yaml

from flowground.errors import NotSignedIn
from flowground.settings import Settings
from flowground.store import Store, tables
from flowground.store.people import config_entries, members, tokens
from tests.config_members import ADA, OTHER, holds, id_of, rights_of, said, serve
from tests.page_socket import Browser, open_page
from tests.people import HASHED, PASSWORD, Open, make_cookie, make_credentials
from tests.servers import AppServer
from tests.tickets import open_browser

pytestmark = pytest.mark.anyio


async def test_a_restart_with_the_same_file_ends_nothing(open_sign_in: Open, store: Store) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    for changed in (ADA, ADA | {"first_name": "Augusta", "roles": ["admin"], "email": "countess@example.com"}):
        sign_in = await serve(open_sign_in, ada=changed)
        assert (await holds(sign_in, had))[:2] == [True, True]
    assert await said(store, "ada") == 1


async def test_the_first_start_that_remembers_the_file_ends_nothing(open_sign_in: Open, store: Store) -> None:
    """As after an update: the release before knew no fingerprints."""
    before = await open_sign_in(credentials=make_credentials(ada=ADA))
    had = await rights_of(before, store, "ada")
    await before.roster.set_password("ada", "set in the app", by="x")
    cookie = await make_cookie(before, "ada")
    after = await serve(open_sign_in, ada=ADA | {"password": OTHER})
    assert await after.verify_cookie(cookie) is not None
    assert await after.verify_token(had.token) is not None
    assert await after.check_password("ada", "set in the app", "here") is not None


async def test_another_password_ends_every_proof_and_keeps_what_was_said(
    open_sign_in: Open, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA, bob=ADA), store, "ada")
    bob = await rights_of(await serve(open_sign_in, ada=ADA, bob=ADA), store, "bob")
    with caplog.at_level(logging.WARNING):
        sign_in = await serve(open_sign_in, ada=ADA | {"password": OTHER}, bob=ADA)
    assert await holds(sign_in, had) == [False, False, False, False]
    assert await holds(sign_in, bob) == [True, True, True, True]
    assert await said(store, "ada") == 1
    lines = [record.getMessage() for record in caplog.records if "config.yaml has another password" in record.message]
    assert len(lines) == 1
    assert "for ada:" in lines[0]
    assert OTHER not in caplog.text
    new = await make_cookie(sign_in, "ada")
    assert await (await serve(open_sign_in, ada=ADA | {"password": OTHER}, bob=ADA)).verify_cookie(new) is not None


async def test_another_password_in_the_file_beats_an_older_one_of_the_app(open_sign_in: Open) -> None:
    sign_in = await serve(open_sign_in, ada=ADA)
    await sign_in.roster.set_password("ada", "set in the app", by="member:ada")
    sign_in = await serve(open_sign_in, ada=ADA)
    assert await sign_in.check_password("ada", "set in the app", "here") is not None
    sign_in = await serve(open_sign_in, ada=ADA | {"password": OTHER})
    assert await sign_in.check_password("ada", "set in the app", "here") is None
    assert await sign_in.check_password("ada", "another horse", "here") is not None
    await sign_in.roster.set_password("ada", "set once more", by="member:ada")
    sign_in = await serve(open_sign_in, ada=ADA | {"password": OTHER})
    assert await sign_in.check_password("ada", "set once more", "here") is not None


async def test_links_of_an_admin_whom_the_file_makes_a_member_are_over(open_sign_in: Open) -> None:
    sign_in = await serve(open_sign_in, ada=ADA | {"roles": ["admin"]}, bob=ADA)
    _, secret = await sign_in.links.create("reset", "bob", by="member:ada")
    assert await sign_in.links.find(secret, "here")
    sign_in = await serve(open_sign_in, ada=ADA, bob=ADA)
    with pytest.raises(NotSignedIn, match="no longer works"):
        await sign_in.links.find(secret, "here")


async def test_who_comes_back_inherits_nothing(
    open_sign_in: Open, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    with caplog.at_level(logging.WARNING):
        assert await holds(await serve(open_sign_in, bob=ADA), had) == [False, False, False, False]
    assert caplog.text.count("no longer names ada") == 1
    assert await said(store, "ada") == 1
    await serve(open_sign_in, bob=ADA)
    sign_in = await serve(open_sign_in, ada=ADA | {"password": OTHER}, bob=ADA)
    assert await holds(sign_in, had) == [False, False, False, False]
    assert await said(store, "ada") == 0


async def test_a_start_with_the_wrong_file_loses_nothing_that_was_said(open_sign_in: Open, store: Store) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    for _ in range(2):
        await serve(open_sign_in, bob=ADA)
    sign_in = await serve(open_sign_in, ada=ADA, bob=ADA)
    assert await said(store, "ada") == 1
    assert await holds(sign_in, had) == [False, False, False, False]


async def test_a_name_that_was_somebody_elses_meanwhile_inherits_nothing(open_sign_in: Open, store: Store) -> None:
    await serve(open_sign_in, ada=ADA)
    sign_in = await serve(open_sign_in, bob=ADA)
    other = (await sign_in.roster.add("ada", password="another good phrase", by="x")).id
    await rights_of(sign_in, store, other)
    assert (other != "ada", await said(store, other)) == (True, 1)
    await store.write(members.remove, member=other, by="x")
    sign_in = await serve(open_sign_in, ada=ADA, bob=ADA)
    back = await sign_in.roster.find_named("ada")
    assert (back and back.id, await said(store, other), await said(store, "ada")) == ("ada", 0, 0)


async def test_another_password_and_another_email_are_another_person(open_sign_in: Open, store: Store) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    sign_in = await serve(open_sign_in, ada={"password": OTHER, "email": "ada.k@example.com"})
    assert await holds(sign_in, had) == [False, False, False, False]
    assert await said(store, "ada") == 0


async def test_a_start_that_leaves_the_email_out_forgets_none(
    open_sign_in: Open, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    with caplog.at_level(logging.WARNING):
        await serve(open_sign_in, ada={"password": OTHER})
    assert "what they said stays" in caplog.text
    assert await said(store, "ada") == 1
    third = bcrypt.hashpw(b"a third horse", bcrypt.gensalt(4)).decode()
    await serve(open_sign_in, ada={"password": third, "email": "ada.k@example.com"})
    assert await said(store, "ada") == 0
    await serve(open_sign_in, bob=ADA)
    await serve(open_sign_in, ada={"password": OTHER})  # the name came back as somebody else's, without an email
    sign_in = await serve(open_sign_in, ada={"password": OTHER})
    other = await id_of(sign_in, "ada")
    await rights_of(sign_in, store, other)
    sign_in = await serve(open_sign_in, ada={"password": HASHED, "email": "ada@example.com"})
    assert (await id_of(sign_in, "ada"), await said(store, other)) == (other, 1)


async def test_a_command_beside_the_server_compares_nothing(open_sign_in: Open, store: Store) -> None:
    """Else the server, which still takes the old password, would find nothing changed at its next start."""
    sign_in = await serve(open_sign_in, ada=ADA)
    await open_sign_in(credentials=make_credentials(ada=ADA | {"password": OTHER}))
    had = await rights_of(sign_in, store, "ada")
    assert await holds(await serve(open_sign_in, ada=ADA | {"password": OTHER}), had) == [False, False, False, False]


@pytest.mark.parametrize(
    ("then", "stays"),
    [(PASSWORD, True), ("another plain one", False), pytest.param(HASHED, False, id="a hash")],
)
async def test_a_plain_password_is_compared_too(open_sign_in: Open, store: Store, then: str, *, stays: bool) -> None:
    had = await rights_of(await serve(open_sign_in, ada={"password": PASSWORD}), store, "ada")
    assert await holds(await serve(open_sign_in, ada={"password": then}), had) == [stays] * 4
    kept = await store.read(lambda connection: str(connection.execute(tables.config_entries.select()).all()))
    assert PASSWORD not in kept


async def test_starting_at_once_finds_a_change_once(open_sign_in: Open, store: Store) -> None:
    one = {"ada": config_entries.ConfigEntry("a", None)}
    assert await store.write(config_entries.reconcile, entries=one) == []
    two = {"ada": config_entries.ConfigEntry("b", None)}
    assert [len(await store.write(config_entries.reconcile, entries=two)) for _ in range(2)] == [1, 0]


def test_a_token_never_becomes_an_admins_by_a_first_start(tmp_path: Path) -> None:
    server = AppServer(tmp_path, flows=["echo"])
    server.member("ada", PASSWORD, role="admin")
    server.member("bob", PASSWORD)
    assert server.run_command("members", "rename", "bob", "robert").returncode == 0
    store = Store.open(Settings.load(server.config_file).database)
    try:
        made = store.write(tokens.create, name="n", owner="bob", flows=None, expires_at=None, by="x")
        _, secret = asyncio.run(made)
    finally:
        store.close()
    config = yaml.safe_load(server.config_file.read_text("utf-8"))
    config["credentials"] = make_credentials(bob={"password": HASHED, "roles": ["admin"]})
    server.config_file.write_text(yaml.safe_dump(config), "utf-8")
    for _ in range(2):
        with server:
            told = requests.get(f"{server.url}/api/v1/me", headers={"x-api-key": secret}).json()
        assert (told["kind"], told["role"]) == ("member", "member"), told
    listed = server.run_command("members", "list").stdout
    assert re.search(r"^bob .* admin .* bob~\w{4}$", listed, re.M), listed
    assert re.search(r"^robert .* member .* bob$", listed, re.M), listed


def test_a_server_that_starts_with_another_password_signs_the_thief_out(tmp_path: Path) -> None:
    usernames = {"augusta": {"password": HASHED, "roles": ["admin"]}}
    server = AppServer(tmp_path, config={"credentials": {"usernames": usernames}})
    with server:
        thief = open_browser(server, "augusta")
        with open_page(thief) as page:
            assert b"Memory Chatbot" in page.visit()
    with server, open_page(thief) as page:
        assert b"Memory Chatbot" in page.visit()
    text = server.config_file.read_text("utf-8")
    assert HASHED in text
    server.config_file.write_text(text.replace(HASHED, OTHER), "utf-8")
    with server:
        with open_page(thief) as page:
            sent = page.visit()
            assert (b"Sign in" in sent, b"Memory Chatbot" in sent) == (True, False)
        with open_page(Browser(server.url)) as page:
            assert b"Sign in" in page.visit()
        assert server.log.count("config.yaml has another password for augusta") == 1
