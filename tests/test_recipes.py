"""CONTRIBUTING's recipes lead to something that works, and `make check` names each step that was left out."""

import re
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from tests.recipes import PYTEST, RECIPES, Recipe, run_python
from tests.servers import ROOT

NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "data", "__pycache__", ".*_cache", ".hypothesis", "node_modules")
HALF_DONE = [
    pytest.param(recipe, left_out, id=f"{name} without step {left_out + 1}")
    for name, recipe in RECIPES.items()
    for left_out, step in enumerate(recipe.steps)
    if step.named_by
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT, tmp_path / "tree", ignore=NOT_COPIED))


def steps_of(recipe: str) -> list[str]:
    """A recipe's steps as CONTRIBUTING has them."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition(f"### {recipe}\n")[2].partition("\n#")[0]
    return re.findall(r"^\d+\. (.*(?:\n   .*)*)", section, re.MULTILINE)


def snapshot(tree: Path) -> dict[str, bytes]:
    files = (path for path in tree.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(tree)): path.read_bytes() for path in files}


def _is_named(file: str, places: list[str]) -> bool:
    return any(file == place or (place.endswith("/") and file.startswith(place)) for place in places)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_was_followed_works(name: str, tree: Path) -> None:
    recipe, words = RECIPES[name], steps_of(name)
    assert len(words) == len(recipe.steps)
    before = snapshot(tree)
    for step, said in zip(recipe.steps, words, strict=True):
        step.write(tree)
        now = snapshot(tree)
        places = re.findall(r"`([^`]+)`", said)
        touched = [file for file in now if now[file] != before.get(file)]
        assert touched, said
        assert [file for file in touched if not _is_named(file, places)] == [], said
        before = now
    done = run_python(tree, [*PYTEST, *recipe.done])
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize(("recipe", "left_out"), HALF_DONE)
def test_a_step_that_was_left_out_is_named(recipe: Recipe, left_out: int, tree: Path) -> None:
    for number, step in enumerate(recipe.steps):
        if number != left_out:
            with suppress(FileNotFoundError):  # a later step in the very file that was not written
                step.write(tree)
    missing = recipe.steps[left_out]
    done = run_python(tree, missing.named_by)
    assert done.returncode != 0
    assert missing.says in done.stdout + done.stderr
