"""What commands work on, opened for as long as they run."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TypeAlias

from flowground.errors import InvalidRequest
from flowground.loader import Catalogue
from flowground.runtime import APP_FOLDER
from flowground.settings import Settings, find_config
from flowground.sign_in import SignIn
from flowground.store import Store
from flowground.wiring import WiredFlow
from flowground.words import find_nearest

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse has no other name for it
"""Where a command is added."""

ACTOR = "cli"
"""Who did it, in the audit trail."""


def add_group(commands: Commands, name: str, says: str) -> Commands:
    """Adds a command that has commands of its own, to which they are added."""
    return commands.add_parser(name, help=says).add_subparsers(metavar="COMMAND", required=True)


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
    """The flow at an id or endpoint name. Raises InvalidRequest with the nearest name there is."""
    wired = catalogue.find(address)
    if wired is None:
        hint = "`validate` shows what is wrong with some flow files." if catalogue.list_problems() else None
        raise InvalidRequest(say_no_such("flow", address, catalogue.list_flows()), hint=hint)
    return wired


def say_no_such(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that is not there, with the nearest one that is."""
    word = find_nearest(name, known)
    return f"There is no {kind} {name} (did you mean {word}?)." if word else f"There is no {kind} {name}."
