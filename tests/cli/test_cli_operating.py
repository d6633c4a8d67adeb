"""`runs`, `flows` and `providers`, without a server; tests/test_switches_process.py has one beside them."""

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from flowground.core.caller import Owner
from flowground.settings import Settings
from flowground.store import Store, publications, tables
from flowground.store.publications import Sharing
from flowground.store.runs.records import make_run_row
from tests.command_line import Here
from tests.run_rows import begin


def list_audit(folder: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(folder / "data" / "flowground.db")) as database:
        return database.execute("SELECT actor, action, subject FROM audit ORDER BY id").fetchall()


def test_flows_are_switched_off_and_on(here: Here) -> None:
    said = here("flows", "off", "loud", "--say", "Back  at\nthree.")  # its endpoint name
    assert (said.code, said.out) == (0, "")
    assert "shout is off." in said.err
    heads, *rows = here("flows", "list").out.splitlines()
    assert heads.split() == ["ID", "NAME", "ADDRESS", "SHARED_WITH", "STATE"]
    assert [row.split()[0] for row in rows] == ["ask", "echo", "shout"]
    assert rows[0].split()[1:] == ["Ask", "/api/v1/run/ask", "-", "on"]
    assert rows[2].split()[1:6] == ["Shout", "/api/v1/run/loud", "-", "off", "since"]
    assert rows[2].endswith(" by cli: Back at three.")
    assert here("providers", "list").out.splitlines()[1:] == []
    refused = here("run", "shout", "--message", "hi")
    assert (refused.code, refused.out, "This flow is switched off. Back at three." in refused.err) == (1, "", True)
    assert here("flows", "on", "shout").code == 0
    assert here("run", "shout", "--message", "hi").out == "calm hi\n"
    assert list_audit(here.folder) == [("cli", "flow.switched_off", "shout"), ("cli", "flow.switched_on", "shout")]


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


def test_providers_are_switched_off_and_on(here: Here) -> None:
    assert here("providers", "off", "scripted").code == 0
    assert "The model of this flow is switched off at the moment." in here("run", "ask", "--message", "hi").err
    assert here("run", "echo", "--message", "hi").out == "hi\n"
    assert here("providers", "on", "scripted").code == 0
    assert here("run", "ask", "--message", "hi").out == "You said: hi\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("flows", "off", "ecko"), "There is no flow ecko (did you mean echo?)."),
        (("providers", "off", "scriptet"), "There is no provider scriptet (did you mean scripted?)."),
        (("flows", "on", "echo"), "There is no switched-off flow echo."),
        (("flows", "off", "echo", "--say", "x" * 301), "has 301 characters; 300 is the limit."),
        (("runs", "stop", "a-run"), "No such run is running."),
    ],
)
def test_what_cannot_be_done_says_why(here: Here, command: tuple[str, ...], told: str) -> None:
    said = here(*command)
    assert (said.code, said.out, told in said.err) == (1, "", True)


def test_running_runs_are_listed_without_what_was_said(here: Here) -> None:
    """Of another process that lives."""
    store = Store.open(Settings.load(here.folder / "config.yaml").database)
    store.process.acquire()
    run = asyncio.run(begin(store, "r0", holder=store.process.id))
    owners = [Owner("programs", "ada"), Owner("visitor", "v"), Owner("local", "owner"), Owner("token", "t")]
    began = [run.started_at - timedelta(seconds=number + 1) for number in range(len(owners))]
    runs = [
        replace(run, id=f"r{number}", owner=str(owner), started_at=at)
        for number, (owner, at) in enumerate(zip(owners, began, strict=True), 1)
    ]
    asyncio.run(
        store.write(lambda connection: [connection.execute(insert(tables.runs), list(map(make_run_row, runs)))])
    )
    heads, *rows = here("runs", "list").out.splitlines()
    assert heads.split() == ["ID", "FLOW", "WHO", "BY", "SINCE", "SAID"]
    assert [re.split(r" {2,}", row)[:4] for row in rows] == [
        ["r0", "echo", "ada", "playground"],
        ["r1", "echo", "ada", "Try it"],
        ["r2", "echo", "A visitor", "playground"],
        ["r3", "echo", "This computer", "playground"],
        ["r4", "echo", "The organization", "Try it"],
    ]
    assert "Hi" not in "".join(rows)
