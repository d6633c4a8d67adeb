"""The app as a process of its own, on a temporary folder: what newcomers start is what tests start.

with AppServer(tmp_path, config={"default_model": "scripted"}) as server:
    requests.post(f"{server.url}/api/v1/run/echo", headers={"x-api-key": server.token("test")}, …)

The app of an organization, for a file of tests: who is in it, what it has, with whom it is shared.

HOUSE = House(flows=["echo"], shared={"echo": PUBLIC})    # what the fixture `house` starts for the file that says so
"""

import asyncio
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import requests
import yaml

from flowground.settings import Settings
from flowground.store import Store, publications
from flowground.store.publications import Sharing
from tests.forks import CAN_FORK, Forked, ForkServer
from tests.people import PEOPLE, make_credentials
from tests.store_databases import empty_database

ROOT = Path(__file__).resolve().parents[1]
SHIPPED_FLOWS = ROOT / "flows"
_ASKING = "Agent|LanguageModel|SmartRouter|StructuredOutput"
"""Types that ask a model."""
_PRIVATE = re.compile(r"FLOWGROUND_|STREAMLIT_|PYTHONDONTWRITEBYTECODE$|.*_API_KEY$")
# A proxy may be needed to fetch weights; nothing on this computer is asked through it.
_HERE = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}

forks: ForkServer | None = None
"""Where `AppServer` has its processes from, set by tests/conftest.py; None, as in bench: each imports by itself."""


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without keys and settings of the person who runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not _PRIVATE.match(name)}
    return kept | _HERE | {"PYTHONUNBUFFERED": "1"} | extra


def free_port() -> int:
    """A port of 127.0.0.1 that nothing has now, and that the system gives to no connection (it takes those from 32768).

    So it is still free when a server that is started for it gets there, a second later.
    """
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def write_folder(folder: Path, *, config: Mapping[str, Any], flows: Mapping[str, str] | Iterable[str] | None) -> Path:
    """config.yaml and flows/ in `folder`; returns the config file. `flows` as in `AppServer`."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
    if flows is None:
        flows = sorted(file.stem for file in SHIPPED_FLOWS.glob("*.yaml"))
    texts = flows if isinstance(flows, Mapping) else {name: shipped_flow(name) for name in flows}
    for name, text in texts.items():
        (folder / "flows" / f"{name}.yaml").write_text(text, encoding="utf-8")
    if texts is not flows:
        for files in ("knowledge", "samples"):
            shutil.copytree(SHIPPED_FLOWS / files, folder / "flows" / files, dirs_exist_ok=True)
    return path


def shipped_flow(name: str) -> str:
    """The text of flows/NAME.yaml, whose models name none, answered by the scripted one."""
    text = (SHIPPED_FLOWS / f"{name}.yaml").read_text("utf-8")
    text = re.sub(rf"^( +)type: ({_ASKING})$", r"\1type: \2\n\1model: scripted", text, flags=re.MULTILINE)
    return re.sub(rf"{{type: ({_ASKING}),", r"{type: \1, model: scripted,", text)


class AppServer:
    """One running app with its own config.yaml, flows/, data/ and SQLite file in `folder`.

    `config` is config.yaml as a mapping (default: the scripted model answers); `flows` maps a file's stem to its
    text, or names shipped flows to copy, or is None for all shipped ones. `by` chooses the command, `checkout` whose
    code runs. `is_fresh`: not a fork of a process that has imported all (tests/forks.py), but the command itself.
    """

    def __init__(
        self,
        folder: Path,
        *,
        config: Mapping[str, Any] | None = None,
        flows: Mapping[str, str] | Iterable[str] | None = None,
        by: Literal["streamlit", "uvicorn"] = "streamlit",
        environment: Mapping[str, str] | None = None,
        health: str = "/health",
        deadline: float = 120,
        checkout: Path = ROOT,
        is_fresh: bool = False,
    ) -> None:
        self.folder = folder
        self.checkout = checkout
        self.by = by
        self.health = health
        self.deadline = deadline
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.config_file = write_folder(folder, config={"default_model": "scripted"} | dict(config or {}), flows=flows)
        self.environment = clean_environment(**{"FLOWGROUND_CONFIG": str(self.config_file)} | dict(environment or {}))
        self._log_file = folder / "server.log"
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self._forks = forks if CAN_FORK and checkout == ROOT and not is_fresh else None

    @property
    def log(self) -> str:
        """Everything the process has printed so far, of all its starts."""
        return self._log_file.read_text("utf-8", errors="replace") if self._log_file.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None, "not started"
        return self.process.pid

    @property
    def memory(self) -> int:
        """Resident bytes of the process."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def descriptors(self) -> int:
        """Files that the process has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def start(self) -> Self:
        """Starts the process and waits until it answers; may be called again after `kill` or `stop`."""
        process = self.launch()
        end = time.monotonic() + self.deadline
        while not self._answers():
            code = process.poll()
            if code is not None or time.monotonic() > end:
                self.kill()
                said = f"ended with {code}" if code is not None else f"gave no answer within {self.deadline:.0f} s"
                raise RuntimeError(f"The app {said}. It printed:\n{self.log}")
            time.sleep(0.05)
        return self

    def launch(self) -> "subprocess.Popen[bytes] | Forked":
        """Starts the process without waiting for it."""
        module, *arguments = self._command()
        with self._log_file.open("ab") as log, open(os.devnull, "rb") as nothing:
            if self._forks:
                files = (nothing.fileno(), log.fileno(), log.fileno())
                self.process = self._forks.start(module, arguments, ROOT, self.environment, files=files)
            else:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=self.checkout, env=self.environment, stdin=nothing, stdout=log, stderr=log,
                )  # fmt: skip
        return self.process

    def kill(self) -> None:
        """SIGKILL: no clean-up of any kind runs."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as an operator stops it; SIGKILL after 20 seconds."""
        self._end(signal.SIGTERM)

    def run_command(self, *arguments: str, told: str | None = None) -> subprocess.CompletedProcess[str]:
        """`python -m flowground …` on this folder, beside the running server. `told` is its standard input."""
        command = [sys.executable, "-m", "flowground", *arguments]
        if self._forks is None:
            return subprocess.run(
                command, cwd=self.checkout, env=self.environment, input=told or "", capture_output=True, text=True,
                timeout=60, check=False,
            )  # fmt: skip
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            given.write((told or "").encode())
            for file in (given, out, err):
                file.seek(0)
            files = (given.fileno(), out.fileno(), err.fileno())
            process = self._forks.start("flowground", arguments, ROOT, self.environment, files=files)
            try:
                code = process.wait(60)
            finally:
                process.kill()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(command, code, out.read().decode(), err.read().decode())

    def token(self, name: str, flows: Iterable[str] | None = None, *, may: Iterable[str] = ()) -> str:
        """A new application token of the organization; `flows` limits it to these ids, `may` are options for more."""
        scope = [word for flow in flows or () for word in ("--flow", flow)]
        return self._succeed("keys", "create", name, *scope, *may).split()[-1]

    def member(self, name: str, password: str, role: str = "member") -> None:
        """A new member; the password goes in through standard input."""
        self._succeed("members", "add", name, "--role", role, told=f"{password}\n")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _command(self) -> list[str]:
        if self.by == "uvicorn":
            return ["uvicorn", "app:app", "--host", "127.0.0.1", "--port", str(self.port)]
        options = ["--server.port", str(self.port), "--server.headless", "true"]
        return ["streamlit", "run", "app.py", *options]

    def _answers(self) -> bool:
        try:
            return requests.get(self.url + self.health, timeout=2).status_code == 200
        except requests.RequestException:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def _succeed(self, *arguments: str, told: str | None = None) -> str:
        done = self.run_command(*arguments, told=told)
        assert done.returncode == 0, f"flowground {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}"
        return done.stdout


