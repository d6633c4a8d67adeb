"""The processes of a measurement: the stub, the floor and the app, each on a free port."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.watch import Watch
from tests.servers import ROOT, AppServer, clean_environment, free_port

FLOW = """\
name: Bench
description: The flow that bench/ measures.
components:
  ChatInput: {type: ChatInput}
  Prompt: {type: Prompt, template: "Answer the user as if you were a GenAI expert, enthusiastic about helping them."}
  Model:
    type: LanguageModel
    model: stub:stub-model
    system_message: ${Prompt}
    input_value: ${ChatInput}
    temperature: 0.1
  ChatOutput: {type: ChatOutput, input_value: "${Model}"}
"""


@contextmanager
def process(module: str, *arguments: str) -> Iterator[tuple[str, Watch]]:
    """`python -m MODULE PORT ARGUMENTS` while the block runs; gives its address, once it listens, and its watch."""
    port = free_port()
    with serve([sys.executable, "-m", module, str(port), *arguments], port) as watch:
        yield f"http://127.0.0.1:{port}", watch


@contextmanager
def serve(command: Sequence[str], port: int, *, folder: Path = ROOT, **environment: str) -> Iterator[Watch]:
    """The command while the block runs, once it listens on the port."""
    told = clean_environment(**environment)
    with subprocess.Popen(command, cwd=folder, env=told, stdout=subprocess.DEVNULL) as running:
        try:
            _wait_for(port, running)
            yield Watch(running.pid)
        finally:
            running.terminate()


def app(folder: Path, *, stub: str, database: str | None, checkout: Path = ROOT) -> AppServer:
    """The app of a checkout as `streamlit run app.py`, its only model the stub; not started yet."""
    config: dict[str, object] = {
        "default_model": "stub:stub-model",
        "providers": {"stub": {"type": "openai", "base_url": f"{stub}/v1", "api_key": "anything"}},
    }
    if database:
        config["database"] = database
    return AppServer(folder, config=config, flows={"bench": FLOW}, checkout=checkout)


def _wait_for(port: int, running: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and running.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{running.args!r} does not listen")
