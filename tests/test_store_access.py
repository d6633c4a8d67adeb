"""Members, sign-ins, tokens, publications and the audit trail, on both databases."""

import asyncio
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text

from flowground.caller import Owner
from flowground.errors import InvalidRequest, NotAllowed
from flowground.store import Store, tables
from flowground.store.flows import publications
from flowground.store.people import attempts, members, sign_ins, tokens
from flowground.store.runs import turns
from flowground.store.runs.records import StoredMessage
from tests.canary import finish_removals
from tests.stored import list_entries, list_messages

pytestmark = pytest.mark.anyio


async def make_token(store: Store, **given: Any) -> tuple[tokens.StoredToken, str]:
    options = {"name": "n", "owner": None, "flows": None, "expires_at": None, "by": "member:ada"} | given
    return await store.write(tokens.create, **options)


async def actions(store: Store) -> list[tuple[str, str, str]]:
    entries = await store.read(list_entries)
    return [(entry.actor, entry.action, entry.subject) for entry in reversed(entries)]


async def test_a_token_is_found_by_its_secret_which_is_stored_nowhere(store: Store) -> None:
    expires = datetime.now(UTC) + timedelta(days=1)
    token, secret = await make_token(store, name="ci", flows=("echo", "basic"), expires_at=expires)
    assert len(secret) == 46
    assert token.prefix == secret[:8]
    assert await store.read(tokens.find, secret=secret) == token

    def everything(connection: Connection) -> str:
        return str(connection.execute(tables.tokens.select()).fetchall())

    assert secret not in await store.read(everything)
    assert await actions(store) == [("member:ada", "token.created", token.id)]


@pytest.mark.parametrize("wrong", ["", "x", "fg_short", "fg_" + "a" * 43, "fg_" + "é" * 43, "fg_" + "a" * 42 + "\n"])
async def test_no_other_word_is_a_token(store: Store, wrong: str) -> None:
    await make_token(store)
    assert await store.read(tokens.find, secret=wrong) is None


