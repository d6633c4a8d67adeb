"""A project's folder and files: `new-project`, `new`, `backup`, `model download`, and `serve`, which starts its app."""

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from flowground.app.runtime import APP_FOLDER
from flowground.cli.output import DownloadBar, echo, note, show_path
from flowground.cli.resources import load_settings
from flowground.core.errors import InvalidRequest
from flowground.flows.templates import make_draft, write_flow_file
from flowground.providers import find_own_weights
from flowground.providers.builtin import weights
from flowground.settings import Settings, find_config
from flowground.store.connections import copy_database, find_sqlite_file

_PACKAGE = Path(__file__).parents[1]
_PROJECT = (
    "app.py",
    "config.yaml",
    "pages/**/*",
    "flows/**/*",
    "docs/flow.schema.json",
    "requirements-mcp.txt",
    ".gitignore",
    ".streamlit/config.toml",
)
"""Files of an app beside the package. A wheel has them in flowground/project, by pyproject.toml."""
_NOT_COPIED = ("models", "processes", "*.part")
"""Files of the data folder that are fetched again, or that only running processes need."""


def write_project(folder: Path) -> None:
    """Writes an app into a new folder; its path on stdout, what to do next on stderr. Raises InvalidRequest."""
    source = _PACKAGE / "project" if (_PACKAGE / "project").is_dir() else _PACKAGE.parent
    files = [file for pattern in _PROJECT for file in source.glob(pattern)]  # before the new folder is among them
    _make_folder(folder)
    for file in files:
        if file.is_file() and file.suffix != ".pyc":
            to = folder / file.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(file.read_bytes())
    note(f"The app is written. Next:\n  cd {shlex.quote(show_path(folder))} && streamlit run app.py")
    echo(show_path(folder))


def write_flow(name: str, template: str) -> None:
    """Writes a flow file; its path on stdout, what to do next on stderr. Raises InvalidRequest, also if it exists."""
    settings = load_settings()
    draft = make_draft(name, template)
    path = show_path(settings.flows / draft.file)
    write_flow_file(settings.flows, draft, shown=path)
    note(
        f"{draft.name} is written. Change the file as you like; a running app reads it at once. Next:\n"
        "  python -m flowground validate            what is wrong with it\n"
        f'  python -m flowground run {draft.id} --message "Hello"\n'
        "  python -m flowground serve               the app, with a page for it"
    )
    echo(path)


def serve(host: str | None, port: int | None) -> None:
    """Replaces this process by the server, which then has its signals and exit code."""
    if config := os.environ.get("FLOWGROUND_CONFIG"):
        os.environ["FLOWGROUND_CONFIG"] = str(Path(config).absolute())
    command = [sys.executable, "-m", "streamlit", "run", str(APP_FOLDER / "app.py")]
    if host:
        command += ["--server.address", host]
    if port:
        command += ["--server.port", str(port)]
    logging.disable(logging.WARNING)  # the server logs warnings about settings itself
    try:
        load_settings()  # so that a wrong config.yaml is reported in one line
    finally:
        logging.disable(logging.NOTSET)
    os.chdir(APP_FOLDER)  # where Streamlit looks for .streamlit/config.toml
    os.execv(command[0], command)  # noqa: S606 - Python itself, with arguments of its own and no shell


def back_up(folder: Path) -> None:
    """Copies everything that cannot be fetched or installed again into a new folder.

    Its path is printed on stdout, its content on stderr. Raises InvalidRequest.
    """
    settings = load_settings()
    for part in (settings.flows, settings.data):
        if folder.resolve().is_relative_to(part.resolve()):
            raise InvalidRequest(f"{show_path(folder)} lies in what is copied.", hint="Name a folder elsewhere.")
    database = find_sqlite_file(settings.database)
    _make_folder(folder, mode=0o700)
    copied = list(_copy_files(settings, database, folder))
    if database is not None and database.exists():
        copied.append(_make_place(database, settings.root, folder))
        copy_database(database, copied[-1])
    for path in copied:
        note(f"  {path.relative_to(folder)}")
    if database is None:
        note("The database is not SQLite's file: copy it with pg_dump.")
    note(
        "Not in it: what the environment holds, such as OPENAI_API_KEY, and the built-in model, which is fetched again."
    )
    echo(show_path(folder))


def _copy_files(settings: Settings, database: Path | None, folder: Path) -> Iterator[Path]:
    """Copies all but the database, which is copied separately so that it is consistent."""
    pictures = (settings.organization.logo, settings.organization.icon)
    for file in (find_config(APP_FOLDER), *filter(None, pictures)):
        if file.is_file():
            yield Path(shutil.copy2(file, _make_place(file, settings.root, folder)))
    kept_back = shutil.ignore_patterns(*_NOT_COPIED, *([f"{database.name}*"] if database else []))
    for part, ignore in ((settings.flows, None), (settings.data, kept_back)):
        if part.is_dir():
            to = _make_place(part, settings.root, folder)
            yield shutil.copytree(part, to, ignore=ignore, dirs_exist_ok=True)


def _make_place(path: Path, root: Path, folder: Path) -> Path:
    """The path of a copy: as relative to config.yaml, or by name alone if it lies elsewhere. Its folder is made."""
    path, root = path.resolve(), root.resolve()
    to = folder / (path.relative_to(root) if path.is_relative_to(root) else path.name)
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return to


def _make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Makes a folder. Raises InvalidRequest if there is one that is not empty, OSError."""
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InvalidRequest(f"{show_path(folder)} is not empty.", hint="Name a folder that is not there yet.")


async def download_model() -> None:
    """Fetches the built-in model in advance; its path on stdout, the progress on stderr."""
    settings = load_settings()
    if own := find_own_weights(settings.providers):
        note("config.yaml names a file of its own (providers.local.path): nothing to fetch.")
        echo(str(own))
        return
    chosen = weights.QWEN
    note(f"{chosen.title}, {chosen.size / 1e9:.1f} GB, {chosen.licence}")
    bar = DownloadBar()
    try:
        path = await weights.fetch(settings.data / "models", progress=bar.show)
    finally:
        bar.end()
    echo(str(path))
