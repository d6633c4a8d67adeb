"""The app of an organization, for a file of tests: who is in it, what it has, with whom it is shared.

HOUSE = House(flows=["echo"], shared={"echo": PUBLIC})    # what the fixture `house` starts for the file that says so
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flowground.settings import Settings
from flowground.store import Store, publications
from flowground.store.publications import Sharing
from tests.people import PEOPLE, make_credentials
from tests.servers import AppServer
from tests.store_databases import empty_database

SHARED = Sharing(is_shared=True)
PUBLIC = Sharing(is_shared=True, audience="public")


@dataclass(frozen=True)
class House:
    """`people` of config.yaml (nobody: the local owner's), and what is `shared` from the start; else as `AppServer`."""

    people: Mapping[str, Any] = field(default_factory=lambda: PEOPLE)
    config: Mapping[str, Any] = field(default_factory=dict)
    flows: Mapping[str, str] | Iterable[str] | None = None
    shared: Mapping[str, Sharing] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None

    @contextmanager
    def open(self, folder: Path) -> Iterator[AppServer]:
        config = {"credentials": make_credentials(**self.people)} | dict(self.config)
        with AppServer(folder, config=config, flows=self.flows, environment=self.environment) as server:
            for flow, sharing in self.shared.items():
                share(server, flow, sharing)
            yield server

    @contextmanager
    def open_on(self, database: str, folder: Path) -> Iterator[AppServer]:
        """On an empty database of this kind, SQLite's or PostgreSQL's."""
        with (
            empty_database(database, folder) as url,
            replace(self, config=dict(self.config) | {"database": url}).open(folder) as server,
        ):
            yield server


def share(server: AppServer, flow: str, sharing: Sharing = SHARED) -> None:
    """As its owner does in the Publish menu."""
    store = Store.open(Settings.load(server.config_file).database)
    with closing(store), ThreadPoolExecutor(1) as elsewhere:  # Playwright may hold this thread's event loop
        change = store.write(publications.change, flow_id=flow, sharing=sharing, by="tests")
        elsewhere.submit(asyncio.run, change).result()
