"""`validate` and `schema`: what an author asks before committing a flow file."""

import argparse
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from flowground.cli.output import tell
from flowground.cli.resources import Commands, load_settings
from flowground.errors import FlowError, InvalidRequest, Problem
from flowground.flow.parse import parse_flow
from flowground.loader import Catalogue
from flowground.schema import build_flow_schema
from flowground.settings import Settings
from flowground.wiring import wire
from flowground.words import count


def add_to(commands: Commands) -> None:
    validate = commands.add_parser("validate", help="find the mistakes in flow files")
    validate.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: all files of the flows folder")
    validate.set_defaults(command=_validate)
    schema = commands.add_parser("schema", help="print the JSON Schema of a flow file, for editors")
    schema.set_defaults(command=_print_schema)


def _validate(given: argparse.Namespace) -> int:
    """Each mistake as `file:line:column: sentence` on stdout; 1 when there is any."""
    settings = load_settings()
    checked, problems = _check_files(given.files, settings) if given.files else _check_folder(settings)
    for problem in problems:
        print(problem)
    if problems:
        tell(f"{count(len(problems), 'mistake')} in {count(len({problem.file for problem in problems}), 'file')}.")
        return 1
    tell(f"{count(len(checked), 'flow')}, no mistakes.")
    return 0


def _print_schema(_: argparse.Namespace) -> None:
    print(json.dumps(build_flow_schema(), indent=2, ensure_ascii=False))


def _check_folder(settings: Settings) -> tuple[list[str], list[Problem]]:
    """As a server would load it: two flows with one address are a mistake too."""
    if not settings.flows.is_dir():
        raise InvalidRequest(f"There is no folder {_shorten(settings.flows)}.", hint="`flows` in config.yaml names it.")
    catalogue = Catalogue(settings.flows, max_bytes=settings.limits.flow_bytes)
    flows, wrong = list(catalogue.list_flows()), catalogue.list_problems()
    if not flows and not wrong:
        raise InvalidRequest(f"There are no flow files in {_shorten(settings.flows)}.")
    return flows, _place((settings.flows / file, error) for file, error in wrong.items())


def _check_files(files: list[Path], settings: Settings) -> tuple[list[str], list[Problem]]:
    checked: list[str] = []
    wrong: list[tuple[Path, FlowError]] = []
    for path in files:
        try:
            flow = parse_flow(path.read_bytes(), path.name, max_bytes=settings.limits.flow_bytes)
            checked.append(wire(flow).id)
        except FlowError as error:
            wrong.append((path, error))
        except OSError as error:
            raise InvalidRequest(f"{path}: {error.strerror}") from None
    return checked, _place(wrong)


def _place(wrong: Iterable[tuple[Path, FlowError]]) -> list[Problem]:
    """The mistakes, their files named from the working directory, as terminals and editors open them."""
    return [
        replace(problem, file=_shorten(path.with_name(problem.file)))
        for path, error in wrong
        for problem in error.problems
    ]


def _shorten(path: Path) -> str:
    absolute = os.path.abspath(path)
    relative = os.path.relpath(absolute)
    return absolute if relative.startswith("..") else relative
