"""What commands work on, opened for as long as they run."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from flowground.cli.output import show_path
from flowground.errors import FlowError, InvalidRequest
from flowground.loader import Catalogue
from flowground.runtime import APP_FOLDER
from flowground.settings import Settings, find_config
from flowground.sign_in import SignIn
from flowground.store import Store
from flowground.wiring import WiredFlow
from flowground.words import find_nearest

ACTOR = "cli"
"""Who did it, in the audit trail."""


def load_settings() -> Settings:
    """The settings of the app that a server started here would have. Raises ConfigError."""
    return Settings.load(find_config(APP_FOLDER))


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
    """Members of config.yaml and database. Raises ConfigError."""
    async with open_store(settings) as store:
        sign_in = SignIn(settings, store)
        try:
            await sign_in.roster.start()
            yield sign_in
        finally:
            sign_in.close()


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
    word = find_nearest(name, known)
    return f"There is no {kind} {name} (did you mean {word}?)." if word else f"There is no {kind} {name}."
