"""What all tests share. Only what requirements.txt installs is imported here; the rest is asked for by name."""

import importlib.util
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from flowground.access import passwords
from flowground.access.sign_in import SignIn
from flowground.app.runtime import Runtime
from flowground.settings import Settings
from flowground.store import Store
from tests import kinds, servers
from tests.axe import fetch_axe
from tests.chromium import Chromium, find_quickest
from tests.forks import ForkServer
from tests.kinds import pytest_cmdline_main, pytest_collection_modifyitems  # noqa: F401 - pytest calls them
from tests.narrow import PHONE
from tests.open_page import Browser, Page, visitor
from tests.people import Open
from tests.running import organization
from tests.servers import AppServer, House, clean_environment
from tests.store_databases import DATABASES, empty_database


def pytest_addoption(parser: pytest.Parser) -> None:
    kinds.pytest_addoption(parser)
    if importlib.util.find_spec("pytest_timeout") is None:
        parser.addini(
            "timeout", "seconds a test may take; without pytest-timeout (requirements-dev.txt) it is not held"
        )


def pytest_configure(config: pytest.Config) -> None:
    kinds.pytest_configure(config)
    servers.forks = ForkServer()


def pytest_unconfigure() -> None:
    if servers.forks is not None:
        servers.forks.close()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def clean_env(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key and no setting of the person who runs the tests reaches a test."""
    kept = clean_environment()
    for name in os.environ.keys() - kept.keys():
        monkeypatch.delenv(name)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, kept[name])


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords cost this process a millisecond instead of 200."""
    monkeypatch.setattr(passwords, "COST", passwords.LEAST_COST)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, SQLite's and PostgreSQL's."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store on each of the two databases."""
    store = Store.open(url)
    yield store
    store.close()


@pytest.fixture
async def open_sign_in(store: Store, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens sign-ins on the test's store with settings; those of one test share it, as processes do."""
    opened: list[SignIn] = []

    async def open_it(**settings: Any) -> SignIn:
        given = {"root": tmp_path, "data": tmp_path / "data"} | settings
        sign_in = SignIn(Settings.model_validate(given), store)
        opened.append(sign_in)
        await sign_in.roster.start()
        return sign_in

    yield open_it
    for sign_in in opened:
        sign_in.close()


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Runtime]:
    """The organization of tests/running.py, in this process."""
    async with organization(tmp_path) as runtime:
        yield runtime


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app in local mode with all shipped flows, the scripted model answering. Shared: leave no account in it."""
    with AppServer(tmp_path_factory.mktemp("app")) as running:
        yield running


@pytest.fixture(scope="module")
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app as the file's `HOUSE` says (tests/servers.py)."""
    wanted: House = request.module.HOUSE
    with wanted.open(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    with closing(Chromium()) as opened:
        yield opened


@pytest.fixture(scope="module")
def browser(chromium: Chromium) -> Browser:
    """Debian's chromium, one of this process for all files in a row that ask for it; no file with async tests may."""
    if find_quickest() is None:
        pytest.skip("need Debian's chromium (apt-get install chromium)")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("need playwright (requirements-dev.txt)")
    return chromium.open()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Function) -> None:
    """While it is open, Playwright's sync API holds this thread's event loop; other files have loops of their own."""
    if "browser" in item.fixturenames:
        Chromium.last_file = item.path
    elif Chromium.last_file not in (None, item.path):
        Chromium.close_open()


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, for tests/axe.py."""
    return fetch_axe(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a browser that has no cookies."""
    with visitor(browser) as opened:
        yield opened


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    """A page on a phone."""
    with visitor(browser, **PHONE) as opened:
        yield opened


@pytest.fixture
def ada(house: AppServer, browser: Browser) -> Iterator[Page]:
    """A page in the browser of the house's admin."""
    from tests.acme import enter_as  # noqa: PLC0415 - needs websockets, a development extra

    with visitor(browser, permissions=["clipboard-read", "clipboard-write"]) as opened:
        yield enter_as(opened, house, "augusta")


def _stays_here(event: str, arguments: tuple[Any, ...]) -> None:
    """Tests talk to this computer only: an audit hook refuses any other address (real-model test: its own process)."""
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = str(arguments[1][0])
        if not (host.startswith("127.") or host in ("::1", "localhost", "::ffff:127.0.0.1")):
            raise ConnectionRefusedError(f"tests may not connect to {host}")


sys.addaudithook(_stays_here)


with suppress(ImportError):  # a development extra
    import hypothesis

    # The same examples each time: whether a change may land must not depend on chance.
    slow = hypothesis.HealthCheck.too_slow  # on a busy machine everything is
    hypothesis.settings.register_profile("same each time", derandomize=True, suppress_health_check=[slow])
    hypothesis.settings.load_profile("same each time")
