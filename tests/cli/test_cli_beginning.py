"""Bare commands, wrong ones, `new`, `flows list` and `serve`."""

import asyncio
import os
import resource
import subprocess
import sys
from typing import Any

import pytest

from flowground.cli import main
from flowground.flow.templates import TEMPLATES
from flowground.settings import Settings
from flowground.store import Store
from flowground.store.flows import publications
from flowground.store.flows.publications import Sharing
from tests.command_line import Here
from tests.servers import ROOT, clean_environment


@pytest.mark.parametrize("bare", [(), ("keys",), ("members",), ("runs",), ("flows",), ("providers",), ("model",)])
def test_a_command_without_its_own_command_prints_its_help(here: Here, bare: tuple[str, ...]) -> None:
    said = here(*bare)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"usage: {' '.join(('python -m flowground', *bare))} ")
    assert "positional arguments:" in said.err


@pytest.mark.parametrize(
    ("wrong", "told", "more"),
    [("valdate", " (did you mean validate?)", ""), ("keys lst", " (did you mean list?)", " keys"), ("xyz", "", "")],
)
def test_a_wrong_command_is_answered_by_the_nearest(
    here: Here, capsys: pytest.CaptureFixture[str], wrong: str, told: str, more: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong.split())
    assert ended.value.code == 2
    said = f"There is no command {wrong.split()[-1]}{told}. `python -m flowground{more} --help` lists them.\n"
    assert capsys.readouterr().err == said


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


def test_flows_are_listed_with_whom_they_are_shared_and_with_mistakes(here: Here) -> None:
    store = Store.open(Settings.load(here.folder / "config.yaml").database)
    try:
        sharing = Sharing(is_shared=True, audience="people")
        asyncio.run(store.write(publications.change, flow_id="echo", sharing=sharing, by="tests"))
    finally:
        store.close()
    (here.folder / "flows" / "wrong.yaml").write_text("name: Wrong\ncomponents: {In: {type: Nothing}}\n", "utf-8")
    said = here("flows", "list")
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines()[1:]}
    assert rows["echo"] == ["Echo", "/api/v1/run/echo", "people", "on"]
    assert rows["wrong.yaml"] == ["-", "-", "-", "1", "mistake"]
    assert said.err == "`validate` says what is wrong.\n"


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


def test_serve_tells_a_wrong_config_in_one_line(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it started"))
    (here.folder / "config.yaml").write_text("defualt_model: local\n", "utf-8")
    said = here("serve")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "did you mean default_model?" in said.err


def test_a_disk_without_room_leaves_no_file_and_no_part_of_one(here: Here) -> None:
    before = sorted((here.folder / "flows").iterdir())
    env = clean_environment(FLOWGROUND_CONFIG=str(here.folder / "config.yaml"))
    made = subprocess.run(
        [sys.executable, "-m", "flowground", "new", "Orders"], cwd=ROOT, env=env, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20)), timeout=60, check=False,
    )  # fmt: skip  # no file grows over 20 bytes
    assert made.returncode != 0
    assert "orders.yaml cannot be written" in made.stderr
    assert sorted((here.folder / "flows").iterdir()) == before
