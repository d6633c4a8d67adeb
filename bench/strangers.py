"""`python -m bench.strangers`: does a member's chat go on while strangers attack, and does the process recover?

Prints the page and writes docs/strangers.md.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt
from websockets.exceptions import WebSocketException

from bench.load import percentile
from bench.watch import Watch
from tests.page_socket import Browser, open_browser, open_page
from tests.servers import ROOT, AppServer, clean_environment

CONFIG: dict[str, object] = {
    "credentials": {
        "usernames": {"ada": {"password": bcrypt.hashpw(b"Secret-123", bcrypt.gensalt(4)).decode(), "roles": ["admin"]}}
    },
    "trusted_proxies": ["127.0.0.1"],
}
_PAUSE = 1.2
"""Seconds between two messages: a person's limit is 60 a minute."""
_USUAL_FILES = 1_024
"""Open files that a system usually allows a process at first."""
_PAGE = """\
# Strangers, as measured

Written by `python -m bench.strangers`. {sockets} sockets of people who are not signed in, from ten addresses, ask for
the page every five seconds and come back when they are closed; {frames} frames of 24 MB come in a quarter of a
minute. Meanwhile a member chats with the echo flow: milliseconds from sending a message to the end of the page's run.
Attack and attacked share {cores} cores; the attack has the lowest priority. The process is started with {files:,}
open files allowed.

| | message p50 ms | p95 ms | times quiet | opening a page p50 ms | failed | memory MB | open files |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

{said}
"""


@dataclass(slots=True)
class Phase:
    """What the member saw, and the most that the process held meanwhile. Milliseconds, MB."""

    name: str
    messages: list[float] = field(default_factory=list)
    openings: list[float] = field(default_factory=list)
    failed: int = 0
    memory: float = 0.0
    files: int = 0

    def look(self, watch: Watch) -> None:
        self.memory = max(self.memory, watch.memory())
        self.files = max(self.files, len(os.listdir(f"/proc/{watch.pid}/fd")))

    def row(self, quiet: float | None) -> str:
        chat = percentile(self.messages, 50) if self.messages else None
        cells = [
            _number(chat),
            _number(percentile(self.messages, 95) if self.messages else None),
            _number(chat / quiet if chat and quiet else None),
            _number(percentile(self.openings, 50) if self.openings else None),
            str(self.failed) if self.messages or self.failed else "–",
        ]
        return f"| {self.name} | {' | '.join(cells)} | {self.memory:.0f} | {self.files} |"


def chat(server: AppServer, browser: Browser, phase: Phase, *, seconds: float) -> None:
    """Messages, each in a new conversation on a page of its own, at a person's pace."""
    watch, end = Watch(server.pid), time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            began = time.perf_counter()
            with open_page(browser) as page:
                page.visit("playground", "flow=echo")
                opened = time.perf_counter()
                sent = page.say("What is the interesting thing here?")
                said = time.perf_counter()
            assert b"interesting" in sent
            phase.openings.append((opened - began) * 1000)
            phase.messages.append((said - opened) * 1000)
        except (OSError, TimeoutError, EOFError, WebSocketException, KeyError, AssertionError):  # no answer, no page
            phase.failed += 1
        phase.look(watch)
        time.sleep(_PAUSE)


@contextmanager
def hostile(url: str, *, sockets: int, frames: int) -> Iterator[list[str]]:
    """The attackers while the block runs; afterwards what they saw is in the list."""
    command = [sys.executable, "-m", "bench.hostile", url, str(sockets), str(frames)]
    seen: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, text=True) as running:
        try:
            if running.stdout:
                running.stdout.readline()
            yield seen
        finally:
            running.send_signal(signal.SIGTERM)
            seen.append(running.communicate(timeout=30)[0].strip())


def measure(server: AppServer, given: argparse.Namespace) -> tuple[list[Phase], list[str]]:
    """Quiet and attacked in turn, then the rest."""
    browser, phases, said = open_browser(server, "ada"), [], []
    chat(server, browser, Phase("warming up"), seconds=5)
    for _ in range(given.rounds):
        phases.append(Phase("quiet"))
        chat(server, browser, phases[-1], seconds=given.seconds)
        phases.append(Phase("attacked"))
        with hostile(server.url, sockets=given.sockets, frames=given.frames) as seen:
            chat(server, browser, phases[-1], seconds=given.seconds + 15)
        said += seen
        time.sleep(given.rest)
        phases.append(Phase(f"{given.rest:.0f} s later"))
        phases[-1].look(Watch(server.pid))
    return phases, said


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.strangers", description=__doc__)
    parser.add_argument("--only-print", action="store_true", help="docs/strangers.md stays as it is")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30, help="length of a quiet phase; an attack is 15 longer")
    parser.add_argument("--rest", type=float, default=120, help="seconds from an attack's end to the look afterwards")
    parser.add_argument("--sockets", type=int, default=500)
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_USUAL_FILES, hard))
    with tempfile.TemporaryDirectory() as folder, AppServer(Path(folder), config=CONFIG, flows=["echo"]) as server:
        phases, said = measure(server, given)
        tracebacks = server.log.count("Traceback")
    quiet = percentile([taken for phase in phases if phase.name == "quiet" for taken in phase.messages], 50)
    text = _PAGE.format(
        sockets=given.sockets,
        frames=given.frames,
        cores=os.cpu_count(),
        files=_USUAL_FILES,
        rows="\n".join(phase.row(quiet) for phase in phases),
        said="\n".join(
            [*(f"What the strangers saw: `{seen}`." for seen in said), f"Tracebacks in the log: {tracebacks}."]
        ),
    )
    print(text)
    if not given.only_print:
        (ROOT / "docs" / "strangers.md").write_text(text, encoding="utf-8")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
