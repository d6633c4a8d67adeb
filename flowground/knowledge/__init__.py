"""Knowledge: files of a folder, cut into passages and indexed, so that the passages about a question are found.

Its index has a home (`IndexHomes`): a folder, or tables of the app's PostgreSQL database. In a folder it is a file that
never changes: the next one is made beside it, in another process (`worker`), and serves once the small file `current`
names it. Whoever searches meanwhile reads the one before. One process makes an index at a time (`KnowledgeBusy`).
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from flowground.knowledge.building import BuildReport as BuildReport
from flowground.knowledge.building import IndexState as IndexState
from flowground.knowledge.embeddings import Embeddings as Embeddings
from flowground.knowledge.index import IndexedFile as IndexedFile
from flowground.knowledge.index_file import IndexFolder as IndexFolder
from flowground.knowledge.index_file import forget_folders
from flowground.knowledge.index_home import IndexHome
from flowground.knowledge.knowledge import Knowledge as Knowledge
from flowground.knowledge.knowledge import KnowledgeBusy as KnowledgeBusy
from flowground.knowledge.knowledge import KnowledgeMissing as KnowledgeMissing
from flowground.knowledge.knowledge import KnowledgeSources as KnowledgeSources
from flowground.knowledge.searching import Filters as Filters
from flowground.knowledge.searching import Hit as Hit
from flowground.knowledge.searching import explain_unmet as explain_unmet
from flowground.knowledge.searching import read_filters as read_filters
from flowground.knowledge.sources import FetchPage as FetchPage
from flowground.knowledge.sources import GivenFile as GivenFile
from flowground.knowledge.sources import Page as Page
from flowground.knowledge.sources import PageSources as PageSources

if TYPE_CHECKING:
    from flowground.knowledge.postgresql_lines import PostgresqlLines


class IndexHomes:
    """`folder` is this computer's, `database` the URL of the app's database. Lines to it are shared."""

    def __init__(self, folder: Path, database: str = "") -> None:
        self._folder = folder
        self._lines = _open_lines(database) if database.startswith("postgresql") else None

    def open(self, address: str) -> IndexHome:
        """By the address of a knowledge: its name, of a flow's own with the flow's id before it."""
        folder = self._folder / ("flows" if "/" in address else "shared") / address
        if self._lines is None:
            return IndexFolder(folder)
        from flowground.knowledge.index_tables import IndexTables  # noqa: PLC0415 - as above

        return IndexTables(address, self._lines, folder)

    def forget(self, wanted: Collection[str], *, now: float, deletes: bool = True) -> list[str]:
        """Notes that these addresses are wanted, and deletes, where it `deletes`, what nobody has wanted for an hour:
        in tables, which are all processes', and on this computer, whose addresses it gives. `now` is seconds since
        1970. Raises RunError and OSError."""
        if self._lines is not None:
            from flowground.knowledge.index_tables import forget_indexes  # noqa: PLC0415 - its driver may be missing

            forget_indexes(self._lines.url, wanted, now=now, deletes=deletes)
        return forget_folders(self._folder, wanted, now=now, deletes=deletes)

    def close(self) -> None:
        """Gives back the lines."""
        if self._lines is not None:
            self._lines.close()


def _open_lines(database: str) -> "PostgresqlLines":
    from flowground.knowledge.postgresql_lines import PostgresqlLines  # noqa: PLC0415 - its driver may be missing

    return PostgresqlLines(database)
