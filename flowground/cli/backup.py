"""`backup`: everything that cannot be fetched or installed again, in one folder."""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from flowground.cli.commands import Commands
from flowground.cli.output import show_path, tell
from flowground.cli.resources import load_settings, make_folder
from flowground.errors import InvalidRequest
from flowground.runtime import APP_FOLDER
from flowground.settings import Settings, find_config
from flowground.store.database.connections import copy_database, find_sqlite_file

_NOT_COPIED = ("models", "processes", "*.part")
"""In the data folder: what is fetched again, and what only running processes need."""


def add_to(commands: Commands) -> None:
    backup = commands.add_parser(
        "backup",
        help="copy the database, keys, flows and config.yaml into a folder",
        description="Also while the app runs. A PostgreSQL database is not copied: pg_dump does that.",
    )
    backup.add_argument("folder", type=Path, metavar="FOLDER", help="made by this; may be there only if it is empty")
    backup.set_defaults(command=_write_backup)


def _write_backup(given: argparse.Namespace) -> None:
    """The folder's path on stdout, what is in it on stderr. Raises InvalidRequest."""
    settings, folder = load_settings(), given.folder
    for part in (settings.flows, settings.data):
        if folder.resolve().is_relative_to(part.resolve()):
            raise InvalidRequest(f"{show_path(folder)} lies in what is copied.", hint="Name a folder elsewhere.")
    try:
        make_folder(folder, mode=0o700)
        copied = list(_copy_files(settings, folder))
    except OSError as error:
        raise InvalidRequest(f"{error.filename or folder}: {error.strerror or error}.") from None
    database = find_sqlite_file(settings.database)
    if database is not None and database.exists():
        to = _find_place(database, settings.root, folder)
        to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy_database(database, to)
        copied.append(to)
    for path in copied:
        tell(f"  {path.relative_to(folder)}")
    if database is None:
        tell("The database is not SQLite's file: copy it with pg_dump.")
    tell(
        "Not in it: what the environment holds, such as OPENAI_API_KEY, and the built-in model, which is fetched again."
    )
    print(show_path(folder))


def _copy_files(settings: Settings, folder: Path) -> Iterator[Path]:
    pictures = (settings.organization.logo, settings.organization.icon)
    for file in (find_config(APP_FOLDER), *filter(None, pictures)):
        if file.is_file():
            to = _find_place(file, settings.root, folder)
            to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield Path(shutil.copy2(file, to))
    database = find_sqlite_file(settings.database)
    beside = [f"{database.name}*"] if database else []  # copied as a database, so that it is whole
    kept_back = shutil.ignore_patterns(*_NOT_COPIED, *beside)
    for part, ignore in ((settings.flows, None), (settings.data, kept_back)):
        if part.is_dir():
            yield shutil.copytree(part, _find_place(part, settings.root, folder), ignore=ignore, dirs_exist_ok=True)


def _find_place(path: Path, root: Path, folder: Path) -> Path:
    """Where it lies beside config.yaml, or by its name alone where that is somewhere else."""
    path, root = path.resolve(), root.resolve()
    return folder / (path.relative_to(root) if path.is_relative_to(root) else path.name)
