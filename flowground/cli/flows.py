"""`validate`, `test` and `schema`: what an author asks before committing a flow file."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from flowground.app.expectations import sum_up, write_junit, write_lines
from flowground.app.flow_tests import FlowTester
from flowground.app.library import KnowledgeEntry, Library
from flowground.app.runtime import make_models
from flowground.cli.output import DownloadBar, echo, note, show_path
from flowground.cli.resources import find_flow, load_settings, read_catalogue
from flowground.components.connectors import MCP
from flowground.components.knowledge import Retrieve
from flowground.components.web import APIRequest
from flowground.core.errors import FlowError, InvalidRequest, Problem, ProviderError
from flowground.core.words import count, list_names
from flowground.flows.checks import ConfigNames, add_warnings, find_doubts, link_flow
from flowground.flows.flow import FlowTestOutcome
from flowground.flows.folder import Catalogue, list_by_address
from flowground.flows.parse import parse_flow
from flowground.flows.schema import write_flow_schema
from flowground.flows.wiring import WiredFlow, wire
from flowground.knowledge import KnowledgeBusy, KnowledgeMissing
from flowground.knowledge.index_folder import IndexFolders
from flowground.providers import Providers, find_fault
from flowground.settings import Settings
from flowground.tools.functions import Functions

_Loaded = dict[Path, WiredFlow]
"""Flows by their files."""


def print_schema() -> None:
    """Prints the JSON Schema of a flow file on stdout."""
    echo(write_flow_schema(), end="")


def validate(flows: Sequence[str], strict: bool) -> int:
    """Prints each mistake and warning as `file:line:column: sentence` on stdout; 1 if there is a mistake.

    A model whose provider is not in this config.yaml is no mistake of the file: it is a note on stderr.
    """
    settings = load_settings()
    loaded, found = _load(flows, settings, _list_names(settings))
    if not loaded and not found:
        raise InvalidRequest(f"There are no flow files in {show_path(settings.flows)}.", hint="`new NAME` writes one.")
    right: list[Path] = []
    models = make_models(settings)
    for path, wired in loaded.items():
        faults = list(_check_models(path, wired, settings))
        certain = [problem for problem, is_certain in faults if is_certain]
        found += certain
        right += [] if certain else [path]
        doubts = [problem for problem, is_certain in faults if not is_certain]
        for problem in (*doubts, *_check_config(path, wired, settings, models)):
            note(f"{problem} The flow loads, and what asks for it fails.")
    for problem in found:
        echo(str(problem))
    problems = [problem for problem in found if not problem.is_warning]
    warnings = len(found) - len(problems)
    if problems:
        note(f"{count(len(problems), 'mistake')} in {count(len({problem.file for problem in problems}), 'file')}.")
        if right:
            note(f"No mistakes in {list_names(map(show_path, right))}.")
        return 1
    also = f", {count(warnings, 'warning')}" if warnings else ""
    note(f"{count(len(right), 'flow')}, no mistakes{also}: {list_names(map(show_path, right))}.")
    return 1 if warnings and strict else 0


async def test(flows: Sequence[str], model: str | None, junit: Path | None) -> int:
    """Prints a line for each test on stdout, below it what was not as expected; 1 if a test failed or there is none."""
    settings = load_settings()
    if model and (fault := find_fault(model, settings.providers)):
        raise InvalidRequest(fault.sentence)
    loaded, found = _load(flows, settings)
    broken: dict[str, str] = {}
    for problem in found:
        if not problem.is_warning:
            broken[problem.file] = "\n".join(filter(None, (broken.get(problem.file), str(problem))))
    for problems in broken.values():
        echo(problems)
    outcomes = await _run_tests({show_path(path): wired for path, wired in loaded.items()}, settings, model)
    if junit:
        await asyncio.to_thread(junit.write_bytes, write_junit(outcomes, broken))
    untested = [wired.id for wired in loaded.values() if not wired.flow.tests]
    return _sum_up(outcomes, broken, untested)


def _sum_up(outcomes: Sequence[FlowTestOutcome], broken: Iterable[str], untested: Iterable[str]) -> int:
    """Prints a summary; returns the exit code."""
    if untested:
        note(f"Without tests: {list_names(untested)}.")
    if broken:
        note(f"Not tested, since there are mistakes in it: {list_names(broken)}.")
    if outcomes:
        note(sum_up(outcomes))
    elif not broken:
        note("There are no tests: a flow's stand under `tests:` in its file.")
    return 0 if outcomes and not broken and all(outcome.is_passed for outcome in outcomes) else 1


def _load(named: Sequence[str], settings: Settings, names: ConfigNames | None = None) -> tuple[_Loaded, list[Problem]]:
    """The named flows, by default all of the folder, as a server would load them; and their mistakes and warnings.

    Two flows with one address are a mistake too. Raises InvalidRequest for a flow that is not there.
    """
    if not settings.flows.is_dir() and not named:
        shown = show_path(settings.flows)
        raise InvalidRequest(f"There is no folder {shown}.", hint="`flows` in config.yaml names it.")
    catalogue = read_catalogue(settings, names)
    if named:
        return _load_files([_find_file(flow, catalogue) for flow in named], catalogue, settings, names)
    mistakes = ((file, error.problems) for file, error in catalogue.list_problems().items())
    found = [*mistakes, *catalogue.list_warnings().items()]
    placed = [problem for file, problems in found for problem in _place(settings.flows / file, problems)]
    return {settings.flows / wired.flow.file: wired for wired in catalogue.list_flows().values()}, placed


def _find_file(flow: str, catalogue: Catalogue) -> Path:
    """The path itself, or the file of the flow with this id or endpoint name. Raises InvalidRequest."""
    path = Path(flow)
    if path.suffix or path.name != flow:
        return path
    broken = catalogue.find_broken_file(flow)
    return catalogue.folder / (broken[0] if broken else find_flow(catalogue, flow).flow.file)


def _load_files(
    files: Iterable[Path], catalogue: Catalogue, settings: Settings, names: ConfigNames | None
) -> tuple[_Loaded, list[Problem]]:
    right: _Loaded = {}
    found: list[Problem] = []
    for path in files:
        try:
            wired = _read_flow(path, settings, names)
            is_served = path.resolve().parent == settings.flows.resolve()
            if is_served and (conflict := catalogue.list_problems().get(path.name)):  # another file has its address
                raise conflict
        except FlowError as error:
            found += _place(path, error.problems)
        else:
            right[path] = wired
            found += _place(path, wired.flow.warnings)
    if any(wired.runs for wired in right.values()):
        known = list_by_address([*catalogue.list_flows().values(), *right.values()])
        right = {path: link_flow(wired, known) for path, wired in right.items()}
        for path, wired in right.items():
            found += _place(path, find_doubts(wired, known))
    return right, found


def _read_flow(path: Path, settings: Settings, names: ConfigNames | None) -> WiredFlow:
    """Raises FlowError, OSError."""
    flow = parse_flow(path.read_bytes(), path.name)
    return add_warnings(wire(flow, servers=settings.mcp_servers), names)


def _place(path: Path, problems: Iterable[Problem]) -> list[Problem]:
    """The problems with the file named from the working directory, as terminals and editors open it."""
    return [replace(problem, file=show_path(path.with_name(problem.file))) for problem in problems]


def _list_names(settings: Settings) -> ConfigNames:
    """Names of config.yaml for flows; modules of functions are imported once a flow names one. Raises ConfigError."""
    load = cache(lambda: Functions(settings.functions, settings.root))
    return ConfigNames(settings.knowledge, settings.databases, lambda name: load().find(name))


def _check_models(path: Path, wired: WiredFlow, settings: Settings) -> Iterator[tuple[Problem, bool]]:
    """Models that cannot answer, and whether that is a mistake of the file, whatever config.yaml has."""
    for name, component in wired.components.items():
        for model in filter(None, component.list_models()):
            if fault := find_fault(model, settings.providers):
                yield _find_problem(path, wired, name, "model", fault.sentence, model), fault.is_certain


def _check_config(path: Path, wired: WiredFlow, settings: Settings, models: Providers) -> Iterator[Problem]:
    """What this config.yaml lacks: models that call tools, MCP servers, addresses that flows may call."""
    for name, component in wired.components.items():
        for wanted in component.list_models() if name in wired.tools else ():
            with suppress(ProviderError):
                provider, model = models.resolve(wanted)
                if not provider.takes(model).tools:
                    says = f"The model {wanted or settings.default_model} calls no tools."
                    yield _find_problem(path, wired, name, "tools", says, wanted)
        if isinstance(component, MCP) and component.server not in settings.mcp_servers:
            says = f"There is no MCP server `{component.server}` under `mcp_servers:` of config.yaml."
            yield _find_problem(path, wired, name, "server", says, component.server)
        if isinstance(component, APIRequest) and (bar := settings.outgoing.find_refusal(component.url_input)):
            yield _find_problem(path, wired, name, "url_input", bar, component.url_input)


def _find_problem(path: Path, wired: WiredFlow, name: str, field: str, says: str, value: str | None) -> Problem:
    """A problem at the place of a component's field, or of the component if the file does not have the field."""
    spec = wired.flow.components[name]
    at = spec.places[field].value if field in spec.places else spec.position
    return Problem(show_path(path), at.line, at.column, says, value)


