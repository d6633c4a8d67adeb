"""What the command line's tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import ASK, ECHO, SHOUT, Here
from tests.fake_run_endpoint import TOKEN, FakeRunEndpoint
from tests.servers import write_folder


@pytest.fixture
def here(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Here:
    flows = {"echo": ECHO, "shout": SHOUT, "ask": ASK}
    config = write_folder(tmp_path, config={"default_model": "scripted"}, flows=flows)
    monkeypatch.setenv("FLOWGROUND_CONFIG", str(config))
    monkeypatch.chdir(tmp_path)
    return Here(tmp_path, capsys)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRunEndpoint]:
    monkeypatch.setenv("FLOWGROUND_API_KEY", TOKEN)
    with FakeRunEndpoint() as running:
        yield running
