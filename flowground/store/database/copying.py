"""A copy of SQLite's database while it is in use: one moment of it, without what was deleted."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from flowground.errors import InvalidRequest

_SQLITE = "sqlite:///"


def find_sqlite_file(url: str) -> Path | None:
    """SQLite's file; None where the database is PostgreSQL's, or in memory."""
    name = url.removeprefix(_SQLITE)
    return Path(name) if url.startswith(_SQLITE) and name != ":memory:" else None


def copy_database(file: Path, to: Path) -> None:
    """Writes the copy, its owner's alone; writers do not wait for it. Raises InvalidRequest."""
    os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("VACUUM INTO ?", (str(to),))
    except sqlite3.Error as error:
        raise InvalidRequest(f"{file} cannot be copied: {error}.") from None
