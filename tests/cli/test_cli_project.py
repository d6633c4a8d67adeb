"""`new-project`, `new`, `serve`, `backup` and `model download`. tests/test_wheel.py asks a wheel for a project."""

import json
import logging
import os
import stat
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml

from flowground.cli import project
from flowground.flows.templates import TEMPLATES
from flowground.providers.builtin import weights
from tests.command_line import Here
from tests.servers import ROOT, clean_environment, write_folder


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
    assert set(held) == {pattern.removesuffix("/**/*") for pattern in project._PROJECT}


def test_it_refuses_a_folder_that_is_not_empty(here: Here) -> None:
    refused = here("new-project", "flows")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "flows is not empty. Name a folder that is not there yet.\n"
    assert len(list((here.folder / "flows").iterdir())) == 3
    (here.folder / "file").touch()
    assert here("new-project", "file").code == 1


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


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_flow_runs_as_it_is(here: Here, template: str) -> None:
    made = here("new", 'Order: "status" & #1', "--template", template)
    assert (made.code, made.out) == (0, "flows/order-status-1.yaml\n")
    assert 'python -m flowground run order-status-1 --message "Hello"' in made.err
    first = (here.folder / "flows" / "order-status-1.yaml").read_text("utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (here.folder / "flows" / first.partition("=")[2]).resolve() == ROOT / "docs" / "flow.schema.json"
    assert here("validate", "flows/order-status-1.yaml").code == 0
    [listed] = [line for line in here("flows", "list").out.splitlines() if "order-status-1" in line]
    assert listed.split("  ")[1] == 'Order: "status" & #1'
    ran = here("run", "order-status-1", "--message", "Hello")
    if template == "documents":
        assert (ran.code, "There are no documents to answer from yet." in ran.err) == (1, True)
    else:
        assert (ran.code, "Hello" in ran.out) == (0, True)


def test_a_new_flow_takes_no_file_that_is_there_and_no_name_that_makes_none(here: Here) -> None:
    before = (here.folder / "flows" / "echo.yaml").read_text("utf-8")
    refused = here("new", "Echo")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "There is already a file flows/echo.yaml. Choose another name.\n"
    assert (here.folder / "flows" / "echo.yaml").read_text("utf-8") == before
    for name in ("…", "../..", "x" * 81, "a\x1b[31m"):
        assert "It needs a letter from a to z or a digit, and has 80 characters at most." in here("new", name).err
    assert here("new", "static").code == 1  # an address of the server itself
    assert len(list((here.folder / "flows").iterdir())) == 3


def test_serve_becomes_the_server_that_readme_starts(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda *given: began.append((given, os.getcwd(), os.environ["FLOWGROUND_CONFIG"])))
    monkeypatch.setenv("FLOWGROUND_CONFIG", "config.yaml")
    assert here("serve", "--host", "0.0.0.0", "--port", "8600").code == 0
    app = ["-m", "streamlit", "run", str(ROOT / "app.py")]
    options = ["--server.address", "0.0.0.0", "--server.port", "8600"]
    [((program, command), folder, config)] = began
    assert (program, command) == (sys.executable, [sys.executable, *app, *options])
    assert (folder, config) == (str(ROOT), str(here.folder / "config.yaml"))
    assert logging.root.manager.disable == logging.NOTSET


def test_serve_tells_a_wrong_config_in_one_line(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it started"))
    (here.folder / "config.yaml").write_text("defualt_model: local\n", "utf-8")
    said = here("serve")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "did you mean default_model?" in said.err


def make_data(here: Here) -> None:
    """A key, a model's weights, and a database in which there is a token."""
    for name in ("cookie.key", "models/large.gguf", "processes/one"):
        file = here.folder / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("k" * 64, "utf-8")
    assert here("keys", "create", "laptop").code == 0


def test_a_backup_holds_everything_and_can_be_served_from(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    make_data(here)
    made = here("backup", "kept/monday")
    assert (made.code, made.out) == (0, "kept/monday\n")
    kept = here.folder / "kept" / "monday"
    assert sorted(str(file.relative_to(kept)) for file in kept.rglob("*") if file.is_file()) == [
        "config.yaml", "data/cookie.key", "data/flowground.db", "flows/ask.yaml", "flows/echo.yaml", "flows/shout.yaml"
    ]  # fmt: skip
    assert "OPENAI_API_KEY" in made.err
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert stat.S_IMODE((kept / "data" / "flowground.db").stat().st_mode) == 0o600
    assert here("keys", "create", "later").code == 0

    monkeypatch.setenv("FLOWGROUND_CONFIG", str(kept / "config.yaml"))
    listed = here("keys", "list").out
    assert ("laptop" in listed, "later" in listed) == (True, False)
    said = here("run", "echo", "--message", "Hi")
    assert (said.out, said.err) == ("Hi\n", "")


def test_a_backup_takes_no_folder_that_holds_something_or_is_copied_itself(here: Here) -> None:
    make_data(here)
    assert here("backup", "kept").code == 0
    for name, told in (("kept", "kept is not empty."), ("data/kept", "data/kept lies in what is copied.")):
        refused = here("backup", name)
        assert (refused.code, told in refused.err) == (1, True)


def test_a_postgresql_database_is_left_to_pg_dump(here: Here) -> None:
    settings = yaml.safe_load((here.folder / "config.yaml").read_text("utf-8"))
    write_folder(here.folder, config=settings | {"database": "postgresql://nobody@127.0.0.1:1/none"}, flows={})
    made = here("backup", "kept")
    assert made.code == 0
    assert "The database is not SQLite's file: copy it with pg_dump." in made.err


def test_a_model_that_is_here_is_not_fetched(here: Here) -> None:
    file = here.folder / "data" / "models" / weights.QWEN.file
    file.parent.mkdir(parents=True)
    file.write_bytes(b"as if")
    stat = file.stat()
    marker = {"sha256": weights.QWEN.sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    file.with_name(f"{file.name}.verified").write_text(json.dumps(marker), "utf-8")
    said = here("model", "download")
    assert (said.code, said.last_line) == (0, str(file))
    assert "Qwen2.5-Coder 0.5B, 0.5 GB, Apache-2.0" in said.err
