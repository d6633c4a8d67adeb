"""A new kind of event is named by mypy wherever a stream is read, so that no reader misses it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.recipes import run_python
from tests.servers import ROOT

READERS = {
    "flowground/api/stream.py",
    "flowground/cli/run.py",
    "flowground/doors.py",
    "flowground/runtime/turn_log.py",
    "flowground/turns/record.py",
    "flowground/conversation/telling.py",
}
SETTINGS = """\
[mypy]
explicit_package_bases = True
mypy_path = .
follow_imports = silent
ignore_missing_imports = True
[mypy-streamlit.*,sqlalchemy.*,fastapi.*,starlette.*,pydantic.*,requests.*,httpx2.*,uvicorn.*,yaml.*]
follow_imports = skip
"""
PAUSED = "@dataclass(frozen=True, slots=True)\nclass Paused:\n    pass\n\n\nComponentEvent = Paused | "


def test_every_reader_of_a_stream_asks_for_a_new_event(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="needs mypy (requirements-dev.txt)")
    shutil.copytree(ROOT / "flowground", tmp_path / "flowground", ignore=shutil.ignore_patterns("__pycache__"))
    events = tmp_path / "flowground" / "events.py"
    text = events.read_text("utf-8")
    assert text.count("\nComponentEvent = ") == 1
    events.write_text(text.replace("ComponentEvent = ", PAUSED, 1), "utf-8")
    (tmp_path / "mypy.ini").write_text(SETTINGS, "utf-8")
    done = run_python(tmp_path, ["mypy", "--config-file", "mypy.ini", *sorted(READERS)])
    assert set(re.findall(r'^(\S+?):\d+: error: .*"Paused"; expected "Never"', done.stdout, re.MULTILINE)) == READERS
