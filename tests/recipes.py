"""CONTRIBUTING's recipes, followed with something small: each step as what a person would write into the tree."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.recipe_files import PARROT, PARROT_SERVER, SHOUT, STATUS
from tests.servers import clean_environment

PYTEST = ("pytest", "-q", "-p", "anyio.pytest_plugin", "-p", "pytest_timeout")


@dataclass(frozen=True)
class Step:
    """`write` does it in a copy of the tree.

    `named_by` are the arguments of the test that fails without it and prints `says`. Without one, only who reads the
    change can see that it is missing.
    """

    write: Callable[[Path], None]
    named_by: tuple[str, ...] = ()
    says: str = ""


@dataclass(frozen=True)
class Recipe:
    """`done` are the tests that show that it works, once all steps are done."""

    steps: tuple[Step, ...]
    done: tuple[str, ...]


def run_python(tree: Path, arguments: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """`python -m …` in a copy of the tree; pytest only with the plugin that these tests need, in half the time."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=tree,
        env=clean_environment(PYTHONDONTWRITEBYTECODE="1", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _file(name: str, text: str) -> Callable[[Path], None]:
    """Writes a new file."""

    def write(tree: Path) -> None:
        assert not (tree / name).exists()
        (tree / name).write_text(text, "utf-8")

    return write


def _lines(*changes: tuple[str, str, str]) -> Callable[[Path], None]:
    """Puts text behind a place that a file has once: file, place, text."""

    def write(tree: Path) -> None:
        for name, place, text in changes:
            before = (tree / name).read_text("utf-8")
            assert before.count(place) == 1, f"{name} has {place!r} {before.count(place)} times"
            (tree / name).write_text(before.replace(place, place + text), "utf-8")

    return write


def _generate(tree: Path) -> None:
    """What `make fix` does with generated pages."""
    run_python(tree, ["docs.generate"])


def _tests(*names: str) -> tuple[str, ...]:
    return (*PYTEST, *names)


_GENERATED = _tests("tests/test_docs.py", "-k", "generated_pages")
_COMPONENTS = "flowground/components/__init__.py"
_PROVIDERS = "flowground/providers/__init__.py"
_PAGES = "tests/test_pages_each.py"

RECIPES = {
    "a component type": Recipe(
        (
            Step(
                _file("flowground/components/shout.py", SHOUT),
                _GENERATED,
                "No module named 'flowground.components.shout'",
            ),
            Step(
                _lines(
                    (_COMPONENTS, "import Prompt\n", "from flowground.components.shout import Shout\n"),
                    (_COMPONENTS, "        MessageHistory,\n", "        Shout,\n"),
                ),
                _tests("tests/test_components.py", "-k", "stands_in_the_table"),
                "flowground.components.shout.Shout",
            ),
            Step(
                _lines(
                    (
                        "tests/test_components.py",
                        "IN_A_FLOW = {\n",
                        '    "Shout": ("It: {type: Shout, input_value: hey}", "HEY!"),\n',
                    )
                ),
                _tests("tests/test_components.py", "-k", "each_type_runs and Shout"),
                "tests/test_components.py has no flow with Shout in IN_A_FLOW",
            ),
            Step(_generate, _GENERATED, "docs/components.md"),
        ),
        ("tests/test_components.py", "tests/test_added.py"),
    ),
    "a provider": Recipe(
        (
            Step(
                _file("flowground/providers/parrot.py", PARROT),
                _GENERATED,
                "No module named 'flowground.providers.parrot'",
            ),
            Step(
                _lines(
                    (
                        _PROVIDERS,
                        "OllamaSettings, OpenAISettings\n",
                        "from flowground.providers.parrot import ParrotSettings\n",
                    ),
                    (_PROVIDERS, "    | ScriptedSettings", "\n    | ParrotSettings"),
                ),
                _tests("tests/test_providers.py", "-k", "stands_in_the_table"),
                "flowground.providers.parrot.ParrotSettings",
            ),
            Step(
                _lines(
                    (
                        "tests/test_providers.py",
                        'behind `provider:model`."""\n\n',
                        "import asyncio\n",
                    ),
                    ("tests/test_providers.py", '        yield {"path": "mine.gguf"}, "tiny: Hi"\n', PARROT_SERVER),
                    ("tests/test_providers.py", '    "scripted": no_server,\n', '    "parrot": parrot,\n'),
                ),
                _tests("tests/test_providers.py", "-k", "answers_by and parrot"),
                "has nothing in SERVERS that answers the kind 'parrot'",
            ),
            Step(
                _lines(
                    (
                        "config.yaml",
                        "  #   delay: 0                        # seconds before each piece\n",
                        "  # polly:\n  #   type: parrot\n  #   greeting: Ahoy                  # what it says first\n",
                    )
                ),
                _tests("tests/test_settings.py", "-k", "shows_every"),
                "providers.NAME.greeting",
            ),
            Step(_generate, _GENERATED, "docs/settings.md"),
        ),
        ("tests/test_providers.py", "tests/test_settings.py"),
    ),
    "a setting": Recipe(
        (
            Step(
                _lines(
                    (
                        "flowground/settings/organization.py",
                        "class OrganizationSettings(ConfigSection):\n",
                        '    motto: str = Field("", max_length=200, description="What the organization lives by.")\n',
                    )
                ),
                _tests("tests/test_settings.py", "-k", "says_the_defaults"),
                "organization.motto: unknown setting",
            ),
            Step(
                _lines(("config.yaml", "organization:\n", '  motto: ""  # what you live by\n')),
                _tests("tests/test_settings.py", "-k", "shows_every"),
                "organization.motto",
            ),
            Step(
                _file(
                    "tests/test_added.py",
                    "from flowground.settings import Settings\nfrom tests.test_settings import load\n\n\n"
                    "def test_a_motto_is_read(tmp_path):\n"
                    '    settings: Settings = load(tmp_path, "organization: {motto: Ever upward}")\n'
                    '    assert settings.organization.motto == "Ever upward"\n',
                ),
                _tests("tests/test_settings.py", "-k", "tried_by_a_test"),
                "organization.motto",
            ),
            Step(_generate, _GENERATED, "docs/settings.md"),
        ),
        ("tests/test_settings.py", "tests/test_added.py"),
    ),
    "a page": Recipe(
        (
            Step(
                _file("pages/status.py", STATUS),
                _tests("tests/test_pages_app.py", "-k", "home_shows and router"),
                "status.py",
            ),
            Step(
                _lines(
                    (
                        "flowground/ui/shell/navigation.py",
                        '    _ListedPage("api_access", "API access", "code"),\n',
                        '    _ListedPage("status", "Status"),\n',
                    )
                ),
                _tests(_PAGES, "-k", "in_the_navigation and status"),
                "status",
            ),
            Step(
                _lines(
                    (
                        "pages/status.py",
                        "import streamlit as st\n",
                        "\nfrom flowground.ui.page.caller import require_visitor\n\nrequire_visitor()\n",
                    )
                ),
                _tests(_PAGES, "-k", "asks_who_is_here and status"),
                "pages/status.py drew something for nobody",
            ),
            Step(
                _lines((_PAGES, "OPENED = {\n", '    "status": "All is well.",\n')),
                _tests(_PAGES, "-k", "each_page_opens and status"),
                "tests/test_pages_each.py has no words of status in OPENED",
            ),
        ),
        (_PAGES, "tests/test_gate.py", "-k", "first_visitors or test_each"),
    ),
}
