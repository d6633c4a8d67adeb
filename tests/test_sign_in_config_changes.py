"""What members of config.yaml keep over a restart, and what ends when the file takes them out or changes them. Which
person an entry is: by the id that it says, else by the name that it has."""

import logging
from pathlib import Path

import bcrypt
import pytest

from flowground.core.errors import ConfigError, InvalidRequest, NotSignedIn
from flowground.store import Store, tables
from flowground.store.people import members, tokens
from tests.canary import finish_removals
from tests.config_members import ADA, OTHER, holds, id_of, rights_of, said, serve
from tests.page_socket import Browser, open_browser, open_page
from tests.people import HASHED, PASSWORD, Open, make_cookie
from tests.servers import AppServer

ALL, NONE = [True] * 4, [False] * 4


async def test_a_restart_with_the_same_file_ends_nothing(open_sign_in: Open, store: Store) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    for changed in (ADA, ADA | {"first_name": "Augusta", "roles": ["admin"], "email": "countess@example.com"}):
        sign_in = await serve(open_sign_in, ada=changed)
        assert (await holds(sign_in, had))[:2] == [True, True]
    assert await said(store, "ada") == 1


async def test_another_password_ends_every_proof_and_keeps_what_was_said(
    open_sign_in: Open, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA, bob=ADA), store, "ada")
    bob = await rights_of(await serve(open_sign_in, ada=ADA, bob=ADA), store, "bob")
    changed = {"ada": ADA | {"password": OTHER}, "bob": ADA}
    with caplog.at_level(logging.WARNING):
        sign_in = await serve(open_sign_in, **changed)
    assert (await holds(sign_in, had), await holds(sign_in, bob)) == (NONE, ALL)
    assert await said(store, "ada") == 1
    assert caplog.text.count("config.yaml has another password for ada:") == 1
    assert OTHER not in caplog.text
    new = await make_cookie(sign_in, "ada")
    assert await (await serve(open_sign_in, **changed)).verify_cookie(new) is not None


async def test_another_password_in_the_file_beats_an_older_one_of_the_app(open_sign_in: Open) -> None:
    sign_in = await serve(open_sign_in, ada=ADA)
    cookie = await make_cookie(sign_in, "ada")
    await sign_in.roster.set_password("ada", "set in the app", by="member:ada")
    assert await sign_in.verify_cookie(cookie) is None
    assert await sign_in.check_password("ada", PASSWORD, "here") is None
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
        assert await holds(await serve(open_sign_in, bob=ADA), had) == NONE
    assert caplog.text.count("no longer names ada") == 1
    assert await said(store, "ada") == 1
    await serve(open_sign_in, bob=ADA)
    sign_in = await serve(open_sign_in, ada=ADA | {"password": OTHER}, bob=ADA)
    assert (await holds(sign_in, had), await said(store, "ada")) == (NONE, 0)


async def test_who_left_the_file_is_out_in_a_process_that_still_has_the_older_one(
    open_sign_in: Open, store: Store
) -> None:
    older = await serve(open_sign_in, ada=ADA, bob=ADA)
    had, bob = await rights_of(older, store, "ada"), await rights_of(older, store, "bob")
    newer = await serve(open_sign_in, bob=ADA)
    assert (await holds(older, had), await holds(older, bob)) == (NONE, ALL)
    assert await older.check_password("ada", PASSWORD, "here") is None
    gone, stays = await newer.roster.list_members()
    assert (gone.name, gone.source, gone.is_active, stays.is_active) == ("ada", "config", False, True)
    with pytest.raises(InvalidRequest, match="already a member ada"):
        await newer.roster.add("ada", by="x")
    assert await store.write(members.remove, member="ada", by="cli")
    assert [one.name for one in await newer.roster.list_members()] == ["bob"]
    assert (await newer.roster.add("ada", by="x")).id.startswith("ada~")


async def test_a_start_with_the_wrong_file_loses_nothing_that_was_said(open_sign_in: Open, store: Store) -> None:
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    for _ in range(2):
        await serve(open_sign_in, bob=ADA)
    sign_in = await serve(open_sign_in, ada=ADA, bob=ADA)
    assert (await said(store, "ada"), await holds(sign_in, had)) == (1, NONE)


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


@pytest.mark.parametrize(
    ("then", "stays"), [(PASSWORD, True), ("another plain one", False), pytest.param(HASHED, False, id="a hash")]
)
async def test_a_plain_password_is_compared_too(open_sign_in: Open, store: Store, then: str, *, stays: bool) -> None:
    had = await rights_of(await serve(open_sign_in, ada={"password": PASSWORD}), store, "ada")
    assert await holds(await serve(open_sign_in, ada={"password": then}), had) == [stays] * 4
    kept = await store.read(lambda connection: str(connection.execute(tables.config_entries.select()).all()))
    assert PASSWORD not in kept


