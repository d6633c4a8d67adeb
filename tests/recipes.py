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


def _lines(name: str, *changes: tuple[str, str]) -> Callable[[Path], None]:
    """Puts texts behind places that the file has once."""

    def write(tree: Path) -> None:
        text = (tree / name).read_text("utf-8")
        for place, added in changes:
            assert text.count(place) == 1, f"{name} has {place!r} {text.count(place)} times"
            text = text.replace(place, place + added)
        (tree / name).write_text(text, "utf-8")

    return write


def _generate(tree: Path) -> None:
    """What `make fix` does with generated pages."""
    run_python(tree, ["docs.generate"])


def _tests(name: str, words: str) -> tuple[str, ...]:
    """Those of this file that have the words in their names."""
    return (*PYTEST, f"tests/{name}.py", "-k", words)


_GENERATED = _tests("test_docs", "generated_pages")
_COMPONENT_TYPE = (
    Step(_file("flowground/components/shout.py", SHOUT), _GENERATED, "cannot import name 'shout'"),
    Step(
        _lines(
            "flowground/components/__init__.py", ("    routers,\n", "    shout,\n"), ("_MODULES = (io, ", "shout, ")
        ),
        _tests("test_components", "stands_in_the_table"),
        "flowground.components.shout.Shout",
    ),
    Step(
        _lines(
            "tests/test_components.py",
            ("IN_A_FLOW = {\n", '    "Shout": ("It: {type: Shout, input_value: hey}", "HEY!"),\n'),
        ),
        _tests("test_components", "each_type_runs and Shout"),
        "tests/test_components.py has no flow with Shout in IN_A_FLOW",
    ),
    Step(_generate, _GENERATED, "docs/components.md"),
)
_PROVIDER = (
    Step(_file("flowground/providers/parrot.py", PARROT), _GENERATED, "No module named 'flowground.providers.parrot'"),
    Step(
        _lines(
            "flowground/providers/__init__.py",
            ("OllamaSettings, OpenAISettings\n", "from flowground.providers.parrot import ParrotSettings\n"),
            ("        ScriptedSettings,\n", "        ParrotSettings,\n"),
        ),
        _tests("test_providers", "stands_in_the_table"),
        "flowground.providers.parrot.ParrotSettings",
    ),
    Step(
        _lines(
            "tests/test_providers.py",
            ('behind `provider:model`."""\n\n', "import asyncio\n"),
            ('        yield {"path": "mine.gguf"}, "tiny: Hi"\n', PARROT_SERVER),
            ('    "scripted": no_server,\n', '    "parrot": parrot,\n'),
        ),
        _tests("test_providers", "answers_by and parrot"),
        "has nothing in SERVERS that answers the kind 'parrot'",
    ),
    Step(
        _lines(
            "config.yaml",
            (
                "  #   delay: 0                        # seconds before each piece\n",
                "  # polly:\n  #   type: parrot\n  #   greeting: Ahoy                  # what it says first\n",
            ),
        ),
        _tests("test_settings", "shows_every"),
        "providers.NAME.greeting",
    ),
    Step(_generate, _GENERATED, "docs/settings.md"),
)
_SETTING = (
    Step(
        _lines(
            "flowground/settings/organization.py",
            (
                "class OrganizationSettings(ConfigSection):\n",
                '    motto: str = Field("", max_length=200, description="What the organization lives by.")\n',
            ),
        ),
        _tests("test_settings", "says_the_defaults"),
        "organization.motto: unknown setting",
    ),
    Step(
        _lines("config.yaml", ("organization:\n", '  motto: ""  # what you live by\n')),
        _tests("test_settings", "shows_every"),
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
        _tests("test_settings", "tried_by_a_test"),
        "organization.motto",
    ),
    Step(_generate, _GENERATED, "docs/settings.md"),
)
_PAGE = (
    Step(_file("pages/status.py", STATUS), _tests("test_pages_app", "home_shows and router"), "status.py"),
    Step(
        _lines(
            "flowground/ui/shell/navigation.py",
            ('    _ListedPage("api_access", "API access", "code"),\n', '    _ListedPage("status", "Status"),\n'),
        ),
        _tests("test_pages_each", "in_the_navigation and status"),
        "status",
    ),
    Step(
        _lines(
            "pages/status.py",
            (
                "import streamlit as st\n",
                "\nfrom flowground.ui.page.bridge import require_caller\n\nrequire_caller()\n",
            ),
        ),
        _tests("test_pages_each", "asks_who_is_here and status"),
        "pages/status.py drew something for nobody",
    ),
    Step(
        _lines("tests/test_pages_each.py", ("OPENED = {\n", '    "status": "All is well.",\n')),
        _tests("test_pages_each", "each_page_opens and status"),
        "tests/test_pages_each.py has no words of status in OPENED",
    ),
)
_PAGES_DONE = ("tests/test_pages_each.py", "tests/test_gate.py", "-k", "first_visitors or test_each")

RECIPES = {
    "a component type": Recipe(_COMPONENT_TYPE, ("tests/test_components.py",)),
    "a provider": Recipe(_PROVIDER, ("tests/test_providers.py", "tests/test_settings.py")),
    "a setting": Recipe(_SETTING, ("tests/test_settings.py", "tests/test_added.py")),
    "a page": Recipe(_PAGE, _PAGES_DONE),
}
