"""`validate` and `schema`: what an author asks before committing a flow file."""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from flowground.cli.commands import Commands
from flowground.cli.output import show_path, tell
from flowground.cli.resources import load_settings
from flowground.errors import FlowError, InvalidRequest, Problem
from flowground.flow.parse import parse_flow
from flowground.loader import Catalogue
from flowground.providers import find_fault
from flowground.schema import build_flow_schema
from flowground.settings import Settings
from flowground.wiring import WiredFlow, wire
from flowground.words import count, list_names


def add_to(commands: Commands) -> None:
    validate = commands.add_parser("validate", help="find mistakes in flow files")
    validate.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: all files of the flows folder")
    validate.set_defaults(command=_validate)
    schema = commands.add_parser("schema", help="print the JSON Schema of a flow file, for editors")
    schema.set_defaults(command=_print_schema)


def _validate(given: argparse.Namespace) -> int:
    """Each mistake as `file:line:column: sentence` on stdout; 1 when there is any.

    A model whose provider another config.yaml may have is no mistake of the file: it is told on stderr.
    """
    settings = load_settings()
    loaded, problems = _check_files(given.files, settings) if given.files else _check_folder(settings)
    right: list[Path] = []
    for path, wired in loaded.items():
        certain, others = _check_models(path, wired, settings)
        problems += certain
        right += [] if certain else [path]
        for problem in others:
            tell(f"{problem} The flow loads, and its runs fail.")
    for problem in problems:
        print(problem)
    if problems:
        tell(f"{count(len(problems), 'mistake')} in {count(len({problem.file for problem in problems}), 'file')}.")
        if right:
            tell(f"No mistakes in {list_names(map(show_path, right))}.")
        return 1
    tell(f"{count(len(right), 'flow')}, no mistakes: {list_names(map(show_path, right))}.")
    return 0


def _print_schema(_: argparse.Namespace) -> None:
    print(json.dumps(build_flow_schema(), indent=2, ensure_ascii=False))


_Loaded = dict[Path, WiredFlow]


def _check_folder(settings: Settings) -> tuple[_Loaded, list[Problem]]:
    """As a server would load it: two flows with one address are a mistake too."""
    if not settings.flows.is_dir():
        raise InvalidRequest(
            f"There is no folder {show_path(settings.flows)}.", hint="`flows` in config.yaml names it."
        )
    catalogue = Catalogue(settings.flows, max_bytes=settings.limits.flow_bytes)
    right = {settings.flows / wired.flow.file: wired for wired in catalogue.list_flows().values()}
    wrong = catalogue.list_problems()
    if not right and not wrong:
        raise InvalidRequest(f"There are no flow files in {show_path(settings.flows)}.", hint="`new NAME` writes one.")
    return right, _place((settings.flows / file, error) for file, error in wrong.items())


def _check_files(files: list[Path], settings: Settings) -> tuple[_Loaded, list[Problem]]:
    right: _Loaded = {}
    wrong: list[tuple[Path, FlowError]] = []
    for path in files:
        try:
            flow = parse_flow(path.read_bytes(), path.name, max_bytes=settings.limits.flow_bytes)
            right[path] = wire(flow)
        except FlowError as error:
            wrong.append((path, error))
        except OSError as error:
            raise InvalidRequest(f"{path}: {error.strerror}") from None
    return right, _place(wrong)


def _check_models(path: Path, wired: WiredFlow, settings: Settings) -> tuple[list[Problem], list[Problem]]:
    """Models that cannot answer: by the file alone, and by this config.yaml."""
    found: dict[bool, list[Problem]] = {True: [], False: []}
    for name, component in wired.components.items():
        spec = wired.flow.components[name]
        for model in filter(None, component.list_models()):
            if fault := find_fault(model, settings.providers):
                at = spec.places["model"].value if "model" in spec.places else spec.position
                problem = Problem(show_path(path), at.line, at.column, fault.sentence, model)
                found[fault.is_certain].append(problem)
    return found[True], found[False]


def _place(wrong: Iterable[tuple[Path, FlowError]]) -> list[Problem]:
    """The mistakes, their files named from the working directory, as terminals and editors open them."""
    return [
        replace(problem, file=show_path(path.with_name(problem.file)))
        for path, error in wrong
        for problem in error.problems
    ]