SHARED = Sharing(is_shared=True)
PUBLIC = Sharing(is_shared=True, audience="public")


@dataclass(frozen=True)
class House:
    """`people` of config.yaml (nobody: the local owner's), and what is `shared` from the start; else as `AppServer`."""

    people: Mapping[str, Any] = field(default_factory=lambda: PEOPLE)
    config: Mapping[str, Any] = field(default_factory=dict)
    flows: Mapping[str, str] | Iterable[str] | None = None
    shared: Mapping[str, Sharing] = field(default_factory=dict)
    environment: Mapping[str, str] | None = None

    @contextmanager
    def open(self, folder: Path) -> Iterator[AppServer]:
        config = {"credentials": make_credentials(**self.people)} | dict(self.config)
        with AppServer(folder, config=config, flows=self.flows, environment=self.environment) as server:
            for flow, sharing in self.shared.items():
                share(server, flow, sharing)
            yield server

    @contextmanager
    def open_on(self, database: str, folder: Path) -> Iterator[AppServer]:
        """On an empty database of this kind, SQLite's or PostgreSQL's."""
        with (
            empty_database(database, folder) as url,
            replace(self, config=dict(self.config) | {"database": url}).open(folder) as server,
        ):
            yield server


def share(server: AppServer, flow: str, sharing: Sharing = SHARED) -> None:
    """As its owner does in the Publish menu."""
    store = Store.open(Settings.load(server.config_file).database)
    with closing(store), ThreadPoolExecutor(1) as elsewhere:  # Playwright may hold this thread's event loop
        change = store.write(publications.change, flow_id=flow, sharing=sharing, by="tests")
        elsewhere.submit(asyncio.run, change).result()
