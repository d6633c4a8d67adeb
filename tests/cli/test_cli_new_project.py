"""`new-project`: a folder with the app, from a checkout's own files. tests/test_wheel.py asks a wheel's."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from flowground.cli import beginning, main, resources
from tests.command_line import Here
from tests.servers import ROOT, clean_environment


def test_it_writes_what_an_app_consists_of(here: Here) -> None:
    made = here("new-project", "my demo")
    assert (made.code, made.out) == (0, "my demo\n")
    assert "cd 'my demo' && streamlit run app.py\n" in made.err
    written = {str(path.relative_to(here.folder / "my demo")) for path in (here.folder / "my demo").rglob("*")}
    assert written >= {"app.py", "config.yaml", "pages/router.py", "pages/static/icon.svg", "flows/echo.yaml"}
    assert written >= {".gitignore", ".streamlit/config.toml", "docs/flow.schema.json"}
    assert [name for name in written if "__pycache__" in name] == []
    for name in written:
        assert (ROOT / name).is_dir() or (here.folder / "my demo" / name).read_bytes() == (ROOT / name).read_bytes()


def test_a_wheel_holds_the_same() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    held = build["targets"]["wheel"]["force-include"]
    assert held == {name: f"flowground/project/{name}" for name in held}
    assert set(held) == {pattern.removesuffix("/**/*") for pattern in beginning._PROJECT}


def test_it_refuses_a_folder_that_is_not_empty(here: Here) -> None:
    refused = here("new-project", "flows")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "flows is not empty. Name a folder that is not there yet.\n"
    assert len(list((here.folder / "flows").iterdir())) == 3
    (here.folder / "file").touch()
    assert here("new-project", "file").code == 1


def test_a_folder_among_what_it_copies_is_no_part_of_it(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "_PACKAGE", here.folder / "flowground")
    assert here("new-project", "flows/demo").code == 0
    made = here.folder / "flows" / "demo"
    written = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert written == {"config.yaml", "flows/ask.yaml", "flows/echo.yaml", "flows/shout.yaml"}


def test_commands_in_its_folder_are_about_its_app(here: Here) -> None:
    here("new-project", "demo")
    for command in (["new", "Orders"], ["keys", "create", "laptop"]):
        subprocess.run(
            [sys.executable, "-m", "flowground", *command],
            cwd=here.folder / "demo",
            env=clean_environment(PYTHONPATH=str(ROOT)),
            timeout=60,
            check=True,
        )
    made = (here.folder / "demo" / "flows" / "orders.yaml").read_text("utf-8")
    assert made.startswith("# yaml-language-server: $schema=../docs/flow.schema.json\n")
    assert (here.folder / "demo" / "data" / "flowground.db").exists()


def test_commands_elsewhere_make_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(resources, "APP_FOLDER", tmp_path)
    assert main(["keys", "create", "laptop"]) == 1
    assert capsys.readouterr().err == "There is no app in this folder. `flowground new-project NAME` makes one.\n"
    assert list(tmp_path.iterdir()) == []
