"""What commands work on, opened for as long as they run."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

from flowground.cli.output import show_path
from flowground.errors import FlowError, InvalidRequest
from flowground.flow.parse import parse_flow
from flowground.loader import Catalogue
from flowground.loader.unmeant import ConfigNames, add_warnings
from flowground.runtime import APP_FOLDER
from flowground.settings import Settings, find_config
from flowground.sign_in import SignIn
from flowground.store import Store
from flowground.wiring import WiredFlow, wire
from flowground.words import suggest

ACTOR = "cli"
"""Who did it, in the audit trail."""


def load_settings() -> Settings:
    """The settings of the app that a server started here would have. Raises ConfigError, InvalidRequest."""
    config = find_config(APP_FOLDER)
    if not (APP_FOLDER / "app.py").is_file() and not config.is_file():
        raise InvalidRequest("There is no app in this folder.", hint="`flowground new-project NAME` makes one.")
    return Settings.load(config)


def read_catalogue(settings: Settings, names: ConfigNames | None = None) -> Catalogue:
    """The flows that a server started here would have."""
    return Catalogue(settings.flows, servers=settings.mcp_servers, names=names)


def read_flow(path: Path, settings: Settings, names: ConfigNames | None = None) -> WiredFlow:
    """The flow in a file. Raises FlowError, InvalidRequest."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}") from None
    flow = parse_flow(content, path.name)
    return add_warnings(wire(flow, servers=settings.mcp_servers), names)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Makes a folder to write into. Raises InvalidRequest where one is there that is not empty, OSError."""
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidRequest(f"{show_path(folder)} is not empty.", hint="Name a folder that is not there yet.")


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The database, also of a server that runs. Raises ConfigError."""
    store = await asyncio.to_thread(Store.open, settings.database, seconds=settings.limits.store_seconds)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


@asynccontextmanager
async def open_sign_in(settings: Settings) -> AsyncIterator[SignIn]:
    """Members, those of config.yaml as the file names them now. Raises ConfigError."""
    async with open_store(settings) as store:
        with closing(SignIn(settings, store)) as sign_in:
            await sign_in.roster.start()
            yield sign_in


def find_flow(catalogue: Catalogue, address: str) -> WiredFlow:
    """The flow at an id or endpoint name. Raises InvalidRequest with the nearest one there is, and FlowError."""
    wired = catalogue.find(address)
    if wired is None:
        if broken := catalogue.find_broken_file(address):
            file, error = broken
            raise name_file(error, show_path(catalogue.folder / file))
        hint = "`validate` shows what is wrong with some flow files." if catalogue.list_problems() else None
        flows = catalogue.list_flows()
        addresses = [item.flow.api.endpoint_name for item in flows.values() if item.flow.api.endpoint_name]
        raise InvalidRequest(say_no_such("flow", address, [*flows, *addresses]), hint=hint)
    return wired


def name_file(error: FlowError, file: str) -> FlowError:
    """The same mistakes, the file named as terminals and editors open it."""
    return FlowError(replace(problem, file=file) for problem in error.problems)


def say_no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not there, with the nearest one that is."""
    return f"There is no {kind} {name}{suggest(name, known)}."
