"""Which person an entry of config.yaml is, over restarts: by the id that it says, else by the name that it has."""

import pytest

from flowground.errors import ConfigError
from flowground.store import Store, tables
from flowground.store.people import members, tokens
from tests.canary import finish_removals
from tests.config_members import ADA, OTHER, holds, id_of, rights_of, said, serve
from tests.people import HASHED, PASSWORD, Open, make_cookie, make_credentials

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("password", [HASHED, PASSWORD], ids=["a hash", "a plain one"])
async def test_an_entry_that_says_its_id_may_be_called_otherwise_and_keeps_everything(
    open_sign_in: Open, store: Store, password: str
) -> None:
    had = await rights_of(await serve(open_sign_in, ada={"password": password}), store, "ada")
    renamed = {"lovelace": {"password": password, "id": "ada"}}
    sign_in = await serve(open_sign_in, **renamed)
    assert (await holds(sign_in, had), await said(store, "ada")) == ([True] * 4, 1)
    member = await sign_in.check_password("lovelace", PASSWORD, "here")
    assert (member and member.id) == "ada"
    assert await sign_in.check_password("ada", PASSWORD, "here") is None
    sign_in = await serve(open_sign_in, ada={"password": OTHER}, **renamed)
    newcomer = await id_of(sign_in, "ada")
    assert (newcomer.startswith("ada~"), await id_of(sign_in, "lovelace")) == (True, "ada")
    assert sorted(member.id for member in await sign_in.roster.list_members()) == ["ada", newcomer]
    assert (await said(store, "ada"), await said(store, newcomer)) == (1, 0)
    assert (await serve(open_sign_in, ada={"password": OTHER}, **renamed)).roster.find_config_role(newcomer) == "member"
    sign_in = await serve(open_sign_in, lovelace={"password": OTHER, "email": "else@example.com", "id": "ada"})
    assert (await id_of(sign_in, "lovelace"), await said(store, "ada")) == ("ada", 1)


async def test_a_name_that_is_another_persons_gets_another_id(open_sign_in: Open, store: Store) -> None:
    await rights_of(await serve(open_sign_in, ada=ADA), store, "ada")
    sign_in = await serve(open_sign_in, ada={"password": OTHER, "email": "ada.k@example.com"})
    newcomer = await id_of(sign_in, "ada")
    assert newcomer.startswith("ada~")
    cookie = await make_cookie(sign_in, newcomer)
    sign_in = await serve(open_sign_in, ada={"password": OTHER, "email": "ada.k@example.com"})
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
async def test_a_first_start_gives_no_entry_the_id_of_another_person(
    open_sign_in: Open, store: Store, left: str
) -> None:
    member = await store.write(members.add, name="ada", display_name="Ada", role="member", by="cli")
    _, token = await store.write(tokens.create, name="n", owner="ada", flows=None, expires_at=None, by="x")
    if left == "renamed":
        await store.write(members.rename, member=member.id, name="robert", by="cli")
    else:
        await store.write(members.remove, member=member.id, by="cli")
    beside = await open_sign_in(credentials=make_credentials(ada=ADA | {"roles": ["admin"]}))
    assert await id_of(beside, "ada") == "ada~", "a command before the server's start"
    for _ in range(2):
        sign_in = await serve(open_sign_in, ada=ADA | {"roles": ["admin"]})
        assert (await id_of(sign_in, "ada")).startswith("ada~")
        assert sign_in.roster.find_config_role("ada") is None
        caller = await sign_in.verify_token(token)
        assert (caller and caller.role) == ("member" if left == "renamed" else None)


async def test_a_first_start_gives_no_entry_the_id_that_another_entry_says_it_has(
    open_sign_in: Open, store: Store
) -> None:
    for both in ({"ada": {"password": OTHER}, "lovelace": ADA | {"id": "ada"}},) * 2:
        sign_in = await serve(open_sign_in, **both)
        assert await id_of(sign_in, "lovelace") == "ada"
        assert (await id_of(sign_in, "ada")).startswith("ada~")
    again = {"eve": {"password": OTHER}, "lovelace": ADA | {"id": "ada"}, "zoe": {"password": HASHED, "id": "eve"}}
    sign_in = await serve(open_sign_in, **again)  # two who are new at a later start
    assert await id_of(sign_in, "zoe") == "eve"
    assert (await id_of(sign_in, "eve")).startswith("eve~")


async def test_a_first_start_leaves_members_of_the_file_what_they_had_before(open_sign_in: Open, store: Store) -> None:
    """As after an update from a release that knew neither fingerprints nor ids."""
    had = await rights_of(await open_sign_in(credentials=make_credentials(ada=ADA)), store, "ada")
    for _ in range(2):
        sign_in = await serve(open_sign_in, ada=ADA)
        assert await id_of(sign_in, "ada") == "ada"
    assert (await holds(sign_in, had), await said(store, "ada")) == ([True] * 4, 1)


async def test_the_id_of_somebody_who_was_removed_is_refused_in_the_file(open_sign_in: Open, store: Store) -> None:
    sign_in = await serve(open_sign_in)
    gone = await sign_in.roster.add("bob", password=PASSWORD, by="x")
    await store.write(members.remove, member=gone.id, by="cli")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"credentials\.usernames\.eve\.id: it was the id of somebody"):
            await serve(open_sign_in, eve={"password": OTHER, "id": "bob"})
        await finish_removals(store)
    assert await id_of(await serve(open_sign_in, eve={"password": OTHER, "id": "bob2"}), "eve") == "bob2"


async def test_an_id_that_a_release_before_removed_and_gave_again_stays_its_entrys(
    open_sign_in: Open, store: Store
) -> None:
    """It gave ids again: its member was removed, then stood in config.yaml under the same name."""
    await serve(open_sign_in, ada=ADA)
    line = {"at": 1, "actor": "x", "action": "member.removed", "subject": "ada"}
    await store.write(lambda to: [to.execute(tables.audit.insert(), line)])
    await store.write(lambda to: [to.execute(tables.identities.delete())])
    sign_in = await serve(open_sign_in, lovelace=ADA | {"id": "ada"})
    assert await id_of(sign_in, "lovelace") == "ada"


async def test_who_moved_from_the_file_into_the_app_keeps_what_they_have_there(
    open_sign_in: Open, store: Store
) -> None:
    await serve(open_sign_in, ada=ADA)
    moved = await store.write(members.add, name="ada", display_name="Ada", role="member", by="cli")
    sign_in = await open_sign_in()
    had = await rights_of(sign_in, store, moved.id)
    await sign_in.roster.end_rights_of_before(sign_in.cookies.key)
    assert await holds(sign_in, had) == [True, True, True, True]
