"""`validate` and `schema`: what an author asks before committing a flow file."""

import argparse
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from flowground.cli.commands import Commands
from flowground.cli.output import show_path, tell
from flowground.cli.resources import find_flow, load_settings, read_catalogue, read_flow
from flowground.components.connectors import MCP
from flowground.components.web import APIRequest
from flowground.errors import FlowError, InvalidRequest, Problem, ProviderError
from flowground.functions import Functions
from flowground.loader.links import find_doubts, link_flow
from flowground.loader.shelf import list_by_address
from flowground.loader.unmeant import ConfigNames
from flowground.providers import Providers, find_fault
from flowground.schema import write_flow_schema
from flowground.settings import Settings
from flowground.wiring import WiredFlow
from flowground.words import count, list_names


def add_to(commands: Commands) -> None:
    validate = commands.add_parser("validate", help="find mistakes in flow files, and words that should be changed")
    validate.add_argument(
        "flows", nargs="*", metavar="FLOW", help="id, endpoint name or file; default: all files of the flows folder"
    )
    validate.add_argument("--strict", action="store_true", help="end with 1 where there are warnings, too")
    validate.set_defaults(command=_validate)
    schema = commands.add_parser("schema", help="print the JSON Schema of a flow file, for editors")
    schema.set_defaults(command=_print_schema)


def _validate(given: argparse.Namespace) -> int:
    """Each mistake and each warning as `file:line:column: sentence` on stdout; 1 when there is a mistake.

    A model whose provider another config.yaml may have is no mistake of the file: it is told on stderr.
    """
    settings = load_settings()
    files = [_find_file(flow, settings) for flow in given.flows]
    loaded, found = _check_files(files, settings) if files else _check_folder(settings)
    right: list[Path] = []
    for path, wired in loaded.items():
        certain, others = _check_models(path, wired, settings)
        found += certain
        right += [] if certain else [path]
        for problem in others:
            tell(f"{problem} The flow loads, and what asks for it fails.")
    for problem in found:
        print(problem)
    problems = [problem for problem in found if not problem.is_warning]
    warnings = len(found) - len(problems)
    if problems:
        tell(f"{count(len(problems), 'mistake')} in {count(len({problem.file for problem in problems}), 'file')}.")
        if right:
            tell(f"No mistakes in {list_names(map(show_path, right))}.")
        return 1
    also = f", {count(warnings, 'warning')}" if warnings else ""
    tell(f"{count(len(right), 'flow')}, no mistakes{also}: {list_names(map(show_path, right))}.")
    return 1 if warnings and given.strict else 0


def _print_schema(_: argparse.Namespace) -> None:
    print(write_flow_schema(), end="")


_Loaded = dict[Path, WiredFlow]


def _check_folder(settings: Settings) -> tuple[_Loaded, list[Problem]]:
    """As a server would load it, with mistakes and warnings: two flows with one address are a mistake too."""
    if not settings.flows.is_dir():
        raise InvalidRequest(
            f"There is no folder {show_path(settings.flows)}.", hint="`flows` in config.yaml names it."
        )
    catalogue = read_catalogue(settings, _list_names(settings))
    right = {settings.flows / wired.flow.file: wired for wired in catalogue.list_flows().values()}
    wrong = catalogue.list_problems()
    if not right and not wrong:
        raise InvalidRequest(f"There are no flow files in {show_path(settings.flows)}.", hint="`new NAME` writes one.")
    found = {file: error.problems for file, error in wrong.items()}
    for file, warnings in catalogue.list_warnings().items():
        found[file] = (*found.get(file, ()), *warnings)
    return right, [problem for file, problems in found.items() for problem in _place(settings.flows / file, problems)]


def _find_file(flow: str, settings: Settings) -> Path:
    """Of a path as it is; of an id or endpoint name the file in the flows folder. Raises InvalidRequest."""
    path = Path(flow)
    if path.suffix or path.name != flow:
        return path
    catalogue = read_catalogue(settings)
    broken = catalogue.find_broken_file(flow)
    return settings.flows / (broken[0] if broken else find_flow(catalogue, flow).flow.file)


def _check_files(files: list[Path], settings: Settings) -> tuple[_Loaded, list[Problem]]:
    right: _Loaded = {}
    found: list[Problem] = []
    names = _list_names(settings)
    for path in files:
        try:
            right[path] = read_flow(path, settings, names)
            found += _place(path, right[path].flow.warnings)
        except FlowError as error:
            found += _place(path, error.problems)
    served = [path for path in right if path.resolve().parent == settings.flows.resolve()]
    catalogue = read_catalogue(settings)
    for path in served:
        if conflict := catalogue.list_problems().get(path.name):  # another file has its address
            found += _place(path, conflict.problems)
            del right[path]
    if any(wired.runs for wired in right.values()):
        known = list_by_address([*catalogue.list_flows().values(), *right.values()])
        for path, wired in right.items():
            found += _place(path, find_doubts(link_flow(wired, known), known))
    return right, found


def _list_names(settings: Settings) -> ConfigNames:
    """What flows may name; modules of functions are imported once a flow names one. Raises ConfigError."""
    load = cache(lambda: Functions(settings.functions, settings.root))
    return ConfigNames(settings.knowledge, settings.databases, lambda name: load().find(name))


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
    for check in (_check_tools, _check_servers, _check_addresses):
        found[False] += check(path, wired, settings)
    return found[True], found[False]


def _check_tools(path: Path, wired: WiredFlow, settings: Settings) -> Iterable[Problem]:
    """Agents whose models call no tools."""
    models = Providers(settings.providers, default_model=settings.default_model, folder=settings.data)
    for name in wired.tools:
        for wanted in wired.components[name].list_models():
            with suppress(ProviderError):
                provider, model = models.resolve(wanted)
                if not provider.takes(model).tools:
                    at = wired.flow.components[name].places["tools"].value
                    says = f"The model {wanted or settings.default_model} calls no tools."
                    yield Problem(show_path(path), at.line, at.column, says, wanted)


def _check_servers(path: Path, wired: WiredFlow, settings: Settings) -> Iterable[Problem]:
    """MCP servers that config.yaml does not name."""
    for name, component in wired.components.items():
        if isinstance(component, MCP) and component.server not in settings.mcp_servers:
            at = wired.flow.components[name].places["server"].value
            says = f"There is no MCP server `{component.server}` under `mcp_servers:` of config.yaml."
            yield Problem(show_path(path), at.line, at.column, says, component.server)


def _check_addresses(path: Path, wired: WiredFlow, settings: Settings) -> Iterable[Problem]:
    """Addresses of API Requests that this config.yaml does not let a flow ask, as far as the file alone says it."""
    for name, component in wired.components.items():
        if isinstance(component, APIRequest) and (says := settings.outgoing.find_bar(component.url_input)):
            at = wired.flow.components[name].places["url_input"].value
            yield Problem(show_path(path), at.line, at.column, says, component.url_input)


def _place(path: Path, problems: Iterable[Problem]) -> list[Problem]:
    """What was found in a file, which is named from the working directory, as terminals and editors open it."""
    return [replace(problem, file=show_path(path.with_name(problem.file))) for problem in problems]
