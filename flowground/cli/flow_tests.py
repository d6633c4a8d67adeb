"""`test`: says to flows what their files' tests say, and tells what is not as expected."""

import argparse
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from flowground.cli.commands import Commands
from flowground.cli.output import ProgressBar, show_path, tell
from flowground.cli.resources import find_flow, load_settings, name_file, read_catalogue, read_flow
from flowground.errors import FlowError, InvalidRequest
from flowground.flow.tested import FlowTestOutcome
from flowground.flow_tests import open_tester
from flowground.flow_tests.report import sum_up, write_junit, write_lines
from flowground.knowledge import IndexHomes, KnowledgeBusy, KnowledgeMissing
from flowground.library import Library, Shelved
from flowground.loader import Catalogue
from flowground.loader.links import link_flow
from flowground.loader.shelf import list_by_address
from flowground.providers import Providers, find_fault
from flowground.settings import Settings
from flowground.wiring import WiredFlow
from flowground.words import list_names


def add_to(commands: Commands) -> None:
    test = commands.add_parser("test", help="run the tests that flow files hold")
    test.add_argument(
        "flows", nargs="*", metavar="FLOW", help="id, endpoint name or file; default: all flows that have tests"
    )
    test.add_argument(
        "--model",
        metavar="PROVIDER:MODEL",
        help="ask this model, whatever the tests say and reply; default: the scripted one, which needs no network",
    )
    test.add_argument("--junit", type=Path, metavar="FILE", help="write the outcomes there too, as JUnit's XML")
    test.set_defaults(command=_run)


async def _run(given: argparse.Namespace) -> int:
    """A line for each test on stdout, below it what was not as expected; 1 where anything failed, or there is none."""
    settings = load_settings()
    if given.model and (fault := find_fault(given.model, settings.providers)):
        raise InvalidRequest(fault.sentence)
    flows, broken = _find_flows(given.flows, settings)
    for wrong in broken.values():
        print(wrong)
    outcomes = await _run_tests(flows, settings, given.model)
    if given.junit:
        _save(given.junit, write_junit(outcomes, broken))
    return _tell_end(outcomes, broken, [wired.id for wired in flows.values() if not wired.flow.tests])


async def _run_tests(flows: Mapping[str, WiredFlow], settings: Settings, model: str | None) -> list[FlowTestOutcome]:
    """Prints each outcome; the files are named from the working directory."""
    outcomes: list[FlowTestOutcome] = []
    bar = ProgressBar()
    models = Providers(
        settings.providers,
        default_model=settings.default_model,
        folder=settings.data / "models",
    )
    library = Library(
        Catalogue(settings.flows),
        settings.knowledge,
        IndexHomes(settings.data / "knowledge"),
        find_embeddings=models.find_embeddings,
    )
    try:
        async with (
            open_tester(
                settings,
                models,
                model=model,
                on_progress=lambda event: bar.show(event.received, event.total),
                look_ups=partial(library.make_look_up, words_only=True),
            ) as tester,
        ):
            await _index(library, flows)
            for file, wired in flows.items():
                for outcome in await tester.run_tests(wired):
                    bar.end()
                    outcomes.append(replace(outcome, file=file))
                    print("\n".join(write_lines(outcomes[-1])), flush=True)
    finally:
        bar.end()
        await library.close()
        await models.close()
    return outcomes


async def _index(library: Library, flows: Mapping[str, WiredFlow]) -> None:
    """Reads what changed in the files that these flows look things up in.

    What takes uploads, names pages or has vectors is as the app left it; before there is an app, its files alone.
    """
    if not any(
        component.type_name == "Retrieve" for wired in flows.values() for component in wired.components.values()
    ):
        return
    tested = {wired.id for wired in flows.values()}
    for shelved in library.list_all():
        owner, slash, _ = shelved.address.partition("/")
        if slash and owner not in tested:
            continue
        section, words = shelved.section, shelved.keep_words()
        if (section.uploads or section.urls or section.embeddings) and await _is_indexed(shelved):
            continue
        if await library.is_outdated(words):
            with suppress(KnowledgeBusy):  # the app does it, and a question waits for it
                await library.index(words)


async def _is_indexed(shelved: Shelved) -> bool:
    try:
        await shelved.knowledge.list_files()
    except KnowledgeMissing:
        return False
    return True


def _tell_end(outcomes: list[FlowTestOutcome], broken: dict[str, str], untested: list[str]) -> int:
    if untested:
        tell(f"Without tests: {list_names(untested)}.")
    if broken:
        tell(f"Not tested, since there are mistakes in it: {list_names(broken)}.")
    if outcomes:
        tell(sum_up(outcomes))
    elif not broken:
        tell("There are no tests: a flow's stand under `tests:` in its file.")
    return 0 if outcomes and not broken and all(outcome.is_passed for outcome in outcomes) else 1


def _find_flows(named: list[str], settings: Settings) -> tuple[dict[str, WiredFlow], dict[str, str]]:
    """The flows by their files, and the files that cannot be read, with their mistakes. Raises InvalidRequest."""
    catalogue = read_catalogue(settings)
    right: dict[str, WiredFlow] = {}
    wrong: dict[str, FlowError] = {}
    if not named:
        wrong = {show_path(settings.flows / file): error for file, error in catalogue.list_problems().items()}
        found = catalogue.list_flows().values()
        right = {show_path(settings.flows / wired.flow.file): wired for wired in found}
    for address in named:
        if not address.endswith((".yaml", ".yml")):
            if broken := catalogue.find_broken_file(address):
                wrong[show_path(settings.flows / broken[0])] = broken[1]
                continue
            wired = find_flow(catalogue, address)
            right[show_path(settings.flows / wired.flow.file)] = wired
            continue
        path = Path(address)
        try:
            right[show_path(path)] = read_flow(path, settings)
        except FlowError as error:
            wrong[show_path(path)] = error
    if any(wired.runs for wired in right.values()):
        known = list_by_address([*catalogue.list_flows().values(), *right.values()])
        right = {file: link_flow(wired, known) for file, wired in right.items()}
    return right, {file: name_file(error, file).message for file, error in wrong.items()}


def _save(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InvalidRequest(f"{show_path(path)}: {error.strerror}") from None