async def test_expired_and_revoked_tokens_are_not_found(store: Store) -> None:
    _, expired = await make_token(store, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    token, revoked = await make_token(store)
    assert await store.write(tokens.revoke, token_id=token.id, by="command line")
    assert not await store.write(tokens.revoke, token_id=token.id, by="command line")
    assert await store.read(tokens.find, secret=expired) is None
    assert await store.read(tokens.find, secret=revoked) is None
    why = await store.read(tokens.find_any, secret=revoked)
    assert why is not None
    assert why.revoked_at is not None


async def test_tokens_are_listed_by_owner(store: Store) -> None:
    mine, _ = await make_token(store, owner="ada")
    organizations, _ = await make_token(store)
    assert await store.read(tokens.list_tokens, owner="ada") == [mine]
    assert await store.read(tokens.list_tokens) == [organizations]
    assert {token.id for token in await store.read(tokens.list_tokens, everyone=True)} == {mine.id, organizations.id}


async def test_a_token_is_over_at_its_very_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    until = datetime(2030, 1, 1, tzinfo=UTC)
    token, _ = await make_token(store, expires_at=until)
    for now, is_in_force in ((until - timedelta(milliseconds=1), True), (until, False)):
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", now.timestamp)
            assert token.is_in_force is is_in_force


async def test_uses_are_counted_together_and_none_is_lost_at_the_end(url: str) -> None:
    store = Store.open(url)
    _, secret = await make_token(store)
    before = datetime.now(UTC)
    await asyncio.gather(*(store.use_token(secret) for _ in range(100)))
    after = datetime.now(UTC)
    assert await store.use_token("fg_" + "a" * 43) is None
    store.close()
    again = Store.open(url)
    token = await again.read(tokens.find, secret=secret)
    assert token is not None
    assert token.uses == 100
    assert token.last_used_at is not None
    assert before <= token.last_used_at <= after
    again.close()


async def test_uses_are_written_while_the_app_runs(store: Store) -> None:
    _, secret = await make_token(store)
    await store.use_token(secret)
    for _ in range(300):
        await asyncio.sleep(0.1)
        [token] = await store.read(tokens.list_tokens)
        if token.uses:
            break
    assert token.uses == 1


async def test_a_flow_is_shared_and_unshared(store: Store) -> None:
    assert await store.read(publications.find, flow_id="echo") is None
    shared = await store.write(publications.set_shared, flow_id="echo", is_shared=True, by="member:ada")
    assert await store.read(publications.find, flow_id="echo") == shared
    off = await store.write(publications.set_shared, flow_id="echo", is_shared=False, by="member:bob")
    assert await store.read(publications.list_publications) == [off]
    assert not off.is_shared
    assert await actions(store) == [("member:ada", "flow.shared", "echo"), ("member:bob", "flow.unshared", "echo")]


async def add(store: Store, name: str, **given: Any) -> members.Member:
    options = {"display_name": name.title(), "role": "member", "by": "command line"} | given
    return await store.write(members.add, name=name, **options)


async def test_members_are_added_changed_and_listed(store: Store) -> None:
    assert not await store.read(members.has_had_account)
    bob = await add(store, "bob")
    ada = await add(store, "ada", password="hash", email="ada@example.com", role="author")
    assert await store.read(members.list_members) == [ada, bob]
    with pytest.raises(InvalidRequest, match="already a member ada"):
        await add(store, "ada")
    assert await store.write(members.set_role, member="bob", role="admin", by="member:ada")
    assert await store.write(members.set_active, member="bob", is_active=False, by="member:ada")
    await store.write(members.set_password, member="bob", password="hash2", by="member:ada")
    stored = await store.read(members.find, member="bob")
    assert stored == members.StoredMember(
        members.Member("bob", "bob", "Bob", None, "admin", True, "database", False), "hash2"
    )
    assert [action for _, action, _ in await actions(store)] == [
        "member.added",
        "member.added",
        "member.role_admin",
        "member.deactivated",
        "member.password_set",
    ]


async def test_the_mark_of_the_first_account_outlives_all_members(store: Store) -> None:
    await store.write(members.add_first, name="ada", display_name="Ada", password="h", by="local:owner")
    with pytest.raises(NotAllowed):
        await store.write(members.add_first, name="eve", display_name="Eve", password="h", by="local:owner")
    assert await store.write(members.remove, member="ada", by="command line")
    assert await store.read(members.list_members) == []
    assert await store.read(members.has_had_account)


async def test_a_removed_members_name_brings_nothing_of_theirs_to_its_next_bearer(store: Store) -> None:
    await add(store, "ada", password="hash")
    _, secret = await make_token(store, owner="ada")
    await sign_in(store, "ada", "id")
    message = StoredMessage("m", "user", "private", "complete", datetime.now(UTC))
    here: dict[str, Any] = {"flow_id": "echo", "owner": "member:ada", "session_id": "s"}
    tried = here | {"owner": str(Owner("programs", "ada"))}
    await store.write(turns.begin_turn, **here, message=message)
    await store.write(turns.begin_turn, **tried, message=replace(message, id="n"))
    assert await store.write(members.remove, member="ada", by="command line")
    assert not await store.write(members.remove, member="ada", by="command line")
    await finish_removals(store)
    newcomer = await add(store, "ada")
    assert re.fullmatch("ada~[a-z0-9]{4}", newcomer.id)
    expected = members.Member(newcomer.id, "ada", "Ada", None, "member", False, "database")
    assert await store.read(members.find_named, name="ada") == members.StoredMember(expected, None)
    assert await store.read(members.find, member="ada") == members.StoredMember(None, None)
    assert await store.read(tokens.find, secret=secret) is None
    assert await store.read(sign_ins.check, sign_in_id="id") is None
    assert await store.read(list_messages, **here) == []
    assert await store.read(list_messages, **tried) == []


async def sign_in(store: Store, member: str | None, sign_in_id: str, *, days: float = 1) -> str | None:
    soon = time.time() + 30
    await store.write(sign_ins.add_ticket, ticket=f"t{sign_in_id}", member=member, browser="b", expires_at=soon)
    return await store.write(
        sign_ins.redeem,
        ticket=f"t{sign_in_id}",
        browser="b",
        sign_in_id=sign_in_id,
        expires_at=time.time() + days * 86_400,
    )


async def test_a_sign_in_says_what_the_database_knows_of_its_member_now(store: Store) -> None:
    await add(store, "ada", role="author")
    assert await sign_in(store, "ada", "one") == "ada"
    assert await store.read(sign_ins.check, sign_in_id="one") == sign_ins.SignInState("ada", "author", True, True)
    await store.write(members.set_role, member="ada", role="member", by="x")
    assert await store.read(sign_ins.check, sign_in_id="one") == sign_ins.SignInState("ada", "member", True, True)
    assert [one.id for one in (await store.read(sign_ins.find_page, member="ada", limit=9))[0]] == ["one"]
    assert await store.write(sign_ins.revoke, sign_in_id="one")
    assert not await store.write(sign_ins.revoke, sign_in_id="one")
    assert await store.read(sign_ins.check, sign_in_id="one") is None


async def test_a_sign_in_ends_by_itself(store: Store) -> None:
    await sign_in(store, "ada", "old", days=-0.001)
    assert await store.read(sign_ins.check, sign_in_id="old") is None


async def test_a_ticket_works_once_in_one_browser_for_thirty_seconds(store: Store) -> None:
    async def issue(ticket: str, *, seconds: float = 30) -> None:
        until = time.time() + seconds
        await store.write(sign_ins.add_ticket, ticket=ticket, member="ada", browser="b", expires_at=until)

    async def redeem(ticket: str, browser: str) -> str | None:
        return await store.write(
            sign_ins.redeem, ticket=ticket, browser=browser, sign_in_id=ticket, expires_at=time.time() + 60
        )

    await issue("late", seconds=-1)
    assert await redeem("late", "b") is None
    await issue("stolen")
    assert await redeem("stolen", "another") is None
    assert await redeem("stolen", "b") is None
    await issue("good")
    assert await redeem("good", "b") == "ada"
    assert await redeem("good", "b") is None


async def fail(store: Store, address: str, *, times: int) -> list[float]:
    return [await store.write(attempts.begin, name="ada", address=address) for _ in range(times)]


async def test_five_wrong_passwords_shut_a_name_from_that_address_for_at_most_five_minutes(store: Store) -> None:
    assert await fail(store, "a", times=5) == [0] * 5
    [wait] = await fail(store, "a", times=1)
    assert 290 < wait <= 300
    [same] = await fail(store, "a", times=1)
    assert same <= wait  # refused tries lengthen nothing
    assert await fail(store, "b", times=1) == [0]


async def test_the_lockout_ends_by_itself(store: Store) -> None:
    await fail(store, "a", times=6)

    def an_hour_passes(connection: Connection) -> None:
        connection.execute(tables.attempts.update().values(at=tables.attempts.c.at - 3600))

    await store.write(an_hour_passes)
    assert await fail(store, "a", times=1) == [0]


async def test_many_addresses_shut_a_name_but_not_from_where_its_member_signed_in(store: Store) -> None:
    await fail(store, "home", times=1)
    await store.write(attempts.note_success, name="ada", address="home")
    for number in range(10):
        await fail(store, f"a{number}", times=5)
    [elsewhere] = await fail(store, "new", times=1)
    assert elsewhere > 0
    assert await fail(store, "home", times=1) == [0]


@pytest.mark.parametrize(("sees", "sets"), [("answers", "opened"), ("inside", "unprotected"), (None, None)])
async def test_what_a_token_sees_and_sets_is_kept(store: Store, sees: Any, sets: Any) -> None:
    _, secret = await make_token(store, sees=sees, sets=sets)
    found = await store.read(tokens.find, secret=secret)
    assert found is not None
    assert (found.sees, found.sets) == (sees, sets)


BEFORE = "id, name, prefix, hash, owner, flows, created_at, expires_at, revoked_at, last_used_at, uses"
"""The columns of a token in the release before, which names each it reads and writes."""


async def test_the_release_before_reads_and_writes_tokens_beside_this_one(store: Store) -> None:
    made, _ = await make_token(store, sees="answers", sets="opened")
    secret = "fg_" + "a" * 43
    its = {"hash": tokens.hash_secret(secret)}
    values = "'its', 'n', 'fg_aaaaa', :hash, NULL, NULL, 1.5, NULL, NULL, NULL, 0"
    insert_its = text(f"INSERT INTO tokens ({BEFORE}) VALUES ({values})")
    assert await store.write(lambda connection: connection.execute(insert_its, its).rowcount) == 1
    found = await store.read(tokens.find, secret=secret)
    assert found is not None
    assert (found.id, found.sees, found.sets) == ("its", None, None)
    read_all = text(f"SELECT {BEFORE} FROM tokens ORDER BY created_at")
    rows = await store.read(lambda connection: connection.execute(read_all).all())
    assert [row.id for row in rows] == ["its", made.id]
