"""Sign-in from config.yaml and database to a caller, and everything that ends it."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from flowground.access.passwords import DUMMY_HASH
from flowground.access.roster import read_config_members
from flowground.core.caller import Caller
from flowground.core.errors import ConfigError, InvalidRequest, NotAllowed
from flowground.store import Store, publications
from flowground.store.people import members, sign_ins, tokens
from flowground.store.people.members import Member
from tests.people import HASHED, PASSWORD, Open, make_cookie, make_credentials


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data/test.db"


async def test_a_member_of_config_yaml_signs_in_and_becomes_a_caller(open_sign_in: Open) -> None:
    named = {"email": "ada@example.com", "first_name": "Ada", "last_name": "L"}
    ada = {"password": HASHED, "roles": ["author", "x"]} | named
    sign_in = await open_sign_in(credentials=make_credentials(Ada=ada))
    member = await sign_in.check_password(" ADA ", f" {PASSWORD} ", "here")
    assert member == Member("ada", "ada", "Ada L", "ada@example.com", "author", True, "config")
    caller = await sign_in.verify_cookie(await make_cookie(sign_in, "ada"))
    assert (caller and replace(caller, sign_in_id=None)) == Caller("member", "ada", "author")


async def test_a_plain_password_works_and_the_log_warns(open_sign_in: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        sign_in = await open_sign_in(credentials=make_credentials(ada={"password": PASSWORD}, bob={"password": HASHED}))
    assert "plain password of ada:" in caplog.text
    assert PASSWORD not in caplog.text
    assert await sign_in.check_password("ada", PASSWORD, "here") is not None
    assert await sign_in.check_password("ada", "wrong pass", "here") is None


@pytest.mark.parametrize(
    ("usernames", "said"),
    [
        ({"ada": {"password": "short"}}, r"credentials\.usernames\.ada\.password: .*at least 8 characters"),
        ({"ada": {"password": 12345678}}, r"credentials\.usernames\.ada\.password: .*string"),
        ({"ada": {"password": f"$2b$16${'a' * 53}"}}, "a bcrypt hash of cost 16; it may be 4 to 15"),
        ({"ada": {"password": f"$2b$03${'a' * 53}"}}, "a bcrypt hash of cost 3"),
        ({"ada": {}, "Ada": {}}, "another ada"),
        ({"a da": {}}, "no spaces"),
        ({"ada": {"id": "Ada L."}}, r"credentials\.usernames\.ada\.id: an id has"),
        ({"ada": {"id": "x"}, "bob": {"id": "x"}}, r"credentials\.usernames\.bob\.id: ada has this id too"),
        ({"ada": None}, r"credentials\.usernames\.ada"),
    ],
)
def test_a_wrong_member_in_config_yaml_is_named(usernames: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_config_members(usernames, "key")


async def test_one_name_cannot_be_in_both_places(open_sign_in: Open, store: Store) -> None:
    sign_in = await open_sign_in(credentials=make_credentials(ada={"password": HASHED}))
    with pytest.raises(InvalidRequest, match="already a member ada"):
        await sign_in.roster.add("ada", by="x")
    with pytest.raises(NotAllowed, match=r"defined in config\.yaml"):
        await sign_in.roster.require_stored("ada")
    await store.write(members.add, name="bob", display_name="Bob", role="member", by="x")
    with pytest.raises(ConfigError, match="the database has a member of this name too"):
        await open_sign_in(credentials=make_credentials(bob={"password": HASHED}))


async def test_members_are_one_list(open_sign_in: Open) -> None:
    sign_in = await open_sign_in(credentials=make_credentials(zoe={"roles": ["admin"]}))
    added = await sign_in.roster.add("Bob", display_name="Bob B", role="author", password=PASSWORD, by="member:zoe")
    assert added == Member("bob", "bob", "Bob B", None, "author", True, "database")
    assert await sign_in.roster.list_members() == [added, Member("zoe", "zoe", "zoe", None, "admin", False, "config")]
    assert await sign_in.roster.find_named("BOB") == added
    assert await sign_in.roster.find("nobody") is None


async def test_passwords_and_names_that_cannot_be_are_refused(open_sign_in: Open) -> None:
    roster = (await open_sign_in()).roster
    for password in ("short", "   short   ", "é" * 37, "with\x00nul here"):
        with pytest.raises(InvalidRequest):
            await roster.add("ada", password=password, by="x")
    for name in ("", "-x", "a b", "a/b", "a:b", "x" * 65, "ünï"):
        with pytest.raises(InvalidRequest, match="made of small letters"):
            await roster.add(name, by="x")


async def test_local_mode_lasts_until_the_first_account_and_never_returns(open_sign_in: Open, store: Store) -> None:
    sign_in = await open_sign_in()
    assert await sign_in.is_local_mode()
    owner = await make_cookie(sign_in, None)
    caller = await sign_in.verify_cookie(owner)
    assert (caller and replace(caller, sign_in_id=None)) == Caller("local", "owner", "admin")
    ada = await sign_in.roster.add_first("ada", "Ada", PASSWORD)
    assert ada == Member("ada", "ada", "Ada", None, "admin", True, "database")
    assert not await sign_in.is_local_mode()
    assert await sign_in.verify_cookie(owner) is None
    with pytest.raises(NotAllowed):
        await sign_in.issue_ticket(None, "browser")
    with pytest.raises(NotAllowed):
        await sign_in.roster.add_first("eve", "Eve", PASSWORD)
    await store.write(members.remove, member="ada", by="x")
    assert not await (await open_sign_in()).is_local_mode()


async def test_the_first_account_and_what_it_shares_are_one_write(open_sign_in: Open, store: Store) -> None:
    sign_in = await open_sign_in()
    await sign_in.roster.add_first("ada", "Ada", PASSWORD, shares="talk")
    found = await store.read(publications.find, flow_id="talk")
    assert found is not None
    assert found.is_in_force
    with pytest.raises(NotAllowed):  # there is no second one: then nothing is shared either
        await sign_in.roster.add_first("eve", "Eve", PASSWORD, shares="other")
    assert await store.read(publications.find, flow_id="other") is None


async def test_names_in_config_yaml_count_as_created_for_good(open_sign_in: Open) -> None:
    for settings in ({"credentials": make_credentials(ada={})}, {}):
        assert not await (await open_sign_in(**settings)).is_local_mode()


async def test_the_owner_code_is_checked_as_people_type_it(open_sign_in: Open) -> None:
    sign_in = await open_sign_in()
    assert sign_in.check_owner_code(sign_in.owner_code)
    assert sign_in.check_owner_code(f" {sign_in.owner_code.upper().replace('-', ' ')} ")
    assert not sign_in.check_owner_code("")
    assert not sign_in.check_owner_code(sign_in.owner_code[:-1])
    assert (await open_sign_in()).owner_code != sign_in.owner_code


async def test_the_cookie_has_the_authenticators_format(open_sign_in: Open, tmp_path: Path) -> None:
    sign_in = await open_sign_in(credentials=make_credentials(ada={"password": HASHED}))
    key = (tmp_path / "data/cookie.key").read_text()
    assert (tmp_path / "data/cookie.key").stat().st_mode & 0o777 == 0o600
    claims = jwt.decode(await make_cookie(sign_in, "ada"), key, algorithms=["HS256"])
    assert claims.keys() == {"username", "exp_date", "jti"}
    assert claims["username"] == "ada"
    assert claims["exp_date"] == pytest.approx(time.time() + 30 * 86_400, abs=60)
    assert (await open_sign_in()) is not sign_in
    assert (tmp_path / "data/cookie.key").read_text() == key  # the next process accepts the same cookies


async def test_a_cookie_we_did_not_make_is_nobody(open_sign_in: Open, tmp_path: Path) -> None:
    sign_in = await open_sign_in(credentials=make_credentials(ada={}, bob={}))
    key = (tmp_path / "data/cookie.key").read_text()
    good = jwt.decode(await make_cookie(sign_in, "ada"), key, algorithms=["HS256"])

    def signed(claims: Any, by: str = key, algorithm: str = "HS256") -> str:
        return jwt.encode(claims, by, algorithm=algorithm)

    assert await sign_in.verify_cookie(signed(good)) is not None
    wrong: tuple[dict[str, Any], ...] = (
        {"exp_date": time.time() - 1}, {"exp_date": "soon"}, {"username": "bob"}, {"jti": "unknown"}
    )  # fmt: skip
    for bad in (
        *("", "x.y.z", "\ud800", signed(good)[:-2], *(signed(good | claim) for claim in wrong)),
        *(signed(good, by="another key of a good length, surely"), signed(good, by="", algorithm="none")),
        signed({"username": "ada", "exp_date": time.time() + 60}),
    ):
        assert await sign_in.verify_cookie(bad) is None


async def test_what_happens_to_a_member_acts_on_a_cookie_at_once(open_sign_in: Open, store: Store) -> None:
    sign_in = await open_sign_in()
    await sign_in.roster.add_first("ada", "Ada", PASSWORD)
    await sign_in.roster.add("bob", role="author", by="member:ada")
    first, second = await make_cookie(sign_in, "bob"), await make_cookie(sign_in, "bob")
    caller = await sign_in.verify_cookie(first)
    assert caller is not None
    assert caller.role == "author"
    assert await sign_in.find_caller(str(caller.sign_in_id)) == caller
    assert await sign_in.find_caller("unknown") is None
    await store.write(members.set_role, member="bob", role="member", by="x")
    changed = await sign_in.verify_cookie(first)
    assert (changed and changed.role) == "member"
    await sign_in.revoke(str(caller.sign_in_id))
    assert await sign_in.verify_cookie(first) is None
    assert await sign_in.verify_cookie(second) is not None
    assert await store.write(sign_ins.revoke_all, member="bob", by="member:ada") == 1
    assert await sign_in.verify_cookie(second) is None
    third = await make_cookie(sign_in, "bob")
    await store.write(members.set_active, member="bob", is_active=False, by="x")
    await store.write(members.set_active, member="bob", is_active=True, by="x")
    assert await sign_in.verify_cookie(third) is None  # signed out then, and stays so


async def test_no_odd_password_opens_or_breaks_anything(open_sign_in: Open) -> None:
    sign_in = await open_sign_in(credentials=make_credentials(ada={"password": HASHED}, nopass={}))
    for number, password in enumerate(("", "x" * 500, "é\x00\ud800", DUMMY_HASH)):
        for name in ("ada", "nopass", "nobody", "a\x00\ud800"):
            assert await sign_in.check_password(name, password, f"address {number}") is None


async def test_a_token_reaches_its_scope_with_its_owners_present_role(open_sign_in: Open, store: Store) -> None:
    sign_in = await open_sign_in(credentials=make_credentials(zoe={"roles": "author"}))
    await sign_in.roster.add("bob", role="author", by="x")

    async def make(owner: str | None, flows: tuple[str, ...] | None = None) -> tuple[tokens.StoredToken, str]:
        return await store.write(tokens.create, name="n", owner=owner, flows=flows, expires_at=None, by="x")

    organization, secret = await make(None, ("echo",))
    scoped = Caller("token", organization.id, "admin", flows=frozenset({"echo"}))
    assert await sign_in.verify_token(secret) == scoped
    token, secret = await make("zoe")
    assert await sign_in.verify_token(secret) == Caller("token", token.id, "author", person="zoe")
    token, secret = await make("bob")
    bobs = Caller("token", token.id, "author", person="bob")
    assert await sign_in.verify_token(secret) == bobs
    await store.write(members.set_role, member="bob", role="member", by="x")
    assert await sign_in.verify_token(secret) == replace(bobs, role="member")
    await store.write(members.set_active, member="bob", is_active=False, by="x")
    for nobodys in (secret, (await make("gone"))[1], "nonsense"):
        assert await sign_in.verify_token(nobodys) is None


async def test_a_key_that_is_none_stops_the_start(open_sign_in: Open, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 32 characters"):
        await open_sign_in(cookie={"key": "secret"})
    file = tmp_path / "data" / "cookie.key"
    file.write_text("short")
    with pytest.raises(ConfigError, match="holds no usable key"):
        await open_sign_in()
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match=r"cannot keep the cookie's key in .*: Is a directory"):
        await open_sign_in()
