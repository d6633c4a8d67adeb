"""The shipped flow over an MCP server, with its server, started as config.yaml shows it."""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowground.caller import LOCAL_OWNER, RunRequest
from flowground.events import ToolReturned, ToolWaits, TurnStarted
from flowground.messages import Decision
from flowground.runtime import Runtime
from tests.running import running, start_turn, watch
from tests.servers import ROOT, SHIPPED_FLOWS, shipped_flow

pytestmark = pytest.mark.anyio
pytest.importorskip("mcp", reason="needs mcp (requirements-mcp.txt)")

FLOWS = {"note-keeper": shipped_flow("note-keeper")}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What stands in config.yaml, and in the guide, behind the marks of a comment; its files lie in the folder."""
    shutil.copytree(SHIPPED_FLOWS / "samples", tmp_path / "flows" / "samples")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    text = (ROOT / "config.yaml").read_text("utf-8")
    block = re.search(r"^# mcp_servers:\n(?:#   .*\n)+", text, re.MULTILINE)
    assert block
    shown = yaml.safe_load(re.sub(r"^# ", "", block[0], flags=re.MULTILINE))
    guide = re.search(r"^mcp_servers:\n.*?(?=```)", (ROOT / "docs/guide/notes.md").read_text("utf-8"), re.M | re.S)
    assert guide
    assert yaml.safe_load(guide[0])["mcp_servers"]["notes"].items() <= shown["mcp_servers"]["notes"].items()
    return shown


async def call(runtime: Runtime, message: str, decision: Decision | None = None) -> str:
    """What the tool gave. `decision` is made of the call that waits; None: none may wait."""
    turn = await start_turn(runtime, LOCAL_OWNER, "note-keeper", RunRequest(input_value=message, session_id="s"))
    told, run = [], ""
    async for event in watch(turn):
        if isinstance(event, ToolWaits) and not event.is_decided:
            assert decision, event.takes
            assert runtime.running.decide(run, event.called.number, event.digest, decision)
        if isinstance(event, TurnStarted):
            run = event.run_id
        if isinstance(event, ToolReturned):
            told.append(event.text)
    assert len(told) == 1
    return told[0]


async def test_it_looks_notes_up_and_asks_before_it_writes_one(tmp_path: Path, config: Any) -> None:
    notes = tmp_path / "flows" / "samples" / "notes"
    async with running(tmp_path, FLOWS, config=config) as runtime:
        said = await call(runtime, 'call notes_find_notes {"words": "stall at the fair"}')
        assert said.startswith("[spring-fair.md]")
        assert "number 14" in said
        new = 'call notes_add_note {"title": "../../Red bicycle!", "text": "Ready on Monday."}'
        assert "refused" in await call(runtime, new, "refuse")
        assert sorted(file.name for file in notes.iterdir()) == ["keys.md", "spring-fair.md"]
        assert await call(runtime, new, "once") == "Written down as red-bicycle.md."
        assert (notes / "red-bicycle.md").read_text("utf-8") == "# ../../Red bicycle!\n\nReady on Monday.\n"
        assert "There is a note red-bicycle.md already" in await call(runtime, new, "once")
        assert "Ready on Monday." in await call(runtime, 'call notes_find_notes {"words": "bicycle"}')


async def test_as_it_is_shipped_the_flow_answers_and_says_what_is_missing(tmp_path: Path) -> None:
    async with running(tmp_path, FLOWS) as runtime:
        assert list(runtime.catalogue.list_flows()) == ["note-keeper"]
        said = await call(runtime, 'call notes_find_notes {"words": "stall"}')
        assert said == "It failed: There is no MCP server `notes`: config.yaml does not name it."
