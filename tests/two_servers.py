"""Two servers on one database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.open_page import flow_text
from tests.servers import AppServer

LASTING = {"type": "scripted", "delay": 0.05, "pieces": [f"word{number} " for number in range(1, 1_200)]}
"""An answer of a minute: whatever is done meanwhile, a page opened or a command asked, takes seconds where many share
the processors."""
FLOWS = {
    "long": flow_text("lasting:echo", "Long"),
    "slow": flow_text("scripted:slow", "Slow"),
    "silent": flow_text("scripted:silent", "Silent"),
}


@contextmanager
def two_servers(folder: Path, database: str) -> Iterator[tuple[AppServer, AppServer]]:
    """Both run, in local mode."""
    config = {"database": database, "providers": {"lasting": LASTING}}
    first, second = (AppServer(folder / name, flows=FLOWS, config=config) for name in ("first", "second"))
    with first, second:
        yield first, second
