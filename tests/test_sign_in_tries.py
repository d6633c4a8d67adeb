"""Passwords that were tried: guessing stays slow, and no stranger shuts anybody out."""

import asyncio
import warnings
from collections.abc import Iterator

import bcrypt
import pytest
from sqlalchemy import func, select

from flowground.access import passwords
from flowground.access.passwords import Compare, compare_by_bcrypt
from flowground.access.sign_in import SignIn
from flowground.core.errors import NotSignedIn
from flowground.store import Store, tables
from flowground.store.people import members
from tests.people import HASHED, PASSWORD, Open, make_credentials
from tests.test_sign_in import url as url


@pytest.fixture
async def sign_in(open_sign_in: Open) -> SignIn:
    """With two members of config.yaml."""
    named = {"password": HASHED, "first_name": "Ada"}
    return await open_sign_in(credentials=make_credentials(ada=named, bob={"password": HASHED}))


async def test_five_wrong_passwords_shut_the_door_for_real_and_unknown_names_alike(sign_in: SignIn) -> None:
    for name in ("ada", "nobody"):
        for _ in range(5):
            assert await sign_in.check_password(name, "wrong password", "here") is None
        with pytest.raises(NotSignedIn, match="Try again in 5 minutes") as raised:
            await sign_in.check_password(name, PASSWORD, "here")
        assert raised.value.code == "locked_out"
        assert 0 < await sign_in.attempts.find_wait(name, "here") <= 300
    assert await sign_in.check_password("ada", PASSWORD, "elsewhere") is not None


async def test_many_guesses_at_once_do_not_slip_through_together(sign_in: SignIn) -> None:
    tries = [sign_in.check_password("ada", "wrong password", "here") for _ in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert results.count(None) == 5
    assert sum(isinstance(result, NotSignedIn) for result in results) == 15


async def test_one_address_tries_thirty_passwords_for_whatever_names(sign_in: SignIn) -> None:
    for number in range(30):
        assert await sign_in.check_password(f"somebody{number}", "Spring 2026!", "here") is None
    for name in ("ada", "somebody-else"):
        with pytest.raises(NotSignedIn, match="Try again in 5 minutes"):
            await sign_in.check_password(name, PASSWORD, "here")
    assert await sign_in.check_password("ada", PASSWORD, "elsewhere") is not None


async def test_a_right_password_forgets_the_wrong_ones(sign_in: SignIn) -> None:
    for _ in range(3):
        for _ in range(4):
            assert await sign_in.check_password("ada", "wrong password", "here") is None
        assert await sign_in.check_password("ada", PASSWORD, "here") is not None


@pytest.fixture
def authenticator() -> Iterator[Compare]:
    """streamlit-authenticator's own comparison, as the sign-in page has it."""
    with warnings.catch_warnings():  # of its imports, which also say that no server runs here
        warnings.simplefilter("ignore")
        from streamlit_authenticator import Hasher  # type: ignore[import-untyped]  # noqa: PLC0415 - slow, for two tests

        yield Hasher.check_pw


async def test_the_sign_in_page_counts_and_locks_alike_for_every_name(sign_in: SignIn, authenticator: Compare) -> None:

    async def check(name: str, password: str) -> bool:
        return await sign_in.check_password(name, password, "here", compare=authenticator) is not None

    assert await check(" ADA", f" {PASSWORD} ")
    for name in ("ada", "nobody"):
        assert await sign_in.attempts.find_wait(name, "here") == 0
        wrong = ("wrong password", "", "x" * 73, "half a letter \ud800", "wrong password")
        assert [await check(name, password) for password in wrong] == [False] * 5
        assert await sign_in.attempts.find_wait(name, "here") > 0
    with pytest.raises(NotSignedIn):  # shut: the right password is not looked at
        await check("ada", PASSWORD)


@pytest.mark.parametrize("cost", [4, 11])
async def test_a_wrong_password_costs_the_same_whoever_exists(
    open_sign_in: Open, store: Store, authenticator: Compare, cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the rounds that are computed: config.yaml's hashes may have any cost, the names that nobody has have none."""
    monkeypatch.setattr(passwords, "COST", 10)
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()
    sign_in = await open_sign_in(credentials=make_credentials(ada={"password": hashed}, nopass={}))
    for name, password in (("bob", PASSWORD), ("inactive", PASSWORD), ("invited", None)):
        await sign_in.roster.add(name, password=password, by="x")
    await store.write(members.set_active, member="inactive", is_active=False, by="x")
    rounds: list[int] = []
    check = bcrypt.checkpw

    def counted(password: bytes, against: bytes) -> bool:
        rounds.append(2 ** int(against[4:6]))
        return check(password, against)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    for compare in (compare_by_bcrypt, authenticator):
        spent = {}
        for name in ("ada", "bob", "inactive", "invited", "nopass", "nobody", "x" * 10_000, "\x00\ud800"):
            rounds.clear()
            assert await sign_in.check_password(name, "wrong password", "elsewhere", compare=compare) is None
            spent[name] = sum(rounds)
        assert max(spent.values()) < 1.1 * min(spent.values()), spent


async def many_wrong_tries(sign_in: SignIn, name: str) -> None:
    """More than all addresses together have for one name, five from each."""
    for number in range(11):
        for _ in range(5):
            await sign_in.attempts.count(name, f"stranger {number}")


async def test_strangers_elsewhere_shut_nobody_out_of_an_address_they_signed_in_from(
    sign_in: SignIn, store: Store
) -> None:
    assert await sign_in.check_password("bob", PASSWORD, "bob's desk") is not None
    assert await sign_in.check_password("ada", PASSWORD, "ada's desk") is not None
    await many_wrong_tries(sign_in, "ada")
    assert await sign_in.check_password("ada", PASSWORD, "ada's desk") is not None
    assert await sign_in.attempts.find_wait("ada", "bob's desk") > 0
    await sign_in.roster.add("eve", password=PASSWORD, by="tests")
    assert await sign_in.check_password("eve", PASSWORD, "the old desk") is not None
    await store.write(members.remove, member="eve", by="tests")
    await sign_in.roster.add("eve", password="another good phrase", by="tests")  # another person of this name
    await many_wrong_tries(sign_in, "eve")
    assert await sign_in.attempts.find_wait("eve", "the old desk") > 0


async def test_guesses_that_go_on_shut_no_address_for_longer_than_five_minutes(sign_in: SignIn, store: Store) -> None:
    """Refused tries are not counted, so the wait runs from the last one that was looked at."""
    for _ in range(5):
        await sign_in.attempts.count("ada", "the office")
    first = await sign_in.attempts.find_wait("ada", "the office")
    for _ in range(50):
        assert 0 < await sign_in.attempts.count("ada", "the office") <= first
    await store.write(lambda to: [to.execute(tables.attempts.update().values(at=tables.attempts.c.at - 301))])
    assert await sign_in.check_password("ada", PASSWORD, "the office") is not None


async def test_who_comes_while_too_many_sign_in_is_told_so_and_has_tried_nothing(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_WAITING", 4)
    for turn in range(2):
        tries = [sign_in.check_password("ada", PASSWORD, f"desk {number}") for number in range(6)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        refused = [result for result in results if isinstance(result, BaseException)]
        assert len(refused) == 2, turn
        for error in refused:
            assert isinstance(error, NotSignedIn)
            assert (error.code, "Try again in a moment" in error.message) == ("sign_in_busy", True)
    assert await sign_in.check_password("ada", PASSWORD, "any desk") is not None
    tried = select(func.count()).select_from(tables.attempts)
    assert await sign_in._store.read(lambda connection: connection.execute(tried).scalar()) == 0
