"""The app from a wheel: built here, installed with what it asks for into an environment of its own."""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from flowground import __version__
from flowground.ui.assets import find_asset
from tests.servers import ROOT, clean_environment, free_port
from tests.waiting import eventually

ENVIRONMENT = clean_environment(PYTHONPATH="")  # which would lead to the checkout
DRAW_HOME = """
from streamlit.testing.v1 import AppTest
page = AppTest.from_file("app.py", default_timeout=120).run()
assert not page.exception, page.exception
print(*(title.value for title in page.title))
"""


def run(folder: Path, *command: str | Path) -> str:
    """What it prints."""
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.strip()


@contextmanager
def started(folder: Path, streamlit: Path) -> Iterator[str]:
    """The address of the app, which answers."""
    port = str(free_port())
    command: list[str | Path] = [streamlit, "run", "app.py", "--server.port", port]
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: process.poll() is not None or is_healthy(f"http://127.0.0.1:{port}"), within=120)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=30).ok
    except requests.RequestException:
        return False


@pytest.mark.timeout(1_800)
def test_a_wheel_makes_a_project_whose_app_serves_pages_and_runs(tmp_path: Path) -> None:
    run(ROOT, sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ".")
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name == f"flowground-{__version__}-py3-none-any.whl"
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.rpartition("/")[2] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}

    venv.create(tmp_path / "venv", with_pip=True)
    tools = tmp_path / "venv" / "bin"
    run(tmp_path, tools / "python", "-m", "pip", "install", "--quiet", "--no-compile", wheel)
    run(tmp_path, tools / "python", "-m", "pip", "check")
    assert run(tmp_path, tools / "flowground", "--version") == f"flowground {__version__}"
    assert run(tmp_path, tools / "flowground", "new-project", "demo") == "demo"

    demo = tmp_path / "demo"
    run(demo, tools / "python", "-m", "flowground", "validate")
    token = run(demo, tools / "flowground", "keys", "create", "laptop")
    assert run(demo, tools / "python", "-c", DRAW_HOME) == "Flowground"
    with started(demo, tools / "streamlit") as url:
        asked = requests.post(
            f"{url}/api/v1/run/echo", json={"input_value": "The sea"}, headers={"x-api-key": token}, timeout=30
        )
        assert (asked.status_code, "The sea" in asked.text) == (200, True)
        home = requests.get(url, headers={"Accept": "text/html"}, timeout=30)
        assert (home.status_code, find_asset("chat.js") in home.text) == (200, True)
        for path in (find_asset("chat.js"), "/app/static/inter-latin.woff2"):
            assert requests.get(url + path, timeout=30).status_code == 200
