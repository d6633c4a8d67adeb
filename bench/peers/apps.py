"""The three apps, each on a free port while a block runs; the peers in environments of their own."""

import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import uvloop

from bench.conversation import ANSWER, QUESTION, fill
from bench.processes import FLOW
from tests.servers import AppServer, clean_environment, free_port

_HERE = Path(__file__).parent
_PINNED: Mapping[str, list[str]] = {
    "Gradio": ["gradio==6.31.*", "openai==2.*"],
    "Chainlit": ["chainlit==2.12.*", "openai==2.*"],
}
"""Installed for the length of a measurement, never a part of the project."""


@dataclass(frozen=True)
class Peer:
    """`composer` and `answer` are CSS selectors. `serve(stub, messages)` gives an address at which a chat of so many
    messages opens."""

    name: str
    version: str
    composer: str
    answer: str
    serve: Callable[[str, int], AbstractContextManager[str]]


def prepare(folder: Path) -> list[Peer]:
    """Flowground first; installs the others below `folder`."""
    found = [Peer("Flowground", "this checkout", ".stMain textarea", "article.fg-answer", _serve_flowground(folder))]
    for name, composer, answer in (
        ("Gradio", 'textarea[data-testid="textbox"]', '[data-testid="bot"]'),
        ("Chainlit", "#chat-input", ".ai-message"),
    ):
        programs = _install(folder / name.lower(), _PINNED[name])
        asked = [str(programs / "pip"), "show", name.lower()]
        shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        version = next(line.split()[1] for line in shown.splitlines() if line.startswith("Version:"))
        found.append(Peer(name, version, composer, answer, _serve_peer(name, programs)))
    return found


def _install(folder: Path, packages: list[str]) -> Path:
    """The folder of its programs."""
    if not (folder / "bin" / "pip").exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "-q", *packages], check=True)
    return folder / "bin"


def _serve_flowground(folder: Path) -> Callable[[str, int], AbstractContextManager[str]]:
    @contextmanager
    def serve(stub: str, messages: int) -> Iterator[str]:
        config = {
            "default_model": "stub:stub-model",
            "providers": {"stub": {"type": "openai", "base_url": f"{stub}/v1", "api_key": "anything"}},
            "limits": {"page_runs_per_minute": 0},
        }
        place = folder / f"flowground-{messages}-{time.time_ns()}"
        place.mkdir()
        with AppServer(place, config=config, flows={"bench": FLOW}) as server:
            address = f"{server.url}/playground?flow=bench"
            if messages:
                database = f"sqlite:///{place}/data/flowground.db"
                filling = fill(database, flow_id="bench", session_id="long", messages=messages)
                with ThreadPoolExecutor() as aside:  # the browser's loop runs in this thread
                    aside.submit(uvloop.run, filling).result()
                address += "&session=long"
            yield address

    return serve


def _serve_peer(name: str, programs: Path) -> Callable[[str, int], AbstractContextManager[str]]:
    @contextmanager
    def serve(stub: str, messages: int) -> Iterator[str]:
        port = free_port()
        script = str(_HERE / f"{name.lower()}_app.py")
        told = {
            "STUB": f"{stub}/v1",
            "MESSAGES": str(messages),
            "QUESTION": QUESTION,
            "ANSWER": ANSWER,
            "PORT": str(port),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "HOME": str(programs.parent),
            "CHAINLIT_APP_ROOT": str(programs.parent),
        }
        command = (
            [str(programs / "python"), script]
            if name == "Gradio"
            else [str(programs / "chainlit"), "run", script, "--headless", "--port", str(port)]
        )
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, cwd=programs.parent, env=clean_environment(**told), stdout=quiet, stderr=sys.stderr
        ) as running:
            try:
                _wait_for(f"http://127.0.0.1:{port}", running)
                yield f"http://127.0.0.1:{port}"
            finally:
                running.terminate()

    return serve


def _wait_for(url: str, running: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        if running.poll() is not None:
            break
        try:
            if requests.get(url, timeout=2).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"{running.args!r} does not answer")