async def _run_tests(flows: Mapping[str, WiredFlow], settings: Settings, model: str | None) -> list[FlowTestOutcome]:
    """Runs the tests and prints each outcome; files are named from the working directory."""
    outcomes: list[FlowTestOutcome] = []
    bar = DownloadBar()
    models = make_models(settings)
    folders = IndexFolders(settings.data / "knowledge")
    served = Catalogue(settings.flows)
    library = Library(served, settings.knowledge, folders, find_embeddings=models.find_embeddings)
    try:
        async with FlowTester(
            settings,
            models,
            model=model,
            on_progress=lambda event: bar.show(event.received, event.total),
            look_ups=partial(library.make_look_up, words_only=True),
        ) as tester:
            await _index(library, flows.values())
            for file, wired in flows.items():
                for outcome in await tester.run_tests(wired):
                    bar.end()
                    outcomes.append(replace(outcome, file=file))
                    echo("\n".join(write_lines(outcomes[-1])))
    finally:
        bar.end()
        await library.close()
        await models.close()
    return outcomes


async def _index(library: Library, flows: Iterable[WiredFlow]) -> None:
    """Indexes what changed in the knowledge of these flows.

    Knowledge with uploads, pages or vectors stays as the app indexed it; only if it is not indexed yet, its files are.
    """
    if not any(isinstance(component, Retrieve) for wired in flows for component in wired.components.values()):
        return
    tested = {wired.id for wired in flows}
    for entry in library.list_all():
        owner, slash, _ = entry.address.partition("/")
        if slash and owner not in tested:
            continue
        section, words = entry.section, entry.keep_words()
        if (section.uploads or section.urls or section.embeddings) and await _is_indexed(entry):
            continue
        if await library.is_outdated(words):
            with suppress(KnowledgeBusy):  # the app indexes it, and a question waits for that
                await library.index(words)


async def _is_indexed(entry: KnowledgeEntry) -> bool:
    try:
        await entry.knowledge.list_files()
    except KnowledgeMissing:
        return False
    return True