@pytest.mark.parametrize("password", [HASHED, PASSWORD], ids=["a hash", "a plain one"])
async def test_an_entry_that_says_its_id_may_be_renamed(open_sign_in: Open, store: Store, password: str) -> None:
    had = await rights_of(await serve(open_sign_in, ada={"password": password}), store, "ada")
    renamed = {"lovelace": {"password": password, "id": "ada"}}
    sign_in = await serve(open_sign_in, **renamed)
    assert (await holds(sign_in, had), await said(store, "ada")) == (ALL, 1)
    member = await sign_in.check_password("lovelace", PASSWORD, "here")
    assert (member and member.id) == "ada"
    assert await sign_in.check_password("ada", PASSWORD, "here") is None
    sign_in = await serve(open_sign_in, ada={"password": OTHER}, **renamed)
    newcomer = await id_of(sign_in, "ada")
    assert (newcomer.startswith("ada~"), await id_of(sign_in, "lovelace")) == (True, "ada")
    assert sorted(member.id for member in await sign_in.roster.list_members()) == ["ada", newcomer]
    assert (await said(store, "ada"), await said(store, newcomer)) == (1, 0)
    sign_in = await serve(open_sign_in, lovelace={"password": OTHER, "email": "else@example.com", "id": "ada"})
    assert (await id_of(sign_in, "lovelace"), await said(store, "ada")) == ("ada", 1)


async def test_a_name_that_is_another_persons_gets_another_id(open_sign_in: Open, store: Store) -> None:
    """Another password and another email are another person."""
    had = await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    other = {"password": OTHER, "email": "k@x.org"}
    sign_in = await serve(open_sign_in, ada=other)
    assert (await holds(sign_in, had), await said(store, "ada")) == (NONE, 0)
    newcomer = await id_of(sign_in, "ada")
    assert newcomer.startswith("ada~")
    cookie = await make_cookie(sign_in, newcomer)
    sign_in = await serve(open_sign_in, ada=other)
    assert await id_of(sign_in, "ada") == newcomer
    assert (await sign_in.verify_cookie(cookie)) is not None
    assert (await sign_in.check_password("ada", "another horse", "here")) is not None


async def test_a_name_of_the_database_gives_an_entry_nothing(open_sign_in: Open, store: Store) -> None:
    sign_in = await serve(open_sign_in)
    await sign_in.roster.add("ada", password=PASSWORD, by="x")
    await rights_of(sign_in, store, "ada")
    await sign_in.roster.rename("ada", "lovelace", by="x")
    sign_in = await serve(open_sign_in, ada={"password": OTHER})
    assert (await id_of(sign_in, "ada")).startswith("ada~")
    assert await id_of(sign_in, "lovelace") == "ada"
    assert await said(store, "ada") == 1
    with pytest.raises(ConfigError, match=r"credentials\.usernames\.eve\.id: it is the id of lovelace"):
        await serve(open_sign_in, eve={"id": "ada"})


@pytest.mark.parametrize("left", ["renamed", "removed"])
async def test_a_first_start_gives_no_entry_the_id_of_another_one(open_sign_in: Open, store: Store, left: str) -> None:
    member = await store.write(members.add, name="ada", display_name="Ada", role="member", by="cli")
    _, token = await store.write(tokens.create, name="n", owner="ada", flows=None, expires_at=None, by="x")
    if left == "renamed":
        await store.write(members.rename, member=member.id, name="robert", by="cli")
    else:
        await store.write(members.remove, member=member.id, by="cli")
    for _ in range(2):
        sign_in = await serve(open_sign_in, ada=ADA | {"roles": ["admin"]})
        assert (await id_of(sign_in, "ada")).startswith("ada~")
        caller = await sign_in.verify_token(token)
        assert (caller and caller.role) == ("member" if left == "renamed" else None)


async def test_the_id_of_somebody_who_was_removed_is_refused_in_the_file(open_sign_in: Open, store: Store) -> None:
    sign_in = await serve(open_sign_in)
    gone = await sign_in.roster.add("bob", password=PASSWORD, by="x")
    await store.write(members.remove, member=gone.id, by="cli")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"credentials\.usernames\.eve\.id: it was the id of somebody"):
            await serve(open_sign_in, eve={"password": OTHER, "id": "bob"})
        await finish_removals(store)
    assert await id_of(await serve(open_sign_in, eve={"password": OTHER, "id": "bob2"}), "eve") == "bob2"


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
