"""What commands work on, such as settings, flows and the database, opened for as long as they run."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, closing
from dataclasses import replace

from flowground.access.sign_in import SignIn
from flowground.app.runtime import APP_FOLDER
from flowground.cli.output import show_path
from flowground.core.errors import FlowError, InvalidRequest
from flowground.core.words import suggest
from flowground.flows.checks import ConfigNames
from flowground.flows.folder import Catalogue
from flowground.flows.wiring import WiredFlow
from flowground.settings import Settings, find_config
from flowground.store import Store

ACTOR = "cli"
"""The command line's name in the audit trail."""


def load_settings() -> Settings:
    """The settings that a server started here would have. Raises ConfigError, InvalidRequest."""
    config = find_config(APP_FOLDER)
    if not (APP_FOLDER / "app.py").is_file() and not config.is_file():
        raise InvalidRequest("There is no app in this folder.", hint="`flowground new-project NAME` makes one.")
    return Settings.load(config)


def read_catalogue(settings: Settings, names: ConfigNames | None = None) -> Catalogue:
    """The flows that a server started here would have."""
    return Catalogue(settings.flows, servers=settings.mcp_servers, names=names)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """Opens the database, also while a server runs. Raises ConfigError."""
    store = await asyncio.to_thread(Store.open, settings.database, seconds=settings.limits.store_seconds)
    try:
        yield store
    finally:
        await asyncio.to_thread(store.close)


@asynccontextmanager
async def open_sign_in(settings: Settings) -> AsyncIterator[tuple[Store, SignIn]]:
    """Opens members as the database has them: config.yaml's are taken into it by a server alone, since a wrong file
    would end people's rights. Raises ConfigError."""
    async with open_store(settings) as store:
        with closing(SignIn(settings, store)) as sign_in:
            yield store, sign_in


def find_flow(catalogue: Catalogue, address: str) -> WiredFlow:
    """The flow with this id or endpoint name. Raises InvalidRequest with the nearest one, and FlowError."""
    if wired := catalogue.find(address):
        return wired
    if broken := catalogue.find_broken_file(address):
        file, error = broken
        shown = show_path(catalogue.folder / file)
        raise FlowError(replace(problem, file=shown) for problem in error.problems)
    hint = "`validate` shows what is wrong with some flow files." if catalogue.list_problems() else None
    flows = catalogue.list_flows()
    addresses = [item.flow.api.endpoint_name for item in flows.values() if item.flow.api.endpoint_name]
    raise InvalidRequest(explain_unknown("flow", address, [*flows, *addresses]), hint=hint)


def explain_unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for an unknown name, with the nearest known one."""
    return f"There is no {kind} {name}{suggest(name, known)}."
