"""Two servers on one database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.open_page import flow_text
from tests.servers import AppServer

FLOWS = {
    "long": flow_text("scripted:long", "Long"),
    "slow": flow_text("scripted:slow", "Slow"),
    "silent": flow_text("scripted:silent", "Silent"),
}


@contextmanager
def two_servers(folder: Path, database: str) -> Iterator[tuple[AppServer, AppServer]]:
    """Both run, in local mode."""
    config = {"database": database}
    first, second = (AppServer(folder / name, flows=FLOWS, config=config) for name in ("first", "second"))
    with first, second:
        yield first, second
