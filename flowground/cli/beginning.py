"""`new-project`, `new` and `serve`: a folder with the app, a flow file to begin with, and the server."""

import argparse
import logging
import os
import shlex
import sys
from pathlib import Path

from flowground.cli.commands import Commands
from flowground.cli.output import show_path, tell
from flowground.cli.resources import load_settings, make_folder
from flowground.errors import InvalidRequest
from flowground.flow.templates import TEMPLATES, make_draft, write_flow_file
from flowground.runtime import APP_FOLDER

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
"""What an app consists of beside the package. A wheel holds it in flowground/project, by pyproject.toml."""


def add_to(commands: Commands) -> None:
    project = commands.add_parser(
        "new-project", help="write the app with its pages, flows and config.yaml into a folder"
    )
    project.add_argument("folder", type=Path, metavar="NAME", help="made by this; may be there only if it is empty")
    project.set_defaults(command=_write_project)
    titles = "; ".join(f"{name}: {template.purpose}" for name, template in TEMPLATES.items())
    new = commands.add_parser("new", help="write a flow file to begin with", description=f"Templates are {titles}.")
    new.add_argument("name", metavar="NAME", help='what people read, such as "Order status"; its file becomes its id')
    new.add_argument("--template", choices=list(TEMPLATES), default="chat", help="default: chat")
    new.set_defaults(command=_write_flow)
    serve = commands.add_parser("serve", help="start the app, as `streamlit run app.py` does")
    serve.add_argument("--host", metavar="ADDRESS", help="default: 127.0.0.1, which only this computer reaches")
    serve.add_argument("--port", type=int, metavar="NUMBER", help="default: 8501, or the next free one")
    serve.set_defaults(command=_serve)


def _write_project(given: argparse.Namespace) -> None:
    """The folder's path on stdout, what to do next on stderr. Raises InvalidRequest."""
    source = _PACKAGE / "project" if (_PACKAGE / "project").is_dir() else _PACKAGE.parent
    files = [file for pattern in _PROJECT for file in source.glob(pattern)]  # before the folder is one of them
    try:
        make_folder(given.folder)
        for file in files:
            if file.is_file() and file.suffix != ".pyc":
                to = given.folder / file.relative_to(source)
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(file.read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{error.filename or given.folder}: {error.strerror or error}.") from None
    tell("The app is written. Next:")
    tell(f"  cd {shlex.quote(show_path(given.folder))} && streamlit run app.py")
    print(show_path(given.folder))


def _write_flow(given: argparse.Namespace) -> None:
    """The file's path on stdout, what to do next on stderr. Raises InvalidRequest, also for a file that is there."""
    settings = load_settings()
    draft = make_draft(given.name, given.template)
    path = show_path(settings.flows / draft.file)
    write_flow_file(settings.flows, draft, shown=path)
    tell(f"{draft.name} is written. Change the file as you like; a running app reads it at once. Next:")
    tell("  python -m flowground validate            what is wrong with it")
    tell(f'  python -m flowground run {draft.id} --message "Hello"')
    tell("  python -m flowground serve               the app, with a page for it")
    print(path)


def _serve(given: argparse.Namespace) -> None:
    """Becomes the server, whose signals and exit code are then its own."""
    if config := os.environ.get("FLOWGROUND_CONFIG"):
        os.environ["FLOWGROUND_CONFIG"] = str(Path(config).absolute())
    command = [sys.executable, "-m", "streamlit", "run", str(APP_FOLDER / "app.py")]
    if given.host:
        command += ["--server.address", given.host]
    if given.port:
        command += ["--server.port", str(given.port)]
    logging.disable(logging.WARNING)  # the server logs warnings about settings itself
    load_settings()  # a wrong config.yaml is told here, in one line
    os.chdir(APP_FOLDER)  # where Streamlit looks for .streamlit/config.toml
    os.execv(command[0], command)  # noqa: S606 - Python itself, with arguments of its own and no shell
