"""What the app costs while nobody uses it, beside uvicorn alone: `python -m bench.idle`. Linux only."""

import argparse
import os
import tempfile
import time
from pathlib import Path

from bench.processes import app, process
from bench.watch import Watch
from tests.page_socket import Browser, open_page

_SETTLE = 5
"""Seconds in which what the start or a page began may end."""
_NOWHERE = "http://127.0.0.1:9"
"""No model is asked."""


def measure(name: str, watch: Watch, *, seconds: float) -> str:
    """One line."""
    time.sleep(_SETTLE)
    began, cpu = time.monotonic(), watch.cpu()
    wakes = watch.wakes(seconds=seconds)
    share = (watch.cpu() - cpu) / (time.monotonic() - began)
    return f"{name:26} {wakes:5.1f} wake-ups a second   {share:6.2%} CPU"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long each is watched (default: 30)")
    seconds = parser.parse_args().seconds
    print(f"{seconds:.0f} s each, load {os.getloadavg()[0]:.1f}")
    with process("bench.floor", f"{_NOWHERE}/v1") as (_, watch):
        print(measure("uvicorn alone", watch, seconds=seconds))
    with tempfile.TemporaryDirectory() as folder, app(Path(folder), stub=_NOWHERE, database=None) as server:
        print(measure("the app, started", Watch(server.pid), seconds=seconds))
        with open_page(Browser(server.url)) as page:
            page.visit()
            print(measure("the app, with a page open", Watch(server.pid), seconds=seconds))
        print(measure("the app, the page closed", Watch(server.pid), seconds=seconds))


if __name__ == "__main__":
    main()
